"""Progress with the expected time left: a bar on a terminal, a line now and then in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from typing_extensions import Self


class Progress:
    """Counts steps of long work on stderr."""

    def __init__(self, title: str, total: float, start: float = 0) -> None:
        self._title, self._total, self._count, self._first = title, total, start, start
        self._started = time.monotonic()
        self._live = sys.stderr.isatty()
        self._next = self._started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            sys.stderr.write("\n")

    def advance(self, count: float = 1, note: str = "") -> None:
        """Add to the count and say so, at most every quarter second (20 seconds in a pipe)."""
        self._count += count
        now = time.monotonic()
        if now < self._next and self._count < self._total:
            return
        self._next = now + (0.25 if self._live else 20)
        self._say(now, note)

    def _say(self, now: float, note: str) -> None:
        done = self._count - self._first
        left = (now - self._started) / max(done, 1e-9) * (self._total - self._count)
        share = self._count / self._total if self._total else 1.0
        line = f"{self._title} {share:4.0%} left {max(left, 0) / 60:5.1f} min {note}"
        sys.stderr.write(f"\r{line:<100}" if self._live else f"{line}\n")
        sys.stderr.flush()
