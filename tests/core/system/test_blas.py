from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edge.core.system.blas import NEEDED, configure, features


def cpuinfo(folder: Path, flags: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: any\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: none\n")
    return path


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "fpu sse2 avx avx2 fma", "Haswell"),
        ("x86_64", "fpu sse2 avx", None),
        ("aarch64", "fpu avx2 fma", None),
    ],
)
def test_kernels_are_chosen_by_the_instructions_of_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, flags: str, expected: str | None
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    environment: dict[str, str] = {}
    configure(environment, cpuinfo(tmp_path, flags))
    assert environment.pop("OPENBLAS_NUM_THREADS") == "1"
    assert environment.get("OPENBLAS_CORETYPE") == expected


def test_what_the_owner_has_set_stays(tmp_path: Path) -> None:
    environment = {"OPENBLAS_CORETYPE": "Zen", "OPENBLAS_NUM_THREADS": "2"}
    configure(environment, cpuinfo(tmp_path, " ".join(NEEDED)))
    assert environment == {"OPENBLAS_CORETYPE": "Zen", "OPENBLAS_NUM_THREADS": "2"}


def test_a_kernel_that_lists_no_features_is_no_error(tmp_path: Path) -> None:
    assert features(tmp_path / "missing") == set()


def test_it_is_configured_before_numpy_is_imported() -> None:
    code = "import sys, edge.core.system.blas; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
