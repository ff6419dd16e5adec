"""Audit of a collection: confusable subjects, outliers, near duplicates, and recall of the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.inference.scoring import UNNORMALIZED, FaceScorer
from edge.recognition.store.collection import Collection
from edge.recognition.store.index_builder import PROBE_COSINE, turned

if TYPE_CHECKING:
    from edge.core.types import FloatArray

SIMILAR = 80.0
"""default likeness 0..100 from which two subjects count as confusable"""
DUPLICATE = 0.95
"""cosine of nearly the same picture: of 2,779 pairs of different pictures of one person none came to .93, and the same
picture saved again, smaller, had .97"""
SAMPLE = 5_000
"""maximum faces that are compared with all; a random sample in a larger collection"""
PROBES = 200
SEED = 7
NUMBERS = 4_000_000
"""maximum similarities in memory"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two faces with their similarity."""

    face_id: str
    subject: str | None
    other_face_id: str
    other_subject: str | None
    similarity: float
    """cosine"""
    likeness: float
    """0..100"""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A face that is more similar to another subject than to its own."""

    face_id: str
    subject: str
    own: float
    """likeness 0..100 to the nearest other face of its subject"""
    nearest: str
    """the other subject"""
    likeness: float
    """likeness 0..100 to the nearest face of ``nearest``"""


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of an audit."""

    faces: int
    subjects: int
    compared: int
    """number of faces that were compared with all others"""
    highest: float | None
    """the highest likeness between faces of two subjects"""
    confusable: tuple[Pair, ...]
    """per pair of subjects the most similar faces, if they reach ``similar``; highest first"""
    outliers: tuple[Outlier, ...]
    duplicates: tuple[Pair, ...]
    """faces of one subject that are nearly the same picture; highest first"""
    recall: float | None
    """recall@1 of a search against exact search, probed at PROBE_COSINE; None for an empty collection"""


def audit(
    collection: Collection,
    scorer: FaceScorer = UNNORMALIZED,
    similar: float = SIMILAR,
    duplicate: float = DUPLICATE,
    most: int = 50,
) -> Audit:
    """Audit a collection.

    ``similar``: likeness 0..100 by ``scorer``; ``duplicate``: cosine; ``most``: entries per list. Per face, the
    nearest of its subject and the nearest of another by cosine are compared by likeness.
    """
    rows = collection.everything()
    random = np.random.default_rng(SEED)
    count = len(rows.face_ids)
    chosen = np.sort(random.choice(count, min(SAMPLE, count), replace=False)) if count else np.zeros(0, np.int64)
    names = [subject or face_id for subject, face_id in zip(rows.subjects, rows.face_ids, strict=True)]
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    codes = np.array([number[name] for name in names], np.int64)
    found = _SearchedFaces({}, [], {})
    for part, own, other in _nearest(rows.vectors, codes, chosen):
        like, unlike = (_scored(scorer, rows.vectors, part, one) for one in (own, other))
        _note(found, rows.face_ids, rows.subjects, part, like, unlike, duplicate)
    pairs = sorted(found.confusable.values(), key=lambda pair: -pair.likeness)
    doubles = sorted(found.duplicates.values(), key=lambda pair: -pair.similarity)
    return Audit(
        faces=count,
        subjects=len({subject for subject in rows.subjects if subject is not None}),
        compared=len(chosen),
        highest=pairs[0].likeness if pairs else None,
        confusable=tuple(pair for pair in pairs if pair.likeness >= similar)[:most],
        outliers=tuple(sorted(found.outliers, key=lambda face: face.own - face.likeness)[:most]),
        duplicates=tuple(doubles[:most]),
        recall=_recall(collection, rows.vectors, random) if count else None,
    )


@dataclass(frozen=True, slots=True)
class _SearchedFaces:
    confusable: dict[tuple[str, str], Pair]
    outliers: list[Outlier]
    duplicates: dict[tuple[str, str], Pair]


