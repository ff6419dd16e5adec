"""How close the whole cycle is to its floor: the daemon's own ``pipeline.process`` beside the bare invokes.

Both are measured in one run, on the same frames: a frame costs its invokes, and everything else is overhead that is
told here. CPU is that of the whole process, all threads; ratios of one run are what counts, absolute times are the
machine's. The live phase then runs the daemon's threads on the same source at its own pace.
"""

from __future__ import annotations

import itertools
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge import board, sources
from edge.assembly import Assembled, assemble
from edge.collection import Collections, NewFace
from edge.errors import InputError
from edge.health import Health, Meter
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.interpreter import Interpreter
from edge.outbox import Outbox
from edge.pipeline import Pipeline
from edge.settings import Camera, Settings
from edge.types import Box, Event, Frame, Space
from edge.watch import Watch

WARM_UP = 5
"""frames before anything is counted"""
OPENING = 60.0
"""seconds that a source may take to its first frame"""
SEED = 7
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    frames: int = 200
    """frames of the source to process"""
    live_seconds: float = 5.0
    """of the live phase; 0: without"""
    faces: int = 1000
    """faces in the collection, random ones"""


@dataclass
class Invokes:
    """What the models alone took during the cycle."""

    count: dict[str, int] = field(default_factory=dict)
    cpu: float = 0.0
    """seconds, all threads"""
    wall: float = 0.0


@dataclass(frozen=True)
class Report:
    """What was measured. ``document`` is what ``--json`` prints."""

    machine: dict[str, Any]
    cycle: dict[str, Any]
    latency_ms: dict[str, dict[str, float]]
    live: dict[str, Any]
    memory: dict[str, float]

    @property
    def document(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "cycle": self.cycle,
            "latency_ms": self.latency_ms,
            "live": self.live,
            "memory_mb": self.memory,
        }


def bench(settings: Settings, state: Path, plan: Plan, progress: Callable[[float], None]) -> Report:
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
        _fill(assembled, collections, settings, plan.faces)
        frames = _frames(camera, plan.frames + WARM_UP)
        outbox = Outbox(Path(folder) / "outbox.sqlite", settings.outbox)
        try:
            cycle, latency = _cycle(camera, settings, assembled, frames, outbox, progress)
            live = _live(settings, assembled, outbox, plan, progress)
        finally:
            outbox.close()
        memory = board.memory()
    cycle["load_seconds"] = round(load_seconds, 3)
    cycle["bench_seconds"] = round(time.perf_counter() - began, 1)
    return Report(
        machine=_machine(settings, assembled, camera, frames),
        cycle=cycle,
        latency_ms=latency,
        live=live,
        memory={"resident": round(memory.resident / 1e6, 1), "private": round(memory.private / 1e6, 1)},
    )


def _frames(camera: Camera, count: int) -> list[Frame]:
    """Frames of the source, in memory; again from the start where it ends early, time going on."""
    source = sources.open(camera)
    try:
        found = list(itertools.islice(source.frames(), count))
    finally:
        source.close()
    if not found:
        raise InputError(f"bench: {source.name} gave no frames", "choose another --source")
    period = 1 / camera.fps
    start = time.monotonic()
    return [
        Frame(camera.name, i, start + i * period, time.time() + i * period, one.main, one.small, one.video_time)
        for i, one in enumerate(itertools.islice(itertools.cycle(found), count))
    ]


