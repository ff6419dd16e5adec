"""What the board says of itself: temperature, throttling, memory, clock. Missing files mean unknown, not wrong."""

from __future__ import annotations

import os
import platform
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SYS = Path("/sys")
RUN = Path("/run")
PAGE = os.sysconf("SC_PAGESIZE")

THROTTLE_FLAGS = {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
"""bit -> what is happening now, of the Raspberry Pi firmware's ``get_throttled``"""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process, bytes."""

    resident: int
    private: int
    """resident pages that no file backs and nobody shares"""


def model() -> str:
    """The board's own name, or the machine's architecture."""
    text = _read(SYS / "firmware/devicetree/base/model")
    return text.rstrip("\0\n ") if text else platform.machine()


def temperature() -> float | None:
    """The hottest thermal zone, degrees Celsius; None where the board has none."""
    readings = [_read(path) for path in sorted((SYS / "class/thermal").glob("thermal_zone*/temp"))]
    degrees = [int(text) / 1000 for text in readings if text and text.strip().lstrip("-").isdigit()]
    return max(degrees, default=None)


def throttled() -> tuple[str, ...]:
    """What a Raspberry Pi's firmware is holding back now; empty elsewhere."""
    text = _read(SYS / "devices/platform/soc/soc:firmware/get_throttled")
    if not text:
        return ()
    try:
        bits = int(text.strip(), 16)
    except ValueError:
        return ()
    return tuple(name for bit, name in THROTTLE_FLAGS.items() if bits >> bit & 1)


def memory(pid: int | str = "self") -> Memory:
    """Memory of a process. Zeros where /proc does not tell."""
    fields = (_read(Path(f"/proc/{pid}/statm")) or "0 0 0").split()
    resident, shared = int(fields[1]) * PAGE, int(fields[2]) * PAGE
    return Memory(resident, resident - shared)


def step_back(nice: int = 10) -> None:
    """The calling thread, and those it starts, leave the processor to others; where the system allows it."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def clock() -> Literal["synced", "unsynced"]:
    """Whether wall time can be trusted, as systemd-timesyncd or chrony say. A machine without either is trusted."""
    if (RUN / "systemd/timesync").is_dir():
        return "synced" if (RUN / "systemd/timesync/synchronized").exists() else "unsynced"
    return "synced"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
