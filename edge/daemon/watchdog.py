"""Feeds systemd's watchdog while all monitored threads send heartbeats.

Each monitored thread has a ``Heartbeat``. While one is silent for longer than its patience the watchdog
is not fed; once it has been silent for as long as systemd waits, systemd is told to act now rather than that long
after the last feed. Threads whose end is not critical have none; the README says which, and why.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from edge.core.system import systemd as sdnotify
from edge.core.system.heartbeat import Heartbeat

log = logging.getLogger(__name__)

STUCK = 10.0
"""seconds of silence after which a thread counts as hung"""
LONG = 300.0
"""the same for a thread that runs long jobs"""
STAND_IN = 600.0
"""grace period (seconds) for a hung thread while another thread of its group is alive"""


@dataclass(frozen=True, slots=True)
class _WatchedThread:
    pulse: Heartbeat
    patience: float
    group: str


class Watchdog:
    """The main thread calls ``look`` about once a second; without it, the watchdog is not fed."""

    def __init__(self, seconds: float | None = None) -> None:
        """``seconds``: how long systemd waits; None where it does not watch."""
        self._seconds = seconds
        self._threads: dict[str, _WatchedThread] = {}
        self._told: set[str] = set()

    def watch(self, thread: str, pulse: Heartbeat | None = None, patience: float = STUCK, group: str = "") -> Heartbeat:
        """From its first beat on, ``thread`` must not be silent for more than ``patience`` seconds.

        Threads of one ``group`` (cameras) stand in for each other: a single hung one has a grace period of STAND_IN, so
        that a driver which hangs at every start does not stop the others.
        """
        pulse = pulse or Heartbeat()
        self._threads[thread] = _WatchedThread(pulse, patience, group)
        return pulse

    def silent(self, now: float) -> list[str]:
        """The threads that hang, grace period or not. ``now``: monotonic seconds."""
        return sorted(name for name, one in list(self._threads.items()) if one.pulse.silent(now) > one.patience)

    def hung(self, now: float) -> dict[str, float]:
        """Thread -> seconds without a heartbeat, of those past their grace period."""
        silent = self.silent(now)
        moving = {one.group for name, one in list(self._threads.items()) if one.group and name not in silent}
        found = {}
        for name in silent:
            one = self._threads[name]
            if one.group not in moving or one.pulse.silent(now) > STAND_IN:
                found[name] = one.pulse.silent(now)
        return found

    def look(self, now: float) -> list[str]:
        """Feed, withhold or trigger systemd's watchdog. Returns the threads that hang."""
        silent, hung = self.silent(now), self.hung(now)
        if set(silent) != self._told:
            self._tell(set(silent), hung)
        if not hung:
            sdnotify.alive()
        elif self._seconds is not None and max(hung.values()) >= self._seconds:
            sdnotify.trigger_watchdog()
        return silent

    def _tell(self, silent: set[str], hung: dict[str, float]) -> None:
        for name in sorted(silent - self._told):
            effect = ": the watchdog is not fed" if name in hung else "; others of its group continue"
            log.error("thread %s hangs%s", name, effect)
        for name in sorted(self._told - silent):
            log.info("thread %s recovered", name)
        self._told = silent
