"""Separate measurements: bytes written per event by the outbox, and start-up time by import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.core.settings.messaging import OutboxSettings
from edge.core.types import Event
from edge.mqtt.outbox.outbox import Outbox

IO = Path("/proc/self/io")
REPEATS = 50
STEPS = (
    "numpy",
    "cv2",
    "ai_edge_litert.interpreter",
    "paho.mqtt.client",
    "pydantic",
    "edge.core.settings",
    "edge.daemon.daemon",
)
"""modules in the order of import; each is charged with what it adds"""
PROGRAM = """
import importlib, json, sys, time
spent = {}
for name in json.loads(sys.argv[1]):
    began = time.perf_counter(), time.process_time()
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    spent[name] = [time.perf_counter() - began[0], time.process_time() - began[1]]
print(json.dumps(spent))
"""


def written(events: Sequence[Event], folder: Path, settings: OutboxSettings) -> dict[str, Any]:
    """Bytes written per event, for events committed one by one and in a batch, before delivery."""
    if not events:
        return {}
    return {
        "bytes_each_alone": _bytes([[event] for event in events][:REPEATS], folder / "alone.sqlite", settings),
        "bytes_each_in_batch": _bytes([list(events)[:REPEATS]], folder / "batch.sqlite", settings),
    }


def start() -> dict[str, dict[str, float]]:
    """Wall and CPU time (ms) that each import of the daemon adds, in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(STEPS)], capture_output=True, text=True, check=True
    )
    spent = json.loads(done.stdout)
    return {name: {"wall": round(1e3 * wall, 1), "cpu": round(1e3 * cpu, 1)} for name, (wall, cpu) in spent.items()}


def _bytes(batches: Sequence[Sequence[Event]], path: Path, settings: OutboxSettings) -> int | None:
    """Bytes per event, with each batch committed to disk. None where the kernel does not count."""
    outbox = Outbox(path, settings.model_copy(update={"commit_seconds": 0.0}))
    try:
        before = _written()
        for batch in batches:
            outbox.put(batch)
        after = _written()
    finally:
        outbox.close()
    count = sum(len(batch) for batch in batches)
    return None if before is None or after is None else round((after - before) / count)


def _written() -> int | None:
    """Bytes written by this process (wchar of /proc/self/io); None where it cannot be read."""
    try:
        lines = IO.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), None)
