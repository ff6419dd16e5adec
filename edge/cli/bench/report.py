"""Benchmark of ``pipeline.process``, compared with bare inference of its models.

Everything is measured in one run on the same frames: CPU time beyond inference is pipeline overhead. ``scripts/bench``
measures more: a plain script, cameras, people, motion, budget, collections. CPU time includes all threads of the
process; compare ratios within one run, as absolute times depend on the machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.cli.bench import parts
from edge.cli.bench.cycle import WARM_UP, run_cycle
from edge.cli.bench.live import watch_live
from edge.cli.bench.setup import fill, film_of, held_bytes, machine, repeated
from edge.cli.bench.stand import BenchSetup, Plan, Progress
from edge.core.settings.schema import Settings
from edge.core.system import hardware as board
from edge.core.types import Event
from edge.mqtt.outbox.outbox import Outbox
from edge.pipeline.loader import load_model_set
from edge.recognition.store.collections import Collections


@dataclass(frozen=True)
class Report:
    """Results by section. ``document`` is the output of ``--json``.

    Memory is that of the benchmark; the frames that it holds in memory, unlike a daemon, are listed separately.
    """

    document: dict[str, Any]


Measure = Callable[[BenchSetup, dict[str, Any], list[Event]], dict[str, Any]]
"""(setup, figures of the cycle, its events) -> figures of one section"""


def bench(
    settings: Settings, state: Path, plan: Plan, progress: Progress, further: Mapping[str, Measure] | None = None
) -> Report:
    """Measure the first camera of ``settings``, with models of ``state`` and all other files in a temporary folder.

    ``further``: title -> additional measurement. Raises InputError where the source has no frames, and as
    ``load_model_set`` does.
    """
    camera = settings.cameras[0].model_copy(update={"realtime": False})
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="edge-bench-") as name,
        Collections(Path(name), settings.collection) as collections,
    ):
        folder = Path(name)
        started = time.perf_counter()
        assembled = load_model_set(settings, state, collections)
        load_seconds = time.perf_counter() - started
        fill(assembled, collections, settings, plan.faces)
        film = film_of(camera, plan.frames + WARM_UP)
        frames = repeated(film, camera, plan.frames + WARM_UP)
        outbox = Outbox(folder / "outbox.sqlite", settings.outbox)
        stand = BenchSetup(
            plan, settings, state, folder, camera, collections, assembled, film, frames, outbox, progress
        )  # fmt: skip
        try:
            document = _measured(stand, further or {})
        finally:
            outbox.close()
    if plan.start:
        document["start_ms"] = parts.start()
    document["cycle"]["load_seconds"] = round(load_seconds, 3)
    document["cycle"]["bench_seconds"] = round(time.perf_counter() - began, 1)
    return Report(document)


def _measured(stand: BenchSetup, further: Mapping[str, Measure]) -> dict[str, Any]:
    plan, camera, settings = stand.plan, stand.camera, stand.settings
    cycle, latency, events = run_cycle(camera, settings, stand.assembled, stand.frames, stand.outbox, stand.progress)
    document = {"machine": machine(settings, stand.assembled, camera, stand.frames), "cycle": cycle}
    document["latency_ms"] = latency
    document["live"] = watch_live(settings, stand.assembled, stand.outbox, plan.live_seconds, stand.progress)
    document["memory_mb"] = _memory(stand)
    document["outbox"] = parts.written(events, stand.folder, settings.outbox)
    if plan.threads:
        document["threads"] = _by_threads(stand)
    return document | {title: measure(stand, cycle, events) for title, measure in further.items()}


def _memory(stand: BenchSetup) -> dict[str, float]:
    memory = board.memory()
    counts = {"resident": memory.resident, "private": memory.private, "frames_held": held_bytes(stand)}
    return {name: round(count / 1e6, 1) for name, count in counts.items()}


def _by_threads(stand: BenchSetup) -> dict[str, Any]:
    """Repeat the cycle with other numbers of threads; reloads the models for each."""
    found: dict[str, Any] = {}
    for threads in stand.plan.threads:
        models = stand.settings.models.model_copy(update={"threads": threads})
        chosen = stand.settings.model_copy(update={"models": models})
        assembled = load_model_set(chosen, stand.state, stand.collections)
        cycle, _, _ = run_cycle(stand.camera, chosen, assembled, stand.frames, stand.outbox, lambda _: None)
        names = ("fps", "fps_of_invokes_alone", "fps_share", "cpu_over_invokes", "cpu_ms_per_frame")
        found[str(threads)] = {name: cycle[name] for name in names}
    return found
