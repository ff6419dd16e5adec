"""A power cut without LazyFS: a library that is preloaded copies what a process syncs, and only that survives."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


def library(folder: Path) -> Path:
    """The compiled library; skips the test where it cannot be built or is of no use."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler or sys.platform != "linux":
        pytest.skip("needs a C compiler, on Linux, to simulate a power cut")
    target = folder / "powercut.so"
    built = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(SOURCE), "-ldl"], capture_output=True, text=True
    )
    if built.returncode:
        pytest.skip(f"the simulation of a power cut does not build here: {built.stderr[:300]}")
    return target


def environment(library_path: Path, root: Path, shadow: Path) -> dict[str, str]:
    """For the process whose power is cut; ``shadow`` exists afterwards and holds what a disk would."""
    shadow.mkdir(parents=True, exist_ok=True)
    return {
        "LD_PRELOAD": str(library_path),
        "POWERCUT_ROOT": str(root.resolve()),
        "POWERCUT_SHADOW": str(shadow.resolve()),
    }
