"""Consistency check: reject a new face that would cause false matches.

The test set is the collection itself: a new face that is more like somebody else than like its own subject, or that
would draw somebody else's face to its name, is refused.
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
"""cosine from which a look tells nothing that a face does not tell already: the same picture saved again"""
UNLIKE = 50.0
"""likeness 0..100: a look that is less like every face of its subject, as 93 of 100 strangers are, teaches nothing"""
LEAD = 5.0
"""maximum lead in likeness of another subject: wrong names are given at random"""
NEAREST = 16
"""faces by cosine, of the subject and of the others, whose likeness is told"""


@dataclass(frozen=True, slots=True)
class EnrollmentCheck:
    """Whether one more face may be added."""

    harm: str = ""
    """why it must not be added; empty: it may"""
    redundant: bool = False
    """a face of the same subject is nearly the same look"""


@dataclass(frozen=True, slots=True)
class _Alike:
    row: int
    """of the collection"""
    likeness: float
    """0..100"""


def check_enrollment(search: SubjectSearch, vector: FloatArray, subject: str) -> EnrollmentCheck:
    """Whether one more face of ``subject`` would make the collection that ``search`` searches worse.

    ``vector``: (dimensions,) of length 1, of the collection's space. Raises StoreError.
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
        return EnrollmentCheck(f"it looks nothing like {subject} ({_told(own[0])})")
    if not others:
        return EnrollmentCheck()
    rival = others[0]
    if not own and rival.likeness >= needed * DOUBT:
        return EnrollmentCheck(f"it looks like {names[rival.row]}, who is enrolled already ({_told(rival)})")
    if own and rival.likeness > own[0].likeness + (0.0 if rival.likeness >= needed else LEAD):
        return EnrollmentCheck(
            f"it looks more like {names[rival.row]} ({_told(rival)}) than like {subject} ({_told(own[0])})"
        )
    for one in others:
        if one.likeness >= needed and _stolen(scorer, vectors, names, one):
            return EnrollmentCheck(f"a face of {names[one.row]} would be taken for {subject}")
    return EnrollmentCheck()


def _nearest(rows: NDArray[np.int64], cosines: FloatArray) -> NDArray[np.int64]:
    nearest: NDArray[np.int64] = rows[np.argsort(-cosines[rows])[:NEAREST]]
    return nearest


def _most_alike(scorer: FaceScorer, vector: FloatArray, vectors: FloatArray, rows: NDArray[np.int64]) -> list[_Alike]:
    """The rows with their likeness to ``vector``, most alike first."""
    likenesses = scorer.compare(vector, vectors[rows])
    return sorted(map(_Alike, rows.tolist(), likenesses), key=lambda one: -one.likeness)


def _stolen(scorer: FaceScorer, vectors: FloatArray, names: NDArray[np.str_], one: _Alike) -> bool:
    """Whether a face that is more like the new one than like any other of its subject, which has others, is drawn."""
    rest = np.flatnonzero(names == names[one.row])
    rest = _nearest(rest[rest != one.row], vectors @ vectors[one.row])
    return bool(len(rest)) and max(scorer.compare(vectors[one.row], vectors[rest])) < one.likeness


def _told(one: _Alike) -> str:
    return f"{one.likeness:.0f} of 100"
