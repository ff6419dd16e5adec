"""Many cameras on the one inference thread: what each gets, how old its frames are, and what it costs.

Three loads: the rate that is set; twice what the thread can take, by weight; and the same with nothing that moves in
front of most cameras. All cameras show frames from memory, so that only looking costs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.replay import Film, held, still
from edge.cli.bench.live import ToOutbox
from edge.cli.bench.setup import held_bytes
from edge.cli.bench.stand import BenchSetup
from edge.core.settings.address import SecretAddress
from edge.core.settings.vision import CameraSettings
from edge.core.system import hardware as board
from edge.core.types import Frame
from edge.daemon.engine import Engine
from edge.mqtt.outbox.outbox import Outbox
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.health import Health

WARM_UP = 1.5
"""seconds before anything is counted"""
OVERLOAD = 2.0
"""times what the thread can take"""
WEIGHTS = (1.0, 2.0, 4.0)
"""of the cameras in turn, where they compete"""
MOVING = 4
"""one camera in so many has something that moves before it, in the third load"""
MOST_FPS = 120.0
"""of one camera: more than settings allow would measure the wrong thing"""
FILM, STILL = "moving", "still"
"""names of the films"""


@dataclass(frozen=True)
class Load:
    """What the cameras ask for."""

    name: str
    demand: float | None = None
    """frames a second in all, over what the thread can take; None: the camera's own rate"""
    weights: tuple[float, ...] = (1.0,)
    moving: int = 1
    """one camera in so many sees something move"""


LOADS = (
    Load("as_set"),
    Load("overloaded", OVERLOAD, WEIGHTS),
    Load("overloaded_mostly_still", OVERLOAD, moving=MOVING),
)


def by_count(stand: BenchSetup, fps: float) -> dict[str, Any]:
    """By number of cameras and load. ``fps``: frames a second that the thread can take."""
    with ExitStack() as stack:
        films = {
            True: stack.enter_context(held(FILM, Film(stand.film))),
            False: stack.enter_context(held(STILL, still(_busiest(stand)))),
        }
        return {
            str(count): {
                load.name: _watched(stand, _cameras(count, load, stand.camera, fps, films))
                for load in LOADS
                if count >= load.moving
            }
            for count in stand.plan.cameras
        }


def jain(rates: Sequence[float]) -> float:
    """Jain's index of fairness: 1 where all are alike, 1 / n where one has everything (Jain, Chiu, Hawe 1984)."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 1.0


class Ages(ToOutbox):
    """Reports that end in the outbox, and tell how old a frame was when its turn came and when it was done."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__(outbox)
        self.taken: list[float] = []
        self.done: list[float] = []
        """seconds, of each frame that a detector looked at"""

    def seen(self, result: FrameResult) -> None:
        if result.stats.looked:
            age = time.monotonic() - result.frame.monotonic
            self.done.append(age)
            self.taken.append(age - sum(result.stats.stages.values()))


def _cameras(
    count: int, load: Load, like: CameraSettings, fps: float, films: Mapping[bool, str]
) -> list[CameraSettings]:
    wanted = like.fps if load.demand is None else min(MOST_FPS, load.demand * fps / -(-count // load.moving))
    return [
        like.model_copy(
            update={
                "name": f"camera-{number}",
                "source": SecretAddress(f"{films[number % load.moving == 0]}:{number}"),
                "fps": wanted,
                "weight": load.weights[number % len(load.weights)],
                "realtime": True,
                "motion": True,
            }
        )
        for number in range(count)
    ]


def _watched(stand: BenchSetup, cameras: Sequence[CameraSettings]) -> dict[str, Any]:
    alone = stand.settings.model_copy(update={"cameras": tuple(cameras)})
    health, reports = Health([camera.name for camera in cameras]), Ages(stand.outbox)
    watch = Engine(alone, stand.assembled.model_set, 1, health, reports)
    watch.start()
    watch.wait(WARM_UP)
    reports.taken.clear()
    reports.done.clear()
    before = {name: (one.frames, one.looked, one.dropped) for name, one in health.cameras.items()}
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < stand.plan.live_seconds and not watch.wait(0.25):
        stand.progress(0)
    cpu, lasted = time.process_time() - cpu, time.monotonic() - began
    after = {name: (one.frames, one.looked, one.dropped) for name, one in health.cameras.items()}
    resident = board.memory().resident - held_bytes(stand)
    watch.stop()
    rates = {
        name: _Rate(*((now - then) / lasted for now, then in zip(after[name], before[name], strict=True)))
        for name in after
    }
    return _told(cameras, rates) | {
        "age_when_taken_ms": _milliseconds(reports.taken),
        "exposure_to_outbox_ms": _milliseconds(reports.done),
        "cpu_percent_of_a_core": round(100 * cpu / lasted, 1),
        "resident_mb": round(resident / 1e6, 1),
    }


@dataclass(frozen=True)
class _Rate:
    """Of one camera, a second."""

    frames: float
    looked: float
    dropped: float


def _told(cameras: Sequence[CameraSettings], rates: Mapping[str, _Rate]) -> dict[str, Any]:
    """Rates of all, of the least and the most served, and how fair that is by weight."""
    moving = [camera for camera in cameras if f":{FILM}:" in camera.source.get_secret_value()]
    looked = [rates[camera.name].looked for camera in moving]
    by_weight: dict[float, list[float]] = {}
    for camera in moving:
        by_weight.setdefault(camera.weight, []).append(rates[camera.name].looked)
    told: dict[str, Any] = {
        "fps_wanted_each": round(cameras[0].fps, 1),
        "frames_per_second": round(sum(rate.frames for rate in rates.values()), 1),
        "looks_per_second": round(sum(rate.looked for rate in rates.values()), 1),
        "dropped_per_second": round(sum(rate.dropped for rate in rates.values()), 1),
        "looks_each": {"least": round(min(looked), 2), "most": round(max(looked), 2)},
        "fairness": round(jain([rates[camera.name].looked / camera.weight for camera in moving]), 3),
    }
    if len(by_weight) > 1:
        told["looks_by_weight"] = {f"{w:g}": round(sum(each) / len(each), 2) for w, each in sorted(by_weight.items())}
    if len(moving) < len(cameras):
        still_ones = [rates[camera.name].looked for camera in cameras if camera not in moving]
        told["looks_each_still"] = {"least": round(min(still_ones), 2), "most": round(max(still_ones), 2)}
    return told


def _busiest(stand: BenchSetup) -> Frame:
    """Of a few frames, the one in which most is detected: somebody sits in the still scene."""
    detectors = [stand.assembled.model_set.detectors[name] for name in stand.camera.detectors]

    def found(frame: Frame) -> int:
        return sum(len(detector.detect(frame.small or frame.main)) for detector in detectors)

    return max(stand.film[:: max(1, len(stand.film) // 20)], key=found)


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {name: round(1e3 * ordered[int(share * (len(ordered) - 1))], 1) for name, share in PERCENTILES.items()}


PERCENTILES = {"p50": 0.5, "p99": 0.99}
