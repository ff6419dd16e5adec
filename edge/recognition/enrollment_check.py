"""The gate before a collection: a face that is added must not harm those that are there.

The test set is the collection itself: a new face that is nearer to somebody else than to its own subject, or that
would draw somebody else's face to its name, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    """What the gate says of a face that is to be added."""

    harm: str = ""
    """why it must not be added; empty: it may"""
    redundant: bool = False
    """a face of the same subject is nearly the same look"""


def check_enrollment(collection: Collection, vector: FloatArray, subject: str, match: float) -> EnrollmentCheck:
    """Whether one more face of ``subject`` would make the collection worse. ``match``: cosine that makes a match."""
    everything = collection.everything()
    names = np.array([name or face_id for name, face_id in zip(everything.subjects, everything.face_ids, strict=True)])
    if not len(names):
        return EnrollmentCheck()
    similarities = everything.vectors @ vector
    own, others = similarities[names == subject], similarities[names != subject]
    nearest_own = float(own.max()) if len(own) else -1.0
    if nearest_own >= SAME:
        return EnrollmentCheck(redundant=True)
    if len(own) and nearest_own < UNLIKE * match:
        return EnrollmentCheck(f"it looks nothing like {subject} ({nearest_own:.2f})")
    if not len(others):
        return EnrollmentCheck()
    rival, nearest = str(names[names != subject][int(others.argmax())]), float(others.max())
    if (nearest >= match and nearest > nearest_own) or (len(own) and nearest - nearest_own > LEAD):
        return EnrollmentCheck(f"it looks more like {rival} ({nearest:.2f}) than like {subject} ({nearest_own:.2f})")
    stolen = _stolen(everything.vectors, names, similarities, subject, match)
    return EnrollmentCheck(f"a face of {stolen} would be taken for {subject}" if stolen else "")


def _stolen(vectors: FloatArray, named: NDArray[np.str_], similarities: FloatArray, subject: str, match: float) -> str:
    """A subject one of whose faces would be nearest to the new one, though others of its own are there; or empty."""
    for row in np.flatnonzero((named != subject) & (similarities >= match)).tolist():
        mine = (named == named[row]) & (np.arange(len(named)) != row)
        if mine.any() and float((vectors[mine] @ vectors[row]).max()) < float(similarities[row]):
            return str(named[row])
    return ""
