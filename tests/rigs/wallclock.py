"""A wall clock that is wrong and jumps, for real processes: ``wallclock.c``, compiled and preloaded."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DAY = 86400


class WallClock:
    """Processes with ``surroundings`` see the time off by what ``set`` was last told."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            pytest.skip("needs a C compiler")
        library = folder / "wallclock.so"
        source = Path(__file__).with_suffix(".c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self._file = folder / "offset"
        self.surroundings = {"LD_PRELOAD": str(library), "WALLCLOCK": str(self._file)}
        self.set(0)

    def set(self, days: float) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(int(days * DAY)))
        new.replace(self._file)
