"""Consistency check: reject a new face that would cause false matches.

It is tested against the collection: a new face that is more similar to another subject than to its own, or that
would become the nearest face of another subject's face, is rejected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.recognition.score_policy import DOUBT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray
    from edge.inference.scoring import FaceScorer
    from edge.recognition.subject_search import SubjectSearch

SAME = 0.95
"""cosine from which an embedding is redundant: the same picture saved again"""
UNLIKE = 50.0
"""minimum likeness 0..100 to a face of the subject; 93 of 100 strangers are below it"""
LEAD = 5.0
"""maximum lead in likeness of another subject"""
NEAREST = 16
"""number of nearest faces by cosine, of the subject and of others, whose likeness is computed"""


@dataclass(frozen=True, slots=True)
class EnrollmentCheck:
    """Result of the check of one new face."""

    harm: str = ""
    """reason to reject it; empty: accepted"""
    redundant: bool = False
    """whether a face of the same subject is nearly the same"""


@dataclass(frozen=True, slots=True)
class _Alike:
    row: int
    """row in the collection's embeddings"""
    likeness: float
    """0..100"""


def check_enrollment(search: SubjectSearch, vector: FloatArray, subject: str) -> EnrollmentCheck:
    """Check a new face of ``subject`` against the collection of ``search``.

    ``vector``: (dimensions,) of length 1, in the collection's embedding space. Raises StoreError.
    """
    everything = search.collection.everything()
    vectors, scorer, needed = everything.vectors, search.scorer, search.needed
    names = np.array([name or face_id for name, face_id in zip(everything.subjects, everything.face_ids, strict=True)])
    if not len(names):
        return EnrollmentCheck()
    cosines = vectors @ vector
    is_own = names == subject
    if is_own.any() and cosines[is_own].max() >= SAME:
        return EnrollmentCheck(redundant=True)
    own = _most_alike(scorer, vector, vectors, _nearest(np.flatnonzero(is_own), cosines))
    others = _most_alike(scorer, vector, vectors, _nearest(np.flatnonzero(~is_own), cosines))
    if own and own[0].likeness < UNLIKE:
        return EnrollmentCheck(f"it looks nothing like {subject} ({_score_text(own[0])})")
    if not others:
        return EnrollmentCheck()
    rival = others[0]
    if not own and rival.likeness >= needed * DOUBT:
        return EnrollmentCheck(f"it looks like {names[rival.row]}, who is enrolled already ({_score_text(rival)})")
    if own and rival.likeness > own[0].likeness + (0.0 if rival.likeness >= needed else LEAD):
        return EnrollmentCheck(
            f"it looks more like {names[rival.row]} ({_score_text(rival)}) than like {subject} ({_score_text(own[0])})"
        )
    for one in others:
        if one.likeness >= needed and _is_attracted(scorer, vectors, names, one):
            return EnrollmentCheck(f"a face of {names[one.row]} would be taken for {subject}")
    return EnrollmentCheck()


def _nearest(rows: NDArray[np.int64], cosines: FloatArray) -> NDArray[np.int64]:
    nearest: NDArray[np.int64] = rows[np.argsort(-cosines[rows])[:NEAREST]]
    return nearest


def _most_alike(scorer: FaceScorer, vector: FloatArray, vectors: FloatArray, rows: NDArray[np.int64]) -> list[_Alike]:
    """The rows with their likeness to ``vector``, highest first."""
    likenesses = scorer.compare(vector, vectors[rows])
    return sorted(map(_Alike, rows.tolist(), likenesses), key=lambda one: -one.likeness)


def _is_attracted(scorer: FaceScorer, vectors: FloatArray, names: NDArray[np.str_], one: _Alike) -> bool:
    """Whether a face is more similar to the new face than to any other face of its subject, if there are others."""
    rest = np.flatnonzero(names == names[one.row])
    rest = _nearest(rest[rest != one.row], vectors @ vectors[one.row])
    return bool(len(rest)) and max(scorer.compare(vectors[one.row], vectors[rest])) < one.likeness


def _score_text(one: _Alike) -> str:
    return f"{one.likeness:.0f} of 100"
