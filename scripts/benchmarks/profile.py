"""Where the cycle's own CPU goes: the stages of a frame on the thread that processes it, each without those inside it.

The named functions are replaced by timed ones while the cycle runs once more; what the clock takes is taken off.
Beside it the least that a detector can be used with: what a cycle that did nothing else would cost.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce, wraps
from statistics import median
from typing import Any

from edge.cli.bench.cpu import Threads
from edge.cli.bench.cycle import WARM_UP, ids
from edge.cli.bench.stand import BenchSetup
from edge.inference.detector import Detector
from edge.inference.preprocess import Preparation
from edge.pipeline.pipeline import Pipeline

INVOKES = "invokes"
STAGES: dict[str, tuple[str, ...]] = {
    INVOKES: ("edge.inference.interpreter:Interpreter.invoke",),
    "picture into the input": ("edge.inference.preprocess:Preparation.whole",),
    "outputs": ("edge.inference.interpreter:Interpreter.output",),
    "decoding": ("edge.inference.detector:Detector._candidates",),
    "overlapping boxes": ("edge.inference.nms:keep",),
    "detections": ("edge.inference.detector:Detector.detect",),
    "tracks": (
        "edge.pipeline.tracking.tracker:Tracker.update",
        "edge.pipeline.zones:Zones.update",
        "edge.pipeline.tracking.face_person:FacePersonLinker.update",
        "edge.pipeline.tracking.face_person:FacePersonLinker.name",
    ),
    "which to embed": ("edge.pipeline.pipeline:schedule",),
    "crops": ("edge.inference.embedder:Embedder.crop",),
    "quality of crops": ("edge.inference.quality:quality",),
    "embeddings": ("edge.inference.embedder:Embedder.embed", "edge.inference.embedder:Embedder.assess"),
    "match": (
        "edge.recognition.store.collection:Collection.neighbors",
        "edge.recognition.subject_search:SubjectSearch.subjects",
        "edge.recognition.review.rejections:RejectionIndex.subjects",
    ),
    "votes": ("edge.pipeline.tracking.embedding_schedule:EmbeddingScheduler.add",),
    "custom labels": ("edge.pipeline.label_stage:LabelStage.look", "edge.pipeline.label_stage:LabelStage.ended"),
    "events": ("edge.pipeline.event_policy:EventPolicy.events",),
    "outbox": ("edge.mqtt.outbox.outbox:Outbox.put",),
    "the rest of the pipeline": ("edge.pipeline.pipeline:Pipeline.process",),
}
"""stage -> the functions whose own time it is"""
CALIBRATION = 1000
"""calls of nothing, to know what the clock takes"""


def profiled(stand: BenchSetup) -> dict[str, Any]:
    """Microseconds of CPU and calls by stage, of a frame, and the smallest loop around the detector beside it."""
    camera = stand.camera.model_copy(update={"motion": False})
    pipeline = Pipeline(camera, stand.settings, stand.assembled.model_set, ids())
    for frame in stand.frames[:WARM_UP]:
        stand.outbox.put(pipeline.process(frame).events)
    clock = _calibrated()
    with timed_stages(clock):
        for frame in stand.frames[WARM_UP:]:
            found = pipeline.process(frame).events
            if found:
                stand.outbox.put(found)
            stand.progress(0)
    frames = len(stand.frames) - WARM_UP
    stages = {
        name: {"us": round(1e6 * clock.spent[name] / frames, 1), "calls": round(clock.calls[name] / frames, 2)}
        for name in STAGES
        if clock.calls.get(name)
    }
    own = sum(one["us"] for name, one in stages.items() if name != INVOKES)
    return {"stages": stages, "us_but_invokes": round(own, 1), "smallest_loop": _smallest(stand)}


@dataclass
class Clock:
    """CPU of this thread by stage."""

    spent: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    inside: list[float] = field(default_factory=list)
    """seconds of the timed calls within each open one, innermost last"""
    within: float = 0.0
    """seconds of the clock that a timed call sees in itself"""
    around: float = 0.0
    """and those that its caller sees beside it"""

    def timing(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        now, inside = time.thread_time, self.inside

        @wraps(function)
        def timed(*args: Any, **named: Any) -> Any:
            inside.append(0.0)
            began = now()
            try:
                return function(*args, **named)
            finally:
                took = now() - began
                self.spent[stage] = self.spent.get(stage, 0.0) + took - inside.pop() - self.within
                self.calls[stage] = self.calls.get(stage, 0) + 1
                if inside:
                    inside[-1] += took + self.around

        return timed


def _calibrated() -> Clock:
    trial = Clock()
    nothing = trial.timing(lambda: None, "nothing")
    trial.timing(lambda: [nothing() for _ in range(CALIBRATION)], "around")()
    return Clock(within=trial.spent["nothing"] / CALIBRATION, around=trial.spent["around"] / CALIBRATION)


@contextmanager
def timed_stages(clock: Clock) -> Iterator[None]:
    plain = [(*_place(where), stage) for stage, names in STAGES.items() for where in names]
    try:
        for owner, name, function, stage in plain:
            setattr(owner, name, clock.timing(function, stage))
        yield
    finally:
        for owner, name, function, _ in plain:
            setattr(owner, name, function)


def _place(where: str) -> tuple[Any, str, Callable[..., Any]]:
    """What holds the function ``module:Class.name``, its name there, and itself."""
    module, _, path = where.partition(":")
    *owners, name = path.split(".")
    owner = reduce(getattr, owners, importlib.import_module(module))
    return owner, name, getattr(owner, name)


def _smallest(stand: BenchSetup) -> dict[str, float]:
    """The first detector with nothing but a resize, the outputs and a maximum around its invoke, beside that alone."""
    detector = stand.assembled.model_set.detectors.get(stand.camera.detectors[0])
    if not isinstance(detector, Detector):
        return {}
    interpreter, spent = detector.interpreter, Threads().seconds
    preparation = Preparation(detector.card.input, interpreter.input, detector.card.name)
    bare, loop = [], []
    for frame in stand.frames:
        began = spent()
        tensor, _ = preparation.whole(frame.small or frame.main)
        interpreter.invoke(tensor)
        max(interpreter.raw(position).max() for position in range(len(interpreter.outputs)))
        between = spent()
        interpreter.invoke(tensor)
        bare.append(spent() - between)
        loop.append(between - began)
    return {
        "us": round(1e6 * median(loop), 1),
        "us_of_its_invoke": round(1e6 * median(bare), 1),
        "over_its_invoke": round(median(loop) / median(bare), 3),
    }
