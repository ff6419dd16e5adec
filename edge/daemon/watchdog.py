"""Feeds systemd's watchdog while everything moves that this daemon is for.

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
"""the same of a thread that does jobs for somebody, each as long as it takes"""
STAND_IN = 600.0
"""seconds that a hung thread is borne with while another of its group does the same work elsewhere"""


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

        Threads of one ``group`` (cameras) stand in for each other: one alone that hangs is borne with for STAND_IN, so
        that a driver which hangs at every start does not take the others with it.
        """
        pulse = pulse or Heartbeat()
        self._threads[thread] = _WatchedThread(pulse, patience, group)
        return pulse

    def silent(self, now: float) -> list[str]:
        """The threads that hang, whether or not that is borne with. ``now``: monotonic seconds."""
        return sorted(name for name, one in list(self._threads.items()) if one.pulse.silent(now) > one.patience)

    def hung(self, now: float) -> dict[str, float]:
        """Thread -> seconds of silence, of those whose silence is not borne with."""
        silent = self.silent(now)
        moving = {one.group for name, one in list(self._threads.items()) if one.group and name not in silent}
        found = {}
        for name in silent:
            one = self._threads[name]
            if one.group not in moving or one.pulse.silent(now) > STAND_IN:
                found[name] = one.pulse.silent(now)
        return found

    def look(self, now: float) -> list[str]:
        """Feed systemd's watchdog, or do not, or have it act. The threads that hang."""
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
            log.error("thread %s hangs%s", name, ": the watchdog is not fed" if name in hung else "; the others go on")
        for name in sorted(self._told - silent):
            log.info("thread %s moves again", name)
        self._told = silent
