"""CPU time to the moment, for spans as short as an invoke."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

TASKS = "/proc/self/task"


class Threads:
    """Those that this process has when this is made.

    ``time.process_time`` knows what this thread has done, but of one that runs on another core only what the kernel
    has booked: at a tick, or when it goes to sleep, as helpers of the runtime do right after an invoke. Much of their
    work would count as done outside it.
    """

    def __init__(self) -> None:
        self._spent = {_clock(int(task.name)): 0.0 for task in Path(TASKS).iterdir()}

    def seconds(self) -> float:
        """What they have spent so far; of one that has ended, until it was last asked."""
        for clock in self._spent:
            with suppress(OSError):
                self._spent[clock] = time.clock_gettime(clock)
        return sum(self._spent.values())


def _clock(thread: int) -> int:
    """The kernel's number of a thread's own clock (CPUCLOCK_PERTHREAD and CPUCLOCK_SCHED, posix-timers.h)."""
    return ~thread << 3 | 4 | 2
