"""Things that stay: a parked car is one appearance for days, whatever light, wind and passers-by do.

A detector misses a thing that stands still now and then, and somebody walks past it. Where its place in the picture
looks as it did when the thing was last detected, it is still there: its track rests, and does not age. Where the place
looks different, it is hidden or gone: a track that has stayed for long waits longer than one that moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.core.types import Box

if TYPE_CHECKING:
    from edge.core.types import FloatArray

View = Callable[[Box], "FloatArray | None"]
"""brightness of a place in the current frame, (SIDE, SIDE) of mean 0 and length 1; None where it shows no structure"""

SIDE = 16
"""samples across a place"""
STAYS_IOU = 0.6
"""with the place where it first stood still: boxes tremble"""
MOVED_SECONDS = 2.0
"""of detections elsewhere, after which it has moved"""
SETTLED_SECONDS, SETTLED_HITS = 10.0, 5
"""after which a thing that has not moved is settled: it may rest, is waited for, and nothing new starts inside it"""
SAME_LOOK = 0.7
"""correlation of the place with how it looked: .8 and more with noise and shadows, below .5 with somebody in front"""
FOLLOW = 0.1
"""share by which the remembered look follows the present one"""
LOOK_SECONDS = 0.5
"""interval between two comparisons at the place of a detected object, seconds: light changes slowly"""
FIRST_LOOK_SECONDS = 2.0
"""of standing still before the place is looked at: a thing that moves is never compared"""
PATIENCE_SHARE, MOST_PATIENCE = 0.5, 20.0
"""A settled thing that is hidden is waited for this share of the time it has stayed, seconds at most."""


@dataclass(slots=True)
class Stillness:
    """Since when a thing has stayed where it is, and how its place looks."""

    place: Box
    since: float
    """seconds of the tracker's clock"""
    hits: int = 1
    look: FloatArray | None = None
    looked: float = -LOOK_SECONDS
    """seconds of the tracker's clock at which ``look`` was updated"""
    displaced: float | None = None
    """since when it is detected elsewhere; a passer-by stretches a box for a moment"""

    def seen(self, box: Box, at: float, view: View | None) -> None:
        """It was detected here."""
        if box.iou(self.place) < STAYS_IOU:
            self.displaced = at if self.displaced is None or self._looks_the_same(view) else self.displaced
            if at - self.displaced >= MOVED_SECONDS:
                self.place, self.since, self.hits, self.look, self.displaced = box, at, 1, None, None
            return
        self.hits, self.displaced = self.hits + 1, None
        due = at - self.looked >= LOOK_SECONDS if self.look is not None else at - self.since >= FIRST_LOOK_SECONDS
        if due and view is not None and (now := view(self.place)) is not None:
            self.looked = at
            self.look = now if self.look is None else _follow(self.look, now)

    def rests(self, at: float, view: View | None) -> bool:
        """It was not detected: whether its place looks as if it were still there."""
        if not self.settled(at) or not self._looks_the_same(view):
            return False
        self.displaced = None
        return True

    def _looks_the_same(self, view: View | None) -> bool:
        """Whether the place looks as it did; the remembered look follows slow light then."""
        if self.look is None or view is None:
            return False
        now = view(self.place)
        if now is None or float((now * self.look).sum()) < SAME_LOOK:
            return False
        self.look = _follow(self.look, now)
        return True

    def settled(self, at: float) -> bool:
        return at - self.since >= SETTLED_SECONDS and self.hits >= SETTLED_HITS

    def patience(self, at: float) -> float:
        """Seconds more than usual that it may be hidden."""
        return min(MOST_PATIENCE, PATIENCE_SHARE * (at - self.since)) if self.settled(at) else 0.0


def _follow(look: FloatArray, now: FloatArray) -> FloatArray:
    mixed = (1 - FOLLOW) * look + FOLLOW * now
    length = float(np.linalg.norm(mixed))
    followed: FloatArray = (mixed / length).astype(np.float32) if length > 0 else now
    return followed