def _cycle(
    camera: Camera,
    settings: Settings,
    assembled: Assembled,
    frames: Sequence[Frame],
    outbox: Outbox,
    progress: Callable[[float], None],
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """The cycle as fast as it goes, and the invokes inside it."""
    always = camera.model_copy(update={"motion": False})
    pipeline = Pipeline(always, settings, assembled.bundle, _ids())
    meters: dict[str, Meter] = {}
    events = 0
    for frame in frames[:WARM_UP]:
        outbox.put(pipeline.process(frame))
    invokes = Invokes()
    with _counted(assembled, invokes):
        wall, cpu = time.perf_counter(), time.process_time()
        for frame in frames[WARM_UP:]:
            began = time.perf_counter()
            found = pipeline.process(frame)
            if found:
                outbox.put(found)
            events += len(found)
            _add(meters, "frame", time.perf_counter() - began)
            for stage, seconds in pipeline.cost.stages.items():
                _add(meters, stage, seconds)
            progress(1)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = len(frames) - WARM_UP
    figures = {
        "frames": count,
        "events": events,
        "invokes": invokes.count,
        "cpu_over_invokes": round(cpu / invokes.cpu, 3) if invokes.cpu else None,
        "fps": round(count / wall, 1),
        "fps_of_invokes_alone": round(count / invokes.wall, 1) if invokes.wall else None,
        "fps_share": round(invokes.wall / wall, 3),
        "cpu_ms_per_frame": round(1e3 * cpu / count, 2),
        "invoke_cpu_ms_per_frame": round(1e3 * invokes.cpu / count, 2),
    }
    return figures, {stage: _percentiles(meter) for stage, meter in meters.items()}


def _live(
    settings: Settings, assembled: Assembled, outbox: Outbox, plan: Plan, progress: Callable[[float], None]
) -> dict[str, Any]:
    """The daemon's threads on the source at its own pace: what is dropped, and how old a frame's events are."""
    if not plan.live_seconds:
        return {}
    camera = settings.cameras[0].model_copy(update={"realtime": True, "loop": True})
    alone = settings.model_copy(update={"cameras": (camera,)})
    health = Health([camera.name])
    watch = Watch(alone, assembled.bundle, 1, health, _ToOutbox(outbox))
    watch.start()
    opened = time.monotonic() + OPENING
    while not health.cameras[camera.name].frames and time.monotonic() < opened and not watch.wait(0.02):
        progress(0)
    cpu = time.process_time()
    ends = time.monotonic() + plan.live_seconds
    while time.monotonic() < ends and not watch.wait(0.25):
        progress(0)
    watch.stop()
    cpu = time.process_time() - cpu
    counted = health.cameras[camera.name]
    return {
        "seconds": plan.live_seconds,
        "fps_wanted": camera.fps,
        "frames": counted.frames,
        "looked_at": counted.looked,
        "dropped": counted.dropped,
        "cpu_percent_of_a_core": round(100 * cpu / plan.live_seconds, 1),
        "exposure_to_outbox_ms": health.latency_ms().get("latency", {}),
    }


class _ToOutbox:
    """Reports that end in the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def events(self, events: Sequence[Event]) -> None:
        self._outbox.put(events)

    def left(self, camera: str) -> None:
        """Nobody is told."""

    def seen(self, camera: str, frame: Frame, pipeline: Pipeline, events: Sequence[Event]) -> None:
        """Nobody else is told."""


class _counted:  # noqa: N801
    """While the block runs, every invoke of the bundle's models is counted and timed."""

    def __init__(self, assembled: Assembled, invokes: Invokes) -> None:
        models = [*assembled.bundle.detectors.values(), *(r.embedder for r in assembled.bundle.recognisers.values())]
        self._interpreters = {
            model.card.name: model.interpreter for model in models if isinstance(model, Detector | Embedder)
        }
        self._invokes = invokes

    def __enter__(self) -> None:
        for name, interpreter in self._interpreters.items():
            interpreter.__dict__["invoke"] = self._timed(name, interpreter)

    def __exit__(self, *_: object) -> None:
        for interpreter in self._interpreters.values():
            del interpreter.__dict__["invoke"]

    def _timed(self, name: str, interpreter: Interpreter) -> Callable[[Any], None]:
        plain, invokes = interpreter.invoke, self._invokes

        def invoke(value: Any) -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            plain(value)
            invokes.cpu += time.process_time() - cpu
            invokes.wall += time.perf_counter() - wall
            invokes.count[name] = invokes.count.get(name, 0) + 1

        return invoke


def _fill(assembled: Assembled, collections: Collections, settings: Settings, faces: int) -> None:
    """Random faces, so that matching has its share of the cycle."""
    random = np.random.default_rng(SEED)
    for name, recogniser in assembled.bundle.recognisers.items():
        space: Space = recogniser.embedder.space
        vectors = random.standard_normal((faces, space.dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        new = [NewFace(vector, f"subject-{i}", f"{i:064x}", WHOLE) for i, vector in enumerate(vectors)]
        collection = collections.get(settings.labels[name].collection)
        for start in range(0, faces, 1000):
            collection.add(new[start : start + 1000], space)


def _machine(settings: Settings, assembled: Assembled, camera: Camera, frames: Sequence[Frame]) -> dict[str, Any]:
    main, small = frames[0].main, frames[0].small
    return {
        "board": board.model(),
        "python": platform.python_version(),
        "runtime": sorted({r.embedder.space.runtime for r in assembled.bundle.recognisers.values()})
        or [settings.models.runtime],
        "threads": settings.models.threads,
        "models": {name: digest[:12] for name, digest in assembled.models.items()},
        "source": sources.masked(camera.source),
        "picture": f"{main.width}x{main.height} {main.layout}",
        "small": f"{small.width}x{small.height} {small.layout}" if small else None,
    }


def _ids() -> Iterator[str]:
    return (f"bench-{number}" for number in itertools.count(1))


def _add(meters: dict[str, Meter], stage: str, seconds: float) -> None:
    if stage not in meters:
        meters[stage] = Meter()
    meters[stage].add(seconds)


def _percentiles(meter: Meter) -> dict[str, float]:
    return {"p50": round(1e3 * meter.percentile(0.5), 2), "p99": round(1e3 * meter.percentile(0.99), 2)}
