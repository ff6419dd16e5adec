"""Fair scheduling: which camera's newest frame the inference thread takes next.

Stride scheduling: each camera has a virtual time that advances by the seconds its frames cost, divided by its
weight; the waiting camera with the least virtual time is next. A camera that was away comes back at the time of
the others, so it cannot claim what it did not use. Where nothing moves, a camera counts less: a look at a still
scene is worth less than one at what happens. Nothing queues: whoever is chosen shows its newest frame.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

STILL = 0.25
"""share of its weight that a camera has for a frame in which nothing moves"""


class FairShare:
    """Shares of one thread by weight and by motion. Not thread-safe: the inference thread alone uses it."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)
        self._virtual = dict.fromkeys(weights, 0.0)
        self._now = 0.0

    def choose(self, waiting: Collection[str]) -> str:
        """The camera to serve, of those that have a frame. Raises ValueError where none waits."""
        chosen = min(waiting, key=lambda camera: max(self._virtual[camera], self._now))
        self._now = max(self._virtual[chosen], self._now)
        return chosen

    def charge(self, camera: str, seconds: float, moving: bool = True) -> None:
        """Record the cost of a frame of ``camera``; ``moving``: motion was detected in it."""
        start = max(self._virtual[camera], self._now)
        self._virtual[camera] = start + seconds / (self._weights[camera] * (1.0 if moving else STILL))
