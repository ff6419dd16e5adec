"""A board whose temperature and throttling the test decides: the files of the kernel, in a folder."""

from __future__ import annotations

from pathlib import Path


class Board:
    """What ``shedding.board`` points at."""

    def __init__(self, folder: Path, celsius: float = 45.0) -> None:
        self.folder = folder
        self._zone = folder / "class/thermal/thermal_zone0"
        self._firmware = folder / "devices/platform/soc/soc:firmware"
        self._zone.mkdir(parents=True)
        self._firmware.mkdir(parents=True)
        (self._zone / "type").write_text("cpu-thermal\n")
        self.has(celsius)
        self.holds_back(0)

    def has(self, celsius: float) -> None:
        """The CPU is that warm."""
        (self._zone / "temp").write_text(f"{round(celsius * 1000)}\n")

    def holds_back(self, flags: int) -> None:
        """The bits of the firmware's ``get_throttled``."""
        (self._firmware / "get_throttled").write_text(f"{flags:x}\n")
