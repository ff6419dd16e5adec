"""Trusted time: one clock for retention, expiry and order by age, which never jumps.

Wall time is a label for people. A board boots in 2020, a clock is set, runs ahead or is put back: none of it makes
anything older. Trusted time is counted in seconds since the epoch, as wall time is; only differences mean something:

- within one start of the system it is the kernel's boot time clock, the same for all processes
- between starts it stands still until wall time is synchronized; then it has moved by as much as synchronized wall time
- it is kept in ``clock.json`` of the state folder; without the file it begins with wall time, or with ``BUILT``

Where each age in the product comes from is listed in ``edge/core/README.md``.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge.core.storage import files, layout
from edge.core.system import hardware

log = logging.getLogger(__name__)

FILE = layout.CLOCK.name
BUILT = 1793491200.0
"""2026-11-01: this code is not older"""
WRITTEN_EVERY = 60.0
"""seconds; as much is lost with the power"""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the system's clocks say at one moment."""

    boot: str
    """tells one start of the system from another"""
    since_boot: float
    """seconds, suspend included"""
    wall: float
    """seconds since the epoch"""
    synchronized: bool


@dataclass(frozen=True, slots=True)
class ClockState:
    """What ``clock.json`` holds."""

    boot: str
    since_boot: float
    """of the latest reading"""
    trusted: float
    """at that reading"""
    synchronized_boot: str = ""
    """of the latest reading that was synchronized"""
    synchronized_wall: float = 0.0
    synchronized_trusted: float = 0.0


def read_clocks() -> ClockReading:
    """The system's clocks now."""
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot = "unknown"
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return ClockReading(boot, since_boot, time.time(), hardware.clock() == "synced")


def advanced(state: ClockState | None, now: ClockReading) -> ClockState:
    """The state at a later reading. Pure."""
    if state is None:
        state = ClockState(now.boot, now.since_boot, max(now.wall, BUILT))
    same = state.boot == now.boot and now.since_boot >= state.since_boot
    trusted = state.trusted + (now.since_boot - state.since_boot if same else 0.0)
    state = replace(state, boot=now.boot, since_boot=now.since_boot, trusted=trusted)
    if not now.synchronized:
        return state
    if state.synchronized_boot and state.synchronized_boot != now.boot:
        off = now.wall - state.synchronized_wall
        trusted = max(trusted, state.synchronized_trusted + off)
    return replace(
        state,
        trusted=trusted,
        synchronized_boot=now.boot,
        synchronized_wall=now.wall,
        synchronized_trusted=trusted,
    )


class TrustedClock:
    """Trusted time of one state folder. For any thread; processes that share the folder agree."""

    def __init__(self, folder: Path, read: Callable[[], ClockReading] = read_clocks) -> None:
        self._path = folder / FILE
        self._read = read
        self._lock = threading.Lock()
        self._state: ClockState | None = None
        self._written: ClockState | None = None

    def now(self) -> float:
        """Seconds since the epoch, as far as they can be known; never less than before."""
        with self._lock:
            if self._state is None:
                self._state = self._written = self._load()
            self._state = advanced(self._state, self._read())
            if self._is_due(self._state):
                self._store(self._state)
            return self._state.trusted

    def _is_due(self, state: ClockState) -> bool:
        old = self._written
        if old is None or old.boot != state.boot or old.synchronized_boot != state.synchronized_boot:
            return True
        return state.since_boot - old.since_boot >= WRITTEN_EVERY

    def _load(self) -> ClockState | None:
        try:
            document = json.loads(self._path.read_bytes())
            return ClockState(
                str(document["boot"]), float(document["since_boot"]), float(document["trusted"]),
                str(document["synchronized_boot"]), float(document["synchronized_wall"]),
                float(document["synchronized_trusted"]),
            )  # fmt: skip
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            log.warning("%s is damaged: ages are counted from now on", self._path)
            return None

    def _store(self, state: ClockState) -> None:
        with suppress(OSError):  # a disk that refuses costs the time until the next start, not the work
            if self._path.parent.is_dir():
                if self._path.is_dir():
                    return
                files.write_bytes(self._path, json.dumps(asdict(state)).encode())
                self._written = state


_clocks: dict[Path, TrustedClock] = {}
_clocks_lock = threading.Lock()


def trusted_now(folder: Path) -> float:
    """Trusted time of a state folder, seconds since the epoch."""
    with _clocks_lock:
        clock = _clocks.setdefault(folder.absolute(), TrustedClock(folder))
    return clock.now()
