"""Heartbeat of a thread: the thread beats, a monitor reads its age."""

from __future__ import annotations

import time


class Heartbeat:
    """One thread beats. While it rests (not started, ended, waiting for work), no beat is expected."""

    __slots__ = ("_beat",)

    def __init__(self) -> None:
        self._beat: float | None = None

    def beat(self, more: float = 0.0) -> None:
        """Record that the thread is alive; its next step may take ``more`` seconds than usual."""
        self._beat = time.monotonic() + more

    def rest(self) -> None:
        """No beat is expected from now on."""
        self._beat = None

    def silent(self, now: float) -> float:
        """Seconds since the latest beat; 0 while it rests. ``now``: monotonic seconds."""
        beat = self._beat
        return 0.0 if beat is None else max(0.0, now - beat)
