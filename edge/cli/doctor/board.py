"""Checks of clock, temperature, power supply and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.system import hardware as board
from edge.core.system.trusted_time import BUILT

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
LITTLE_MEMORY = 150 << 20

FLAGS = {
    "under_voltage": ("the supply voltage is too low", "use the board's own power supply and a short, thick cable"),
    "frequency_capped": ("the clock of the CPU is capped", "cool the board, and check its power supply"),
    "throttled": ("the CPU is throttled", "cool the board, and check its power supply"),
    "soft_temperature_limit": ("the board is at its soft temperature limit", "add a heat sink or a fan"),
}


def clock(context: DoctorContext) -> Iterator[Finding]:
    """Check that the clock is synchronized."""
    now, text = time.time(), time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    if now < BUILT:
        yield Finding(
            Level.ERROR, "clock", f"the clock ({text} UTC) is earlier than the build of this version of edge",
            "TLS and releases fail, and events carry wrong times",
            "connect the board to a time server (timedatectl status), or set the clock",
        )  # fmt: skip
    elif board.clock() != "synced" and not context.settings.sync.trust_clock:
        yield Finding(
            Level.WARNING, "clock", f"the clock ({text} UTC) is not synchronized",
            "events are marked unsynced, and no release is installed",
            "check timedatectl status and that UDP port 123 is open; set sync.trust_clock on a board with an RTC",
        )  # fmt: skip
    else:
        yield Finding(Level.OK, "clock", f"{text} UTC")


def condition(context: DoctorContext) -> Iterator[Finding]:
    """Check temperature and throttling."""
    shedding = context.settings.shedding
    flags, heat = board.throttled(shedding.board), board.temperature(shedding.board)
    for flag in flags:
        what, hint = FLAGS[flag]
        yield Finding(Level.WARNING, "board", what, "reported by the firmware", hint)
    if heat is not None and heat > shedding.temperature:
        why = "the daemon sheds load" if shedding.enabled else "the CPU is throttled"
        yield Finding(
            Level.WARNING, "board", f"{heat:.0f} °C, limit {shedding.temperature:.0f} °C", why,
            "add a heat sink or a fan",
        )  # fmt: skip
    elif not flags:
        yield Finding(Level.OK, "board", board.model() + (f", {heat:.0f} °C" if heat is not None else ""))


def memory(context: DoctorContext) -> Iterator[Finding]:
    """Check free memory, and that the kernel enforces the memory limit of the unit."""
    numbers = _meminfo()
    free = numbers.get("MemAvailable", 0)
    if numbers and free < LITTLE_MEMORY and context.daemon is None:
        yield Finding(
            Level.WARNING, "memory", f"{free >> 20} MiB are free", "two models and 10,000 faces take 150 MiB",
            "stop other programs, or use smaller models",
        )  # fmt: skip
    elif numbers:
        yield Finding(Level.OK, "memory", f"{free >> 20} of {numbers.get('MemTotal', 0) >> 20} MiB are free")
    controllers = CGROUPS / "cgroup.controllers"
    if controllers.exists() and "memory" not in controllers.read_text().split():
        yield Finding(
            Level.NOTE, "memory", "the kernel does not limit the memory of services",
            "MemoryMax of the unit has no effect",
            "add cgroup_enable=memory to /boot/firmware/cmdline.txt and restart the board",
        )  # fmt: skip


def _meminfo() -> dict[str, int]:
    """Name -> bytes of /proc/meminfo; empty where it cannot be read."""
    try:
        lines = (PROC / "meminfo").read_text().splitlines()
    except OSError:
        return {}
    parts = [line.split() for line in lines]
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in parts if len(words) > 1 and words[1].isdigit()}
