"""OpenBLAS, which numpy uses for products: settings that it reads from the environment when numpy is imported."""

from __future__ import annotations

import os
import platform
from collections.abc import MutableMapping
from pathlib import Path

CPU = Path("/proc/cpuinfo")
NEEDED = frozenset({"avx2", "fma"})
"""CPU features of OpenBLAS's Haswell kernels"""


def configure(environment: MutableMapping[str, str] = os.environ, cpu: Path = CPU) -> None:
    """Set what OpenBLAS needs, except variables that are set already. Call it before numpy is imported.

    One thread: searches are small products, for which helper threads cost more than they save, and spin on busy cores.
    Haswell kernels on x86-64 processors that have their instructions: a version of OpenBLAS treats processors that are
    newer than itself as a Prescott of 2004, on which a search takes two to three times as long.
    """
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    if platform.machine() == "x86_64" and features(cpu) >= NEEDED:
        environment.setdefault("OPENBLAS_CORETYPE", "Haswell")


def features(cpu: Path = CPU) -> set[str]:
    """Feature flags of the first processor; empty where the kernel does not list them."""
    try:
        with cpu.open(encoding="utf-8", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return set()
    return set(flags.partition(":")[2].split())
