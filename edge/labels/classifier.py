"""Versions of custom labels in use: found by name, joined with their backbone, and asked about a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import NotFoundError, SettingsError, SpaceError, StoreError
from edge.core.storage.layout import StateLayout
from edge.core.types import WHOLE, Box, Detection, Picture

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.core.settings.vision import CameraSettings
    from edge.core.types import Embedding, FloatArray
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.inference.protocols import EmbeddingModel
    from edge.labels.head import Head
    from edge.labels.store import Labels
    from edge.labels.version import Version

REGION_SCORE = 0.25
"""lowest detector score of a region worth classifying"""
OPINION = 0.6
"""weight of what the detector calls a region, beside an embedding of length 1"""
SAME_PLACE = 0.6
"""overlap (IoU) of two regions that are one"""


@dataclass(frozen=True, slots=True)
class LabelClassifier:
    """A version of custom labels with its backbone."""

    version: str
    """``helmets/3``"""
    embedder: EmbeddingModel
    head: Head
    regions: tuple[str, ...] = ()
    """labels of the detectors whose tracks are classified, which the head sees as well; empty: whole pictures are"""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A label that is there."""

    label: str
    probability: float
    """0..1"""
    box: Box | None = None
    """where; None: the picture as a whole"""


def find(name: str, state: Path, release: str = "") -> tuple[Version, Labels]:
    """The version that ``helmets`` (the one in use) or ``helmets/3`` names, and the store that has its head.

    Those of ``release`` (the current one where none is named) come before those of the device. Raises NotFoundError,
    StoreError.
    """
    from edge.labels.store import Labels

    label, _, number = name.partition("/")
    layout = StateLayout(state)
    current = release or layout.current_release
    stores = ([Labels(layout.release(current))] if current else []) + [Labels(state)]
    for store in stores:
        try:
            return store.version(label, int(number) if number else None), store
        except NotFoundError:
            continue
    raise NotFoundError(
        f"there are no custom labels {name!r}", "edge labels list shows those there are; edge labels train makes them"
    )


def backbones(settings: Settings, state: Path) -> list[str]:
    """The embedders that the versions in use need, as far as those are here."""
    found: list[str] = []
    for name in named(settings):
        with suppress(NotFoundError, StoreError):
            found.append(find(name, state)[0].base)
    return list(dict.fromkeys(found))


def labels_of(camera: CameraSettings, state: Path) -> tuple[str, ...]:
    """The labels that the versions of a camera tell; versions that are not here tell none."""
    found: list[str] = []
    for name in camera.custom_labels:
        with suppress(NotFoundError, StoreError):
            found += find(name, state)[0].labels
    return tuple(dict.fromkeys(found))


def load_classifier(
    name: str,
    settings: Settings,
    state: Path,
    release: str,
    replaces: Mapping[str, str],
    load_embedder: Callable[[str], Embedder],
) -> LabelClassifier:
    """A version with its backbone, ready for the cameras that name it. ``replaces``: see ``check_detectors``.

    Raises NotFoundError, StoreError, ModelError; SpaceError for a version of another backbone than the one here,
    SettingsError where a camera does not use the detector whose regions it tells.
    """
    version, store = find(name, state, release)
    check_detectors(name, version, settings, replaces)
    if version.detectors and not version.regions:
        raise StoreError(f"labels {name!r} do not say which regions show them", "train them again")
    embedder = load_embedder(version.base)
    check_space(version, embedder.space.fingerprint)
    return LabelClassifier(f"{version.name}/{version.number}", embedder, store.head(version), version.regions)


def named(settings: Settings) -> list[str]:
    """The custom labels that enabled cameras name, each once."""
    return list(dict.fromkeys(name for camera in settings.cameras if camera.enabled for name in camera.custom_labels))


def part(name: str) -> str:
    """What health and doctor call the custom labels that a camera names so."""
    return f"custom_labels {name}"


