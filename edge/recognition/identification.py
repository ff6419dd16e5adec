"""Who is in a picture: every face of it against a collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import InputError
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.vision import LabelSettings
from edge.core.types import Detection, Identity, IdentityState, Match, Picture, Space
from edge.inference.calibration import Calibration
from edge.inference.embedder import Embedder
from edge.recognition.extraction import FaceExtractor
from edge.recognition.protocols import RejectionFilter
from edge.recognition.store.collection import Collection
from edge.recognition.store.subject_scoring import SUBJECTS

if TYPE_CHECKING:
    from edge.core.types import FloatArray

FACES = 32
"""faces of the collection that are looked at: enough for the best of several subjects"""


@dataclass(frozen=True, slots=True)
class MatchRule:
    """When a face has a name."""

    similarity: float
    """0..100, lowest of a match"""
    margin: float
    """cosine by which the best subject must lead the second best"""
    calibration: Calibration

    @property
    def cosine(self) -> float:
        """The lowest cosine of a match."""
        return self.calibration.cosine(self.similarity)


@dataclass(frozen=True, slots=True)
class IdentifiedFace:
    """One detection and who it is."""

    detection: Detection
    quality: float
    """0..1"""
    identity: Identity
    matches: tuple[Match, ...]
    """the best face of each of the nearest subjects, best first"""
    reason: str = ""
    """why it was not embedded: a code; else empty"""


@dataclass(frozen=True, slots=True)
class ImageIdentification:
    """Who is in one picture."""

    path: Path
    faces: tuple[IdentifiedFace, ...]
    reason: str = ""
    """why the picture could not be read: a code; else empty"""
    message: str = ""

    @property
    def known(self) -> tuple[IdentifiedFace, ...]:
        return tuple(face for face in self.faces if face.identity.state is IdentityState.KNOWN)


def identify_files(
    paths: Iterable[Path],
    finder: FaceExtractor,
    collection: Collection,
    rule: MatchRule,
    limit: int = 5,
    anchors: RejectionFilter | None = None,
) -> Iterator[ImageIdentification]:
    """One answer a picture, in order; a bad picture never stops the run. Raises SpaceError, ModelError, StoreError."""
    collection.check_space(finder.embedder.space)
    for path in paths:
        try:
            picture = pictures.read(path)
        except InputError as error:
            yield ImageIdentification(path, (), error.code, error.message)
            continue
        yield ImageIdentification(path, tuple(identify(picture, finder, collection, rule, limit, anchors)))


def identify(
    picture: Picture,
    finder: FaceExtractor,
    collection: Collection,
    rule: MatchRule,
    limit: int = 5,
    anchors: RejectionFilter | None = None,
) -> list[IdentifiedFace]:
    """Every detection of the finder's label, largest first, with its identity.

    ``anchors`` hold looks away from whom somebody said that they are not.
    """
    seen = finder.embed(picture, finder.detect(picture))
    embedded = [one.embedding.vector for one in seen if one.embedding is not None]
    found = iter(_matches(np.stack(embedded), finder.embedder.space, collection, anchors, limit) if embedded else ())
    identified = []
    for one in seen:
        matches = next(found) if one.embedding is not None else []
        who = identity(matches, rule, collection.name)
        identified.append(IdentifiedFace(one.detection, one.quality.score, who, tuple(matches[:limit]), one.reason))
    return identified


def _matches(
    vectors: FloatArray, space: Space, collection: Collection, anchors: RejectionFilter | None, limit: int
) -> list[list[Match]]:
    found = collection.search(vectors, FACES, space)
    if anchors is not None:
        found = anchors.held_away(collection.name, space, vectors, found)
    return collection.by_subject(vectors, found, max(limit, SUBJECTS))


def rule(settings: Settings, label: str, embedder: Embedder, similarity: float | None = None) -> MatchRule:
    """The rule of a label: ``similarity`` where given, else the label's setting, else the model card's."""
    section = settings.labels.get(label, LabelSettings())
    lowest = next(
        value for value in (similarity, section.similarity, embedder.card.thresholds.similarity) if value is not None
    )
    return MatchRule(lowest, section.margin, embedder.calibration)


def identity(matches: Sequence[Match], rule: MatchRule, collection: str) -> Identity:
    if not matches:
        return Identity(IdentityState.UNKNOWN, collection=collection)
    best = matches[0]
    runner_up = matches[1].similarity if len(matches) > 1 else None
    if best.similarity < rule.cosine:
        return Identity(IdentityState.UNKNOWN, None, best.similarity, runner_up, None, collection)
    doubtful = runner_up is not None and best.similarity - runner_up < rule.margin
    state = IdentityState.UNCERTAIN if doubtful else IdentityState.KNOWN
    return Identity(state, best.name, best.similarity, runner_up, best.face_id, collection)
