"""Identification: every face of a picture against a collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import InputError
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.types import Detection, Identity, IdentityState, Match, Picture, Space
from edge.recognition.extraction import ExtractedFace, FaceExtractor
from edge.recognition.score_policy import policy_of
from edge.recognition.subject_search import SUBJECTS, SubjectSearch

if TYPE_CHECKING:
    from edge.inference.scoring import FaceScorer
    from edge.recognition.review.rejections import RejectionIndex
    from edge.recognition.store.collection import Collection


@dataclass(frozen=True, slots=True)
class IdentifiedFace:
    """One detection and its identity."""

    detection: Detection
    quality: float
    """0..1"""
    identity: Identity
    matches: tuple[Match, ...]
    """the best match of each of the nearest subjects, best first"""
    reason: str = ""
    """code of why it was not embedded; else empty"""


@dataclass(frozen=True, slots=True)
class ImageIdentification:
    """Identities in one picture."""

    path: Path
    faces: tuple[IdentifiedFace, ...]
    reason: str = ""
    """code of why the picture could not be read; else empty"""
    message: str = ""

    @property
    def known(self) -> tuple[IdentifiedFace, ...]:
        return tuple(face for face in self.faces if face.identity.state is IdentityState.KNOWN)


def identify_files(
    paths: Iterable[Path], finder: FaceExtractor, search: SubjectSearch, limit: int = 5
) -> Iterator[ImageIdentification]:
    """One result per picture, in order, also for invalid ones. Raises SpaceError, ModelError, StoreError."""
    search.collection.check_space(finder.embedder.space)
    for path in paths:
        try:
            picture = pictures.read(path)
        except InputError as error:
            yield ImageIdentification(path, (), error.code, error.message)
            continue
        yield ImageIdentification(path, tuple(identify(picture, finder, search, limit)))


def identify(picture: Picture, finder: FaceExtractor, search: SubjectSearch, limit: int = 5) -> list[IdentifiedFace]:
    """Every detection of the extractor's label, largest first, with its identity and its ``limit`` nearest subjects."""
    return identify_faces(finder.embed(picture, finder.detect(picture)), search, finder.embedder.space, limit)


def identify_faces(
    seen: Sequence[ExtractedFace], search: SubjectSearch, space: Space, limit: int = 5
) -> list[IdentifiedFace]:
    """``identify`` for extracted faces."""
    embedded = [one.embedding.vector for one in seen if one.embedding is not None]
    found = iter(search.subjects(np.stack(embedded), space, max(limit, SUBJECTS)) if embedded else ())
    needed = search.needed
    identified = []
    for one in seen:
        matches = next(found) if one.embedding is not None else []
        who = identity(matches, needed, search.policy.margin, search.name)
        identified.append(IdentifiedFace(one.detection, one.quality.score, who, tuple(matches[:limit]), one.reason))
    return identified


def subject_search(
    settings: Settings,
    label: str,
    scorer: FaceScorer,
    collection: Collection,
    likeness: float | None = None,
    rejections: RejectionIndex | None = None,
) -> SubjectSearch:
    """The search of a label in ``collection``, by the settings; ``likeness`` 0..100 overrides theirs."""
    return SubjectSearch(collection, scorer, policy_of(settings, label, likeness), rejections)


def identity(matches: Sequence[Match], needed: float, margin: float, collection: str) -> Identity:
    """Identity by one embedding. ``matches``: one per subject, best first; ``needed``: likeness; ``margin``: cosine."""
    if not matches:
        return Identity(IdentityState.UNKNOWN, collection=collection)
    best = matches[0]
    runner_up = max((match.similarity for match in matches[1:]), default=None)
    if best.likeness < needed:
        return Identity(
            IdentityState.UNKNOWN, None, best.similarity, runner_up, None, collection, likeness=best.likeness
        )
    doubtful = runner_up is not None and best.similarity - runner_up < margin
    state = IdentityState.UNCERTAIN if doubtful else IdentityState.KNOWN
    return Identity(state, best.name, best.similarity, runner_up, best.face_id, collection, likeness=best.likeness)
