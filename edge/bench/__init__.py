"""How close the whole cycle is to its floor: the daemon's own ``pipeline.process`` beside the bare invokes.

All is measured in one run, on the same frames: a frame costs its invokes, and everything else is overhead that is
told here, and what a plain script would have cost stands beside it. CPU is that of the whole process, all threads;
ratios of one run are what counts, absolute times are the machine's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import board
from edge.assembly import Assembled, assemble
from edge.bench import matching, parts, rival
from edge.bench.cycle import WARM_UP, run_cycle
from edge.bench.live import watch_live
from edge.bench.setup import fill, frames_of, machine
from edge.collection import Collections
from edge.outbox import Outbox
from edge.settings import Camera, Settings
from edge.types import Frame

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    frames: int = 200
    """frames of the source to process"""
    live_seconds: float = 5.0
    """of the live phase; 0: without"""
    faces: int = 1000
    """faces in the collection, random ones"""
    threads: tuple[int, ...] = ()
    """run the cycle again with each of these numbers of interpreter threads"""
    sizes: tuple[int, ...] = ()
    """match in, and enrol into, collections of these numbers of faces"""
    rival: bool = False
    """also run a plain script on the same frames"""
    start: bool = False
    """also measure the start-up, part by part"""


@dataclass(frozen=True)
class Report:
    """What was measured, part by part. ``document`` is what ``--json`` prints.

    The memory is the bench's: the frames that it holds, which a daemon does not, are told beside it.
    """

    document: dict[str, Any]


def bench(settings: Settings, state: Path, plan: Plan, progress: Progress) -> Report:
    """Measure the first camera of ``settings``. Models come from ``state``, everything else from a temporary folder.

    Raises InputError where the source gives no frames, and what assembling a bundle raises.
    """
    camera = settings.cameras[0].model_copy(update={"realtime": False})
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="edge-bench-") as folder,
        Collections(Path(folder), settings.collection) as collections,
    ):
        started = time.perf_counter()
        assembled = assemble(settings, state, collections)
        load_seconds = time.perf_counter() - started
        fill(assembled, collections, settings, plan.faces)
        frames = frames_of(camera, plan.frames + WARM_UP)
        outbox = Outbox(Path(folder) / "outbox.sqlite", settings.outbox)
        try:
            cycle, latency, events = run_cycle(camera, settings, assembled, frames, outbox, progress)
            document: dict[str, Any] = {"machine": machine(settings, assembled, camera, frames), "cycle": cycle}
            document["latency_ms"] = latency
            if plan.rival:
                document["rival"] = rival.beside(settings, camera, assembled, frames, cycle, progress)
            document["live"] = watch_live(settings, assembled, outbox, plan.live_seconds, progress)
        finally:
            outbox.close()
        memory = board.memory()
        held = {
            id(picture): picture.data.nbytes for frame in frames for picture in (frame.main, frame.small) if picture
        }
        megabytes = {"resident": memory.resident, "private": memory.private, "frames_held": sum(held.values())}
        document["memory_mb"] = {name: round(count / 1e6, 1) for name, count in megabytes.items()}
        if events:
            document["outbox"] = parts.written(events, Path(folder), settings.outbox)
        document |= _further(settings, state, collections, plan, frames, camera)
        if plan.sizes:
            document["collections"] = matching.by_size(plan.sizes, assembled, settings, Path(folder))
    if plan.start:
        document["start_ms"] = parts.start()
    cycle["load_seconds"] = round(load_seconds, 3)
    cycle["bench_seconds"] = round(time.perf_counter() - began, 1)
    return Report(document)


def _further(
    settings: Settings, state: Path, collections: Collections, plan: Plan, frames: Sequence[Frame], camera: Camera
) -> dict[str, Any]:
    """The cycle with other numbers of threads, models loaded anew for each."""
    found: dict[str, Any] = {}
    for threads in plan.threads:
        chosen = settings.model_copy(update={"models": settings.models.model_copy(update={"threads": threads})})
        assembled: Assembled = assemble(chosen, state, collections)
        with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
            outbox = Outbox(Path(folder) / "outbox.sqlite", settings.outbox)
            try:
                cycle, _, _ = run_cycle(camera, chosen, assembled, frames, outbox, lambda _: None)
            finally:
                outbox.close()
        names = ("fps", "fps_of_invokes_alone", "fps_share", "cpu_over_invokes", "cpu_ms_per_frame")
        found[str(threads)] = {name: cycle[name] for name in names}
    return {"threads": found} if found else {}