def check_space(version: Version, space: str) -> None:
    """Raises SpaceError where a version was learned in another space than this one, a fingerprint."""
    if version.space != space:
        raise SpaceError(
            f"labels {version.name!r} version {version.number}: expected embeddings of {version.space}, got {space}",
            "train them again with this base and runtime",
            code="space",
        )


def check_detectors(
    name: str, version: Version, settings: Settings, replaces: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Raises SettingsError for a camera that names this version and lacks the detectors whose regions it tells.

    ``replaces``: detector -> the one that has taken its place in a release; it finds the regions as well.
    """
    for camera in settings.cameras:
        lacking = [one for one in version.detectors if replaces.get(one, one) not in camera.detectors]
        if name in camera.custom_labels and lacking and camera.enabled:
            raise SettingsError(
                f"labels {name!r} tell regions of detector {lacking[0]!r}, which camera {camera.name!r} does not use",
                f"add it to the detectors of camera {camera.name!r}",
            )


def regions(detectors: Iterable[Detector], picture: Picture) -> list[Detection]:
    """What the detectors find, whatever they call it; of two on the same place the surer one."""
    found: list[Detection] = []
    for detector in detectors:
        found += detector.detect(picture, dict.fromkeys(detector.labels, REGION_SCORE))
    kept: list[Detection] = []
    for one in sorted(found, key=lambda detection: -detection.score):
        if all(one.box.iou(other.box) < SAME_PLACE for other in kept):
            kept.append(replace(one, landmarks=()))
    return kept


def seen(vectors: FloatArray, called: Sequence[str], names: Sequence[str]) -> FloatArray:
    """What a head sees of regions: their embeddings (k, D), and what a detector calls each, one of ``names`` or none.

    (k, D + names). Heads of whole pictures have no names, and see the embedding alone.
    """
    if not names:
        return vectors
    opinion = np.zeros((len(vectors), len(names)), np.float32)
    for row, name in enumerate(called):
        if name in names:
            opinion[row, names.index(name)] = OPINION
    return np.hstack([vectors, opinion])


@dataclass(frozen=True, slots=True)
class LabelLook:
    """The places of a picture that a head is asked about."""

    places: tuple[Detection, ...]
    embeddings: tuple[Embedding, ...]
    vectors: FloatArray
    """(places, D + regions): what the head sees"""


def look(version: Version, embedder: Embedder, detectors: Sequence[Detector], picture: Picture) -> LabelLook:
    """The whole picture, or the regions of a version that tells regions."""
    places = [Detection("picture", 1.0, WHOLE)]
    if detectors:
        places = [one for one in regions(detectors, picture) if one.label in version.regions]
    return look_at(version, embedder, picture, places)


def look_at(version: Version, embedder: Embedder, picture: Picture, places: Sequence[Detection]) -> LabelLook:
    """These places of a picture."""
    embeddings = embedder.embed(picture, places) if places else []
    stacked: FloatArray = np.zeros((0, embedder.space.dimensions), np.float32)
    if embeddings:
        stacked = np.stack([one.vector for one in embeddings])
    vectors = seen(stacked, [one.label for one in places], version.regions)
    return LabelLook(tuple(places), tuple(embeddings), vectors)


def predict(
    version: Version,
    head: Head,
    embedder: Embedder,
    detectors: Sequence[Detector],
    picture: Picture,
    least: float | None = None,
) -> list[Prediction]:
    """The labels of a picture, best first: those that reach their threshold, or ``least`` where it is given."""
    looked = look(version, embedder, detectors, picture)
    if not looked.places:
        return []
    probabilities = head.answers(looked.vectors) if least is None else head.probabilities(looked.vectors)
    lowest = head.thresholds if least is None else np.full(len(head.labels), least, np.float32)
    found = [
        Prediction(head.labels[i], float(row[i]), place.box if detectors else None)
        for place, row in zip(looked.places, probabilities, strict=True)
        for i in np.flatnonzero(row >= lowest).tolist()
    ]
    return sorted(found, key=lambda one: -one.probability)