@dataclass(frozen=True, slots=True)
class _Near:
    """The nearest face of each row: its position and its cosine (-2: there is none)."""

    positions: NDArray[np.int64]
    cosines: FloatArray
    likenesses: Sequence[float] = ()
    """0..100"""


def _nearest(
    vectors: FloatArray, codes: NDArray[np.int64], chosen: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], _Near, _Near]]:
    """For the chosen rows, in pieces: the nearest of the same subject, and the nearest of another."""
    step = max(1, NUMBERS // max(1, len(vectors)))
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        similarities = vectors[part] @ vectors.T
        same = codes[part][:, np.newaxis] == codes[np.newaxis, :]
        other = np.where(same, np.float32(-2), similarities)
        own = np.where(same, similarities, np.float32(-2))
        own[np.arange(len(part)), part] = -2
        yield part, _largest(own), _largest(other)


def _largest(similarities: FloatArray) -> _Near:
    positions = similarities.argmax(axis=1)
    return _Near(positions, similarities[np.arange(len(positions)), positions])


def _scored(scorer: FaceScorer, vectors: FloatArray, part: NDArray[np.int64], near: _Near) -> _Near:
    """With the likeness of each row of ``part`` to its nearest."""
    rows, places = np.unique(np.concatenate([part, near.positions]), return_inverse=True)
    statistics = scorer.statistics(vectors[rows])
    mine, others = places[: len(part)].tolist(), places[len(part) :].tolist()
    pairs = zip(near.cosines.tolist(), mine, others, strict=True)
    return replace(near, likenesses=[scorer.likeness(c, statistics[a], statistics[b]) for c, a, b in pairs])


def _note(
    found: _SearchedFaces,
    face_ids: list[str],
    subjects: list[str | None],
    part: NDArray[np.int64],
    own: _Near,
    other: _Near,
    duplicate: float,
) -> None:
    def pair(a: int, b: int, cosine: float, likeness: float) -> Pair:
        return Pair(face_ids[a], subjects[a], face_ids[b], subjects[b], cosine, likeness)

    for i, face in enumerate(part.tolist()):
        like, unlike = int(own.positions[i]), int(other.positions[i])
        like_cosine, unlike_cosine = float(own.cosines[i]), float(other.cosines[i])
        likeness, rival = own.likenesses[i], other.likenesses[i]
        if unlike_cosine > -2:
            _keep(found.confusable, subjects[face], subjects[unlike], pair(face, unlike, unlike_cosine, rival))
        if like_cosine >= duplicate:
            _keep(found.duplicates, face_ids[face], face_ids[like], pair(face, like, like_cosine, likeness))
        if like_cosine > -2 and unlike_cosine > -2 and likeness < rival:
            name, nearest = subjects[face] or face_ids[face], subjects[unlike] or face_ids[unlike]
            found.outliers.append(Outlier(face_ids[face], name, likeness, nearest, rival))


def _keep(pairs: dict[tuple[str, str], Pair], a: str | None, b: str | None, pair: Pair) -> None:
    first, second = sorted((a or pair.face_id, b or pair.other_face_id))
    known = pairs.get((first, second))
    if known is None or known.likeness < pair.likeness:
        pairs[first, second] = pair


def _recall(collection: Collection, vectors: FloatArray, random: np.random.Generator) -> float:
    """Share of probes whose nearest face a search finds first."""
    chosen = random.choice(len(vectors), min(PROBES, len(vectors)), replace=False)
    probes = turned(vectors[chosen], PROBE_COSINE, random)
    truth: list[float] = (probes @ vectors.T).max(axis=1).tolist()
    matches = collection.search(probes, 1)
    # by value: of two equal faces either is right
    right = [bool(m) and m[0].similarity > best - 1e-4 for m, best in zip(matches, truth, strict=True)]
    return sum(right) / len(right)
