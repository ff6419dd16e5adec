"""Two parts on their own: what the outbox writes for an event, and where a start spends its time."""

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
"""imported in this order, each costs what it adds to those before it"""
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
    """Bytes that reach the file system for one event, by the way events come; events have not been delivered yet."""
    if not events:
        return {}
    return {
        "bytes_each_alone": _bytes([[event] for event in events][:REPEATS], folder / "alone.sqlite", settings),
        "bytes_each_in_batch": _bytes([list(events)[:REPEATS]], folder / "batch.sqlite", settings),
    }


def start() -> dict[str, dict[str, float]]:
    """Milliseconds of wall and CPU time that each step of an import of the daemon adds, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(STEPS)], capture_output=True, text=True, check=True
    )
    spent = json.loads(done.stdout)
    return {name: {"wall": round(1e3 * wall, 1), "cpu": round(1e3 * cpu, 1)} for name, (wall, cpu) in spent.items()}


def _bytes(batches: Sequence[Sequence[Event]], path: Path, settings: OutboxSettings) -> int | None:
    """Each batch waits until it is on the disk. None where the system does not count."""
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
    """Bytes that this process gave to the system's calls for writing."""
    try:
        lines = IO.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), None)
