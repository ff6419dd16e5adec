"""Exact CPU time of all threads, for intervals as short as one inference."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

TASKS = "/proc/self/task"


class Threads:
    """The threads of this process at creation.

    ``time.process_time`` is exact for the calling thread, but includes threads on other cores only as accounted by the
    kernel: at a tick, or when a thread sleeps, as helper threads of the runtime do right after an inference. Much of
    their work would be counted outside it.
    """

    def __init__(self) -> None:
        self._spent = {_clock(int(task.name)): 0.0 for task in Path(TASKS).iterdir()}

    def seconds(self) -> float:
        """Total CPU time (s); of an ended thread, the last value read."""
        for clock in self._spent:
            with suppress(OSError):
                self._spent[clock] = time.clock_gettime(clock)
        return sum(self._spent.values())


def _clock(thread: int) -> int:
    """Clock id of the CPU time of a thread (CPUCLOCK_PERTHREAD and CPUCLOCK_SCHED, posix-timers.h)."""
    return ~thread << 3 | 4 | 2
