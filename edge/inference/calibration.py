"""Cosine inside, 0..100 outside: the map between them, per model.

A calibration is a polyline through (cosine, similarity) points, written in the model's card. It is fitted so
that 80 is a sensible default for a match and 99 a strict one; the card says on what data and with which error
rates.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge.core.errors import ModelError


@dataclass(frozen=True)
class Calibration:
    """A strictly rising polyline from (-1, 0) to (1, 100). Outside its ends it is flat.

    Raises ModelError for fewer than two points, or points that do not rise in both coordinates.
    """

    points: Sequence[tuple[float, float]] = ((-1.0, 0.0), (0.0, 40.0), (0.35, 80.0), (0.55, 99.0), (1.0, 100.0))
    """(cosine -1..1, similarity 0..100), rising"""

    def __post_init__(self) -> None:
        rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(self.points))
        if len(self.points) < 2 or not rising:
            raise ModelError(
                f"calibration: expected at least two rising (cosine, similarity) points, got {self.points!r}",
                "correct [calibration] in the model's card.toml",
            )

    def similarity(self, cosine: float) -> float:
        """Similarity 0..100 of a cosine."""
        return _interpolate([p[0] for p in self.points], [p[1] for p in self.points], cosine)

    def cosine(self, similarity: float) -> float:
        """The cosine that has this similarity 0..100."""
        return _interpolate([p[1] for p in self.points], [p[0] for p in self.points], similarity)


def _interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    i = bisect_right(xs, x)
    share = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[i - 1] + share * (ys[i] - ys[i - 1])
