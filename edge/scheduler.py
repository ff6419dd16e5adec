"""Which camera's newest frame the one inference thread takes next.

Stride scheduling: each camera has a virtual time that advances by the seconds its frames cost, divided by its
weight; the waiting camera with the least virtual time is next. A camera that was away comes back at the time of
the others, so it cannot claim what it did not use.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


class FairShare:
    """Shares of one thread by weight. Not thread-safe: the inference thread alone uses it."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)
        self._virtual = dict.fromkeys(weights, 0.0)
        self._now = 0.0

    def choose(self, waiting: Collection[str]) -> str:
        """The camera to serve, of those that have a frame. Raises ValueError where none waits."""
        chosen = min(waiting, key=lambda camera: max(self._virtual[camera], self._now))
        self._now = max(self._virtual[chosen], self._now)
        return chosen

    def charge(self, camera: str, seconds: float) -> None:
        """What the frame of ``camera`` has cost."""
        start = max(self._virtual[camera], self._now)
        self._virtual[camera] = start + seconds / self._weights[camera]
