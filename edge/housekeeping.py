"""What a daemon that runs for months does now and then: give back memory, and keep what it searches at hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge import board
from edge.collection import Collections

FIRST_SECONDS, SECONDS = 30.0, 60.0
"""after the start, and from then on"""


class Housekeeping:
    """``tick`` on one thread, often. What may wait for a disk is done by a thread of its own."""

    def __init__(self, warm: Callable[[], None]) -> None:
        self._warm = warm
        self._next = time.monotonic() + FIRST_SECONDS
        self._thread: threading.Thread | None = None

    def tick(self, now: float) -> None:
        """Monotonic seconds."""
        if now < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = now + SECONDS
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        board.step_back()
        board.give_back()
        self._warm()


def of(collections: Collections) -> Housekeeping:
    """That of a daemon."""
    return Housekeeping(collections.warm)
