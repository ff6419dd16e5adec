"""Lines for journald, which knows the time and reads the level from ``<N>``, or for people: a terminal, a file.

No line holds the password of an address, and one that repeats itself is written once in a while, with a count.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge.core.credentials import mask_credentials
from edge.core.settings.services import LogSettings

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
BURST = 20
"""different lines of one place in the code within ``repeat_seconds``; what comes past them is counted"""
REMEMBERED = 1024
"""lines and places that are remembered; the oldest are forgotten first"""


def to_stderr(settings: LogSettings) -> None:
    """Write to stderr from now on. SIGUSR2 switches to debug and back, where this is the main thread."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(journal=_is_journal()))
    handler.addFilter(RepeatFilter(settings.repeat_seconds))
    root = logging.getLogger()
    root.handlers[:] = [other for other in root.handlers if not isinstance(other.formatter, LineFormatter)] + [handler]
    root.setLevel(settings.level.upper())
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR2, lambda *_: _toggle(settings.level))


def _is_journal() -> bool:
    """Whether stderr is the stream that systemd connected to journald (``$JOURNAL_STREAM``, systemd.exec(5))."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def _toggle(level: str) -> None:
    root = logging.getLogger()
    root.setLevel(level.upper() if root.level == logging.DEBUG else logging.DEBUG)
    logging.getLogger(__name__).warning("the log's level is now %s", logging.getLevelName(root.level).lower())


class LineFormatter(logging.Formatter):
    """``<priority>message`` as sd-daemon(3) wants it, or a line with time and level for people."""

    def __init__(self, journal: bool) -> None:
        super().__init__("%(name)s: %(message)s" if journal else "%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        line = mask_credentials(super().format(record))
        if count := getattr(record, "repeated", 0):
            line += f" ({count} more like it since the last)"
        if not self._journal:
            return line
        # each line of a traceback is a message of its own to journald, and must say its level too
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + part for part in line.splitlines())


@dataclass(slots=True)
class _Seen:
    since: float
    """monotonic seconds"""
    written: int = 0
    held: int = 0


class RepeatFilter(logging.Filter):
    """Lets the same line through once in ``seconds``, and at most ``BURST`` of one place in the code."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds, self._clock = seconds, clock
        self._seen: OrderedDict[tuple[object, ...], _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if not self._seconds or record.levelno <= logging.DEBUG:
            return True
        with self._lock:
            now = self._clock()
            line = self._of((record.name, record.levelno, record.getMessage()), now)
            place = self._of((record.pathname, record.lineno), now)
            if line.written or place.written >= BURST:
                line.held += 1
                return False
            line.written += 1
            place.written += 1
            record.repeated, line.held = line.held, 0
            return True

    def _of(self, key: tuple[object, ...], now: float) -> _Seen:
        seen = self._seen.setdefault(key, _Seen(now))
        if now - seen.since >= self._seconds:
            seen.since, seen.written = now, 0
        self._seen.move_to_end(key)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return seen
