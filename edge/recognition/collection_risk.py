"""Collection risk: estimated false match rate of strangers, and confusable subjects.

The false match rate of one comparison (model card) times the number of subjects; or higher, if the embedder's cohort
or the site's stored strangers match this collection more often.
Rates are per single frame; voting over a track lowers them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.inference.calibration import false_match_rate
from edge.recognition.score_policy import DOUBT

if TYPE_CHECKING:
    from edge.core.types import FloatArray, Match
    from edge.recognition.subject_search import SubjectSearch

PROBES = 1_000
"""maximum cohort members that are compared with the collection"""
TAIL = 50
"""number of highest scores from which the tail is extrapolated"""
FEWEST = 30
"""minimum strangers of the site for a separate estimate"""
FACES = 2_000
"""maximum enrolled faces that are compared with the other subjects"""
BATCH = 64


@dataclass(frozen=True, slots=True)
class ConfusablePair:
    """Two subjects with faces at or near the match threshold of the other."""

    subject: str
    other: str
    likeness: float
    """highest likeness 0..100 between them"""


@dataclass(frozen=True, slots=True)
class CollectionRisk:
    """Risk of a collection at the configured threshold."""

    subjects: int
    needed: float
    """likeness 0..100 that a match must reach"""
    false_names: float | None
    """share of strangers' frames that get a name; None: the collection is empty"""
    strangers: int
    """number of the site's strangers in the estimate"""
    confusable: tuple[ConfusablePair, ...]
    """highest likeness first"""

    def words(self) -> str:
        """Summary in one line."""
        if self.false_names is None:
            return "nobody is enrolled"
        if self.false_names < 1e-6:
            rate = "a stranger is named less than once in 1,000,000 looks"
        else:
            rate = f"a stranger is named about once in {_rounded(1 / self.false_names):,} looks"
        pairs = [f"{pair.subject} and {pair.other}" for pair in self.confusable[:3]]
        more = f" and {len(self.confusable) - 3} more" if len(self.confusable) > 3 else ""
        return f"{rate}; confusable: {', '.join(pairs)}{more}" if pairs else rate


def estimate(search: SubjectSearch, strangers: FloatArray | None = None) -> CollectionRisk:
    """Estimate the risk. ``strangers``: (n, dimensions), one embedding per stranger of the site. Raises StoreError."""
    count, needed = search.count, search.needed
    cohort = search.scorer.cohort
    rates = [min(1.0, count * false_match_rate(needed))] if count else []
    if cohort is not None and count:
        vectors, highest = cohort.members(PROBES)
        rates.append(_rate(search, _best(search, vectors, highest), needed))
    own = 0 if strangers is None else len(strangers)
    if strangers is not None and own >= FEWEST and count:
        rates.append(_rate(search, _best(search, strangers, None), needed))
    return CollectionRisk(count, needed, max(rates, default=None), own, _confusable(search, needed))


def _best(search: SubjectSearch, vectors: FloatArray, highest: FloatArray | None) -> list[float]:
    """The likeness of each vector to its nearest subject."""
    found: list[float] = []
    for start in range(0, len(vectors), BATCH):
        part = slice(start, start + BATCH)
        matches = search.subjects(vectors[part], highest=None if highest is None else highest[part])
        found += [one[0].likeness if one else 0.0 for one in matches]
    return found


def _rate(search: SubjectSearch, likenesses: Sequence[float], needed: float) -> float:
    """The share that reaches ``needed``; if few do, from an exponential fit of the highest scores."""
    calibration = search.scorer.calibration
    scores = np.sort([calibration.score(likeness) for likeness in likenesses])
    least = calibration.score(needed)
    reached = int((scores >= least).sum())
    count = min(TAIL, len(scores) // 2)
    if reached >= count or count < 2:
        return reached / len(scores)
    tail = scores[-count:]
    mean = float((tail - tail[0]).mean())
    return count / len(scores) * math.exp(-(least - float(tail[0])) / mean) if mean > 0 else reached / len(scores)


def _confusable(search: SubjectSearch, needed: float) -> tuple[ConfusablePair, ...]:
    everything = search.collection.everything()
    named = [row for row, subject in enumerate(everything.subjects) if subject is not None]
    rows = named[:: max(1, -(-len(named) // FACES))]
    pairs: dict[tuple[str, str], float] = {}
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        found = search.subjects(everything.vectors[part])
        for row, matches in zip(part, found, strict=True):
            _note(pairs, everything.subjects[row] or "", matches, needed * DOUBT)
    made = (ConfusablePair(*names, round(likeness, 1)) for names, likeness in pairs.items())
    return tuple(sorted(made, key=lambda pair: -pair.likeness))


def _note(pairs: dict[tuple[str, str], float], subject: str, matches: Sequence[Match], least: float) -> None:
    for match in matches:
        if match.subject is not None and match.subject != subject and match.likeness >= least:
            first, second = sorted((subject, match.subject))
            pairs[first, second] = max(match.likeness, pairs.get((first, second), 0.0))


def _rounded(number: float) -> int:
    """Round to two significant digits."""
    digits = max(0, math.floor(math.log10(number)) - 1)
    return int(round(number, -digits))
