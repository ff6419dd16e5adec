"""Consistency check: reject a new face that would cause false matches.

The test set is the collection itself: a new face that is nearer to somebody else than to its own subject, or that
would draw somebody else's face to its name, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.inference.scoring import FaceScorer
from edge.recognition.store.collection import Collection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray

SAME = 0.95
"""cosine from which a look tells nothing that a face does not tell already"""
UNLIKE = 0.4
"""share of the cosine of a match: a look that has less of every face of its subject teaches nothing of it"""
LEAD = 0.1
"""cosine by which somebody else may be nearer, at most: people who err name others at random"""


@dataclass(frozen=True, slots=True)
class EnrollmentCheck:
    """Whether one more face may be added."""

    harm: str = ""
    """why it must not be added; empty: it may"""
    redundant: bool = False
    """a face of the same subject is nearly the same look"""


def check_enrollment(
    collection: Collection, vector: FloatArray, subject: str, match: float, scorer: FaceScorer | None = None
) -> EnrollmentCheck:
    """Whether one more face of ``subject`` would make the collection worse. ``match``: cosine that makes a match.

    The reason tells likenesses 0..100 by ``scorer``; without it, cosines.
    """
    everything = collection.everything()
    names = np.array([name or face_id for name, face_id in zip(everything.subjects, everything.face_ids, strict=True)])
    if not len(names):
        return EnrollmentCheck()
    similarities = everything.vectors @ vector

    def told(row: int) -> str:
        if scorer is None:
            return f"{similarities[row]:.2f}"
        return f"{scorer.compare(vector, everything.vectors[row : row + 1])[0]:.0f} of 100"

    is_own = names == subject
    own, others = np.flatnonzero(is_own), np.flatnonzero(~is_own)
    best_own = int(own[similarities[own].argmax()]) if len(own) else None
    nearest_own = float(similarities[best_own]) if best_own is not None else -1.0
    if nearest_own >= SAME:
        return EnrollmentCheck(redundant=True)
    if best_own is not None and nearest_own < UNLIKE * match:
        return EnrollmentCheck(f"it looks nothing like {subject} ({told(best_own)})")
    if not len(others):
        return EnrollmentCheck()
    best_other = int(others[similarities[others].argmax()])
    rival, nearest = str(names[best_other]), float(similarities[best_other])
    if best_own is None and nearest >= match:
        return EnrollmentCheck(f"it looks like {rival}, who is enrolled already ({told(best_other)})")
    if best_own is not None and ((nearest >= match and nearest > nearest_own) or nearest - nearest_own > LEAD):
        return EnrollmentCheck(
            f"it looks more like {rival} ({told(best_other)}) than like {subject} ({told(best_own)})"
        )
    stolen = _stolen(everything.vectors, names, similarities, subject, match)
    return EnrollmentCheck(f"a face of {stolen} would be taken for {subject}" if stolen else "")


def _stolen(vectors: FloatArray, named: NDArray[np.str_], similarities: FloatArray, subject: str, match: float) -> str:
    """A subject one of whose faces would be nearest to the new one, though others of its own are there; or empty."""
    for row in np.flatnonzero((named != subject) & (similarities >= match)).tolist():
        mine = (named == named[row]) & (np.arange(len(named)) != row)
        if mine.any() and float((vectors[mine] @ vectors[row]).max()) < float(similarities[row]):
            return str(named[row])
    return ""
