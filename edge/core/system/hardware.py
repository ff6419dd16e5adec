"""Hardware metrics: temperature, throttling, memory, clock. Missing files mean unknown values."""

from __future__ import annotations

import ctypes
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
FIRMWARE = "devices/platform/soc*/soc*:firmware/get_throttled"
LOW_VOLTAGE = "class/hwmon/hwmon*/in0_lcrit_alarm"
SENSORS = "class/hwmon/hwmon*/temp*_input"
CONSTANT = ("PMIC-Die",)
"""zones that always report 100 degrees (Jetson Nano and TX2)"""
MADV_POPULATE_READ = 22
COLDEST, HOTTEST = -60.0, 150.0
"""degrees Celsius; values beyond come from a sensor that is switched off"""


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Memory of a process, bytes."""

    resident: int
    private: int
    """resident pages that no file backs and nobody shares"""


def model() -> str:
    """The board's own name, or the machine's architecture."""
    return _line(SYS / "firmware/devicetree/base/model") or platform.machine()


def temperature(sys: Path | None = None) -> float | None:
    """The hottest thermal zone of the kernel, else the hottest sensor; degrees Celsius. None where there is neither.

    ``sys``: where the kernel shows them, ``SYS`` if not given. The same for ``throttled``.
    """
    sys = sys or SYS
    zones = [zone for zone in sorted(_glob(sys, "class/thermal/thermal_zone*")) if _line(zone / "type") not in CONSTANT]
    readings = [_number(zone / "temp") for zone in zones] or [_number(path) for path in _glob(sys, SENSORS)]
    degrees = [value / 1000 for value in readings if value is not None]
    return max((value for value in degrees if COLDEST < value < HOTTEST), default=None)


def throttled(sys: Path | None = None) -> tuple[str, ...]:
    """Active throttling conditions, as named in ``THROTTLE_FLAGS``.

    A Raspberry Pi's firmware says so; of other boards the kernel, whose cooling device slows the CPU down.
    """
    sys = sys or SYS
    found = []
    for path in _glob(sys, FIRMWARE):
        bits = _number(path, 16) or 0
        found += [name for bit, name in THROTTLE_FLAGS.items() if bits >> bit & 1]
    if any(_line(path.parent / "name") == "rpi_volt" and _number(path) for path in _glob(sys, LOW_VOLTAGE)):
        found.append("under_voltage")
    coolers = [path for path in _glob(sys, "class/thermal/cooling_device*") if "cpufreq" in _line(path / "type")]
    if any((_number(path / "cur_state") or 0) > 0 for path in coolers):
        found.append("throttled")
    return tuple(name for name in THROTTLE_FLAGS.values() if name in found)


def memory(pid: int | str = "self") -> MemoryUsage:
    """Memory of a process. Zeros where /proc does not tell."""
    fields = (_read(Path(f"/proc/{pid}/statm")) or "0 0 0").split()
    resident, shared = int(fields[1]) * PAGE, int(fields[2]) * PAGE
    return MemoryUsage(resident, resident - shared)


def available() -> int:
    """Bytes that a program may still take before others have to make room; a terabyte where /proc does not tell."""
    for line in (_read(Path("/proc/meminfo")) or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 1 << 40


def trim_heap() -> bool:
    """Return free heap memory to the system (malloc_trim), where the C library supports it. Takes milliseconds.

    Each thread of glibc keeps a heap of its own: one large picture, or a scene that was made, would stay for ever.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError):
        return False


def prefault(path: Path) -> bool:
    """Prefault all pages of a mapped file (MADV_POPULATE_READ); whether the kernel supports it (5.14 on).

    May wait for the disk. A query that meets pages one by one pays for each, in the page cache or not.
    """
    madvise = getattr(ctypes.CDLL(None, use_errno=True), "madvise", None)
    lines = (_read(Path("/proc/self/maps")) or "").splitlines()
    spans = [line.split()[0].split("-") for line in lines if line.endswith(f" {path}")]
    lengths = [(int(start, 16), int(end, 16) - int(start, 16)) for start, end in spans]
    return (
        bool(lengths)
        and madvise is not None
        and not any(
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), MADV_POPULATE_READ) for start, length in lengths
        )
    )


LOWEST_PRIORITY = 19


def lower_priority(nice: int = 10) -> None:
    """Lower the priority of the calling thread, and of those it starts, by ``nice`` steps; where the system allows it.

    Relative: a process that was started lower goes lower still. Linux keeps the value for each thread.
    """
    thread = threading.get_native_id()
    with suppress(OSError):
        own = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(LOWEST_PRIORITY, own + nice))


def clock() -> Literal["synced", "unsynced"]:
    """Whether the clock is synchronized, by systemd-timesyncd or chrony. A machine without either is trusted."""
    if (RUN / "systemd/timesync").is_dir():
        return "synced" if (RUN / "systemd/timesync/synchronized").exists() else "unsynced"
    return "synced"


def _glob(folder: Path, pattern: str) -> list[Path]:
    """None where the system shows nothing, or has no descriptor or memory left to look."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(_line(path), base)
    except ValueError:
        return None


def _line(path: Path) -> str:
    return (_read(path) or "").strip("\0\n ")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
