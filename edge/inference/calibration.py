"""Score calibration: the per-model map from internal scores to likeness 0..100, and the meaning of a likeness.

A calibration is a polyline through (score, likeness) points, written in the model's card. A score is a normalized one
(``edge.inference.scoring``) where the card has a cohort, else a cosine. Whatever the model, a likeness means the same
share of comparisons with a stranger of the same origin and the same scene that reach it: see ``MEANING``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from edge.core.errors import ModelError

MEANING = ((0.0, 0.0), (40.0, math.log10(0.5)), (60.0, -2.0), (80.0, -4.0), (99.0, -6.0), (100.0, -8.0))
"""(likeness, log10 of the false match rate), the same for every card: 80 is one false match in 10,000"""

Points = Sequence[tuple[float, float]]


def false_match_rate(likeness: float) -> float:
    """Share 1..1e-8 of comparisons with a stranger that reach ``likeness`` 0..100."""
    return math.pow(10.0, _interpolate([p[0] for p in MEANING], [p[1] for p in MEANING], likeness))


def likeness_at(rate: float) -> float:
    """The likeness 0..100 that a share ``rate`` of comparisons with a stranger reaches."""
    return _interpolate([-p[1] for p in MEANING], [p[0] for p in MEANING], -math.log10(max(rate, 1e-300)))


@dataclass(frozen=True)
class Calibration:
    """A strictly rising polyline of (score, likeness 0..100), constant beyond its ends.

    Raises ModelError for fewer than two points, points that do not rise in both coordinates, or shares in
    ``accepted`` that rise.
    """

    points: Points = ((-1.0, 0.0), (0.0, 40.0), (0.35, 80.0), (0.55, 99.0), (1.0, 100.0))
    """(score, likeness), rising"""
    accepted: Points = ((0.0, 1.0), (40.0, 0.998), (60.0, 0.99), (80.0, 0.95), (99.0, 0.7), (100.0, 0.0))
    """(likeness, share of comparisons of the same person that reach it); likeness rises, shares fall"""

    def __post_init__(self) -> None:
        rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(self.points))
        if len(self.points) < 2 or not rising:
            raise ModelError(
                f"calibration: expected at least two rising (score, likeness) points, got {self.points!r}",
                "correct [calibration] in the model's card.toml",
            )
        falling = all(a[0] < b[0] and a[1] >= b[1] for a, b in pairwise(self.accepted))
        if len(self.accepted) < 2 or not falling:
            raise ModelError(
                f"calibration: expected accepted as (rising likeness, falling share), got {self.accepted!r}",
                "correct [calibration] in the model's card.toml",
            )

    def likeness(self, score: float) -> float:
        """Likeness 0..100 of a score."""
        return _interpolate(*self._columns, score)

    def score(self, likeness: float) -> float:
        """The score that has this likeness 0..100."""
        scores, likenesses = self._columns
        return _interpolate(likenesses, scores, likeness)

    def accepts(self, likeness: float) -> float:
        """Share 0..1 of comparisons of the same person that reach ``likeness``."""
        return _interpolate([p[0] for p in self.accepted], [p[1] for p in self.accepted], likeness)

    def log_likelihood_ratio(self, likeness: float) -> float:
        """Natural logarithm of how much likelier this likeness is for the same person than for a stranger.

        Between neighboring points of ``MEANING`` the ratio of the two shares that fall between them; linear from the
        middle of one pair to the middle of the next.
        """
        middles, ratios = self._ratios
        return _interpolate(middles, ratios, likeness)

    @cached_property
    def _columns(self) -> tuple[list[float], list[float]]:
        """Scores and likenesses of the points, cached: they are needed several times per frame."""
        return [p[0] for p in self.points], [p[1] for p in self.points]

    @cached_property
    def _ratios(self) -> tuple[list[float], list[float]]:
        """Likeness in the middle of each pair of neighbors of ``MEANING``, and the logarithm of the ratio there."""
        middles, ratios = [], []
        for (low, _), (high, _) in pairwise(MEANING):
            same = max(1e-4, self.accepts(low) - self.accepts(high))
            stranger = false_match_rate(low) - false_match_rate(high)
            middles.append((low + high) / 2)
            ratios.append(math.log(same / stranger))
        return middles, ratios


def _interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    i = bisect_right(xs, x)
    share = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[i - 1] + share * (ys[i] - ys[i - 1])
