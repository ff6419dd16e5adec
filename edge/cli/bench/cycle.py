"""The pipeline cycle at full speed, and the inference inside it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.cli.bench.cpu import Threads
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Event, Frame
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.interpreter import Interpreter
from edge.mqtt.outbox.outbox import Outbox
from edge.pipeline.health import Meter
from edge.pipeline.loader import LoadedModels
from edge.pipeline.pipeline import Pipeline

WARM_UP = 5
"""frames processed before the measurement"""


@dataclass
class Invokes:
    """Inference during the cycle."""

    count: dict[str, int] = field(default_factory=dict)
    cpu: float = 0.0
    """seconds, all threads"""
    wall: float = 0.0
    """seconds"""


def run_cycle(
    camera: CameraSettings,
    settings: Settings,
    assembled: LoadedModels,
    frames: Sequence[Frame],
    outbox: Outbox,
    progress: Callable[[float], None],
) -> tuple[dict[str, Any], dict[str, dict[str, float]], list[Event]]:
    """Run the cycle at full speed. Returns its figures, the latency (ms) by stage, and the events."""
    always = camera.model_copy(update={"motion": False})
    pipeline = Pipeline(always, settings, assembled.model_set, ids())
    meters: dict[str, Meter] = {}
    events: list[Event] = []
    detections = 0
    for frame in frames[:WARM_UP]:
        outbox.put(pipeline.process(frame).events)
    invokes = Invokes()
    with counted(assembled, invokes):
        wall, cpu = time.perf_counter(), time.process_time()
        for frame in frames[WARM_UP:]:
            began = time.perf_counter()
            result = pipeline.process(frame)
            if result.events:
                outbox.put(result.events)
            events += result.events
            detections += result.stats.detections
            add(meters, "frame", time.perf_counter() - began)
            for stage, seconds in result.stats.stages.items():
                add(meters, stage, seconds)
            progress(1)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = len(frames) - WARM_UP
    figures = {
        "frames": count,
        "events": len(events),
        "detections": detections,
        "invokes": invokes.count,
        "cpu_over_invokes": round(cpu / invokes.cpu, 3) if invokes.cpu else None,
        "fps": round(count / wall, 1),
        "fps_of_invokes_alone": round(count / invokes.wall, 1) if invokes.wall else None,
        "fps_share": round(invokes.wall / wall, 3),
        "cpu_ms_per_frame": round(1e3 * cpu / count, 2),
        "invoke_cpu_ms_per_frame": round(1e3 * invokes.cpu / count, 2),
    }
    return figures, {stage: percentiles(meter) for stage, meter in meters.items()}, events


class counted:  # noqa: N801
    """Context manager that counts and times every inference of the model set."""

    def __init__(self, assembled: LoadedModels, invokes: Invokes) -> None:
        model_set = assembled.model_set
        models = [*model_set.detectors.values(), *(one.embedder for one in model_set.recognizers.values())]
        models += [one.embedder for one in model_set.classifiers.values()]
        self._interpreters = {
            model.card.name: model.interpreter for model in models if isinstance(model, Detector | Embedder)
        }
        self._invokes = invokes

    def __enter__(self) -> None:
        self._threads = Threads()
        for name, interpreter in self._interpreters.items():
            interpreter.__dict__["invoke"] = self._timed(name, interpreter)

    def __exit__(self, *_: object) -> None:
        for interpreter in self._interpreters.values():
            del interpreter.__dict__["invoke"]

    def _timed(self, name: str, interpreter: Interpreter) -> Callable[[Any], None]:
        plain, invokes, threads = interpreter.invoke, self._invokes, self._threads

        def invoke(value: Any) -> None:
            cpu, wall = threads.seconds(), time.perf_counter()
            plain(value)
            invokes.wall += time.perf_counter() - wall
            invokes.cpu += threads.seconds() - cpu
            invokes.count[name] = invokes.count.get(name, 0) + 1

        return invoke


def ids() -> Iterator[str]:
    return (f"bench-{number}" for number in itertools.count(1))


def add(meters: dict[str, Meter], stage: str, seconds: float) -> None:
    if stage not in meters:
        meters[stage] = Meter()
    meters[stage].add(seconds)


def percentiles(meter: Meter) -> dict[str, float]:
    return {"p50": round(1e3 * meter.percentile(0.5), 2), "p99": round(1e3 * meter.percentile(0.99), 2)}
