"""Whether a thread still moves: it says so, somebody else looks."""

from __future__ import annotations

import time


class Heartbeat:
    """One thread beats. While it rests (it has not begun, it ended, it waits for work) its silence means nothing."""

    __slots__ = ("_beat",)

    def __init__(self) -> None:
        self._beat: float | None = None

    def beat(self, more: float = 0.0) -> None:
        """The thread moves now, and will beat again; what it does next may take ``more`` seconds than usual."""
        self._beat = time.monotonic() + more

    def rest(self) -> None:
        """The thread may be silent from now on."""
        self._beat = None

    def silent(self, now: float) -> float:
        """Seconds since the latest beat; 0 while it rests. ``now``: monotonic seconds."""
        beat = self._beat
        return 0.0 if beat is None else max(0.0, now - beat)
