"""Label classifier: finds a version of custom labels, loads its backbone and predicts labels of pictures."""

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
"""minimum detector score of a region to classify"""
OPINION = 0.6
"""weight of the detector's label of a region, relative to an embedding of length 1"""
SAME_PLACE = 0.6
"""IoU from which two regions are duplicates"""


@dataclass(frozen=True, slots=True)
class LabelClassifier:
    """A version of custom labels with its backbone."""

    version: str
    """``helmets/3``"""
    embedder: EmbeddingModel
    head: Head
    regions: tuple[str, ...] = ()
    """detector labels of the classified tracks, also an input of the head; empty: whole pictures are classified"""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted label."""

    label: str
    probability: float
    """0..1"""
    box: Box | None = None
    """region of the label; None: the whole picture"""


def find(name: str, state: Path, release: str = "") -> tuple[Version, Labels]:
    """The version named ``helmets`` (the one in use) or ``helmets/3``, and the store that contains it.

    Versions of ``release`` (default: the current one) take precedence over the device's own. Raises NotFoundError,
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
        f"there are no custom labels {name!r}",
        "edge labels list shows the existing ones; edge labels train creates them",
    )


def backbones(settings: Settings, state: Path) -> list[str]:
    """Names of the embedders that the configured versions need; versions that do not exist are skipped."""
    found: list[str] = []
    for name in named(settings):
        with suppress(NotFoundError, StoreError):
            found.append(find(name, state)[0].base)
    return list(dict.fromkeys(found))


def labels_of(camera: CameraSettings, state: Path) -> tuple[str, ...]:
    """The labels that a camera's versions can predict; versions that do not exist are skipped."""
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
    """Load a version with its backbone for the cameras that use it. ``replaces``: see ``check_detectors``.

    Raises NotFoundError, StoreError, ModelError; SpaceError for a version of another backbone than the installed one,
    SettingsError if a camera does not use the detector whose regions it classifies.
    """
    version, store = find(name, state, release)
    check_detectors(name, version, settings, replaces)
    if version.detectors and not version.regions:
        raise StoreError(f"labels {name!r} have no list of their regions", "train them again")
    embedder = load_embedder(version.base)
    check_space(version, embedder.space.fingerprint)
    return LabelClassifier(f"{version.name}/{version.number}", embedder, store.head(version), version.regions)


def named(settings: Settings) -> list[str]:
    """The custom labels of all enabled cameras, without duplicates."""
    return list(dict.fromkeys(name for camera in settings.cameras if camera.enabled for name in camera.custom_labels))


def part(name: str) -> str:
    """Name of these custom labels in health and doctor."""
    return f"custom_labels {name}"


def check_space(version: Version, space: str) -> None:
    """Raises SpaceError if a version was trained in another embedding space than ``space``, a fingerprint."""
    if version.space != space:
        raise SpaceError(
            f"labels {version.name!r} version {version.number}: expected embeddings of {version.space}, got {space}",
            "train them again with this base and runtime",
            code="space",
        )


def check_detectors(
    name: str, version: Version, settings: Settings, replaces: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Raises SettingsError for a camera that uses this version and lacks the detectors of its regions.

    ``replaces``: detector -> its replacement in a release, which finds the same regions.
    """
    for camera in settings.cameras:
        lacking = [one for one in version.detectors if replaces.get(one, one) not in camera.detectors]
        if name in camera.custom_labels and lacking and camera.enabled:
            raise SettingsError(
                f"labels {name!r} need detector {lacking[0]!r}, which camera {camera.name!r} does not use",
                f"add it to the detectors of camera {camera.name!r}",
            )


def regions(detectors: Iterable[Detector], picture: Picture) -> list[Detection]:
    """Detections of all labels; of two at the same place the one with the higher score."""
    found: list[Detection] = []
    for detector in detectors:
        found += detector.detect(picture, dict.fromkeys(detector.labels, REGION_SCORE))
    kept: list[Detection] = []
    for one in sorted(found, key=lambda detection: -detection.score):
        if all(one.box.iou(other.box) < SAME_PLACE for other in kept):
            kept.append(replace(one, landmarks=()))
    return kept


def seen(vectors: FloatArray, called: Sequence[str], names: Sequence[str]) -> FloatArray:
    """Input of a head: (k, D) embeddings of regions, and the detector label of each, one-hot in ``names``.

    Returns (k, D + names). For whole pictures ``names`` is empty: the embedding alone.
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
    """The regions of a picture to classify, with the inputs of the head."""

    places: tuple[Detection, ...]
    embeddings: tuple[Embedding, ...]
    vectors: FloatArray
    """(places, D + regions) inputs of the head"""


def look(version: Version, embedder: Embedder, detectors: Sequence[Detector], picture: Picture) -> LabelLook:
    """Embed the whole picture, or the regions of a version that classifies regions. Raises ModelError."""
    places = [Detection("picture", 1.0, WHOLE)]
    if detectors:
        places = [one for one in regions(detectors, picture) if one.label in version.regions]
    return look_at(version, embedder, picture, places)


def look_at(version: Version, embedder: Embedder, picture: Picture, places: Sequence[Detection]) -> LabelLook:
    """Embed the given regions of a picture. Raises ModelError."""
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
    """The labels of a picture, best first: those that reach their threshold, or ``least``. Raises ModelError."""
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
