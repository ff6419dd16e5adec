"""Periodic maintenance: return free memory, warm the search indexes, apply retention."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import EdgeError
from edge.core.storage import layout
from edge.core.system import hardware as board
from edge.daemon.component import Component

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings

log = logging.getLogger(__name__)

FIRST_SECONDS, SECONDS = 30.0, 60.0
"""after the start, and from then on"""
EXPIRE_SECONDS = 3600.0
REVIEW = layout.REVIEW.name
"""in the state folder"""


class Housekeeping(Component):
    """Runs maintenance on a thread of its own: it may wait for a disk."""

    def __init__(self, warm: Callable[[], None], expire: Callable[[], None] = lambda: None) -> None:
        self._warm, self._expire = warm, expire
        self._next = time.monotonic() + FIRST_SECONDS
        self._next_expiry = self._next
        self._thread: threading.Thread | None = None

    def tick(self, now: float) -> None:
        if now < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = now + SECONDS
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        board.lower_priority()
        board.trim_heap()
        self._warm()
        if time.monotonic() >= self._next_expiry:
            self._next_expiry = time.monotonic() + EXPIRE_SECONDS
            self._expire()


def expire(settings: Settings, state: Path) -> None:
    """Delete questions, answers and strangers that are older than the settings allow."""
    if not (state / REVIEW).exists():
        return
    from edge.recognition.review.queue import ReviewQueue

    try:
        with ReviewQueue(state, settings.review) as queue:
            queue.expire()
            queue.strangers.expire(settings.strangers)
    except EdgeError as error:
        log.warning("expired data cannot be deleted yet: %s", error)
