"""Seconds from the start of a stored video, also where its own timestamps are missing, wrap, or jump."""

from __future__ import annotations

LONGEST_STEP = 60.0
"""seconds: a longer step between two frames is a broken timestamp, not a long wait"""


class Timeline:
    """Where each frame lies, given in the order of playing. Never goes back, and never far ahead at once."""

    def __init__(self, period: float) -> None:
        """``period``: seconds between frames where the timestamps do not say."""
        self._period = period
        self._stamp: float | None = None
        self.reached = -period
        """seconds of the latest frame; below 0 before the first"""

    def at(self, stamp: float | None) -> float:
        """Seconds from the first frame, of the next one with this timestamp (seconds from anywhere)."""
        step = self._period
        if stamp is not None and self._stamp is not None and 0 <= stamp - self._stamp <= LONGEST_STEP:
            step = stamp - self._stamp
        self._stamp = stamp if stamp is not None else None if self._stamp is None else self._stamp + self._period
        self.reached = max(0.0, self.reached + step)
        return self.reached
