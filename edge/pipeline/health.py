"""Health of the daemon: counters of the stages, problems, and the documents made of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.system import hardware as board
from edge.mqtt.messages import CameraStats, ShedReport, Stats

if TYPE_CHECKING:
    from edge.pipeline.frame_result import FrameStats
    from edge.pipeline.model_set import ModelSet
    from edge.sources.base import CameraState

log = logging.getLogger(__name__)

SHEDS = "sheds "
"""how the status line calls load shedding"""
RECENT = 512
"""measurements of a percentile"""
LATELY = 10.0
"""window of rates, seconds"""


class Meter:
    """The latest measurements of something, for percentiles."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=RECENT)

    def add(self, value: float) -> None:
        self._values.append(value)

    def __len__(self) -> int:
        return len(self._values)

    def percentile(self, share: float) -> float:
        """The value below which ``share`` (0..1) of the latest ones lie; 0 without any."""
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Processed:
    """One frame."""

    at: float
    """monotonic seconds"""
    looked: bool
    """whether a detector looked at it"""
    seconds: float
    """that it took"""


@dataclass(frozen=True, slots=True)
class Rates:
    """Recent rates of a camera."""

    fps: float = 0.0
    """frames a second"""
    looks: float = 0.0
    """frames a second that a detector looked at"""
    share: float = 0.0
    """of the inference thread, 0..1"""


@dataclass(slots=True)
class CameraHealth:
    """Counters of one camera."""

    state: str = "connecting"
    reason: str = ""
    frames: int = 0
    looked: int = 0
    dropped: int = 0
    wanted: float = 0.0
    """frames a second that the settings ask for"""
    recent: deque[Processed] = field(default_factory=lambda: deque(maxlen=64))

    def fps(self, now: float) -> float:
        """Frames a second lately."""
        return self.rates(now).fps

    def rates(self, now: float) -> Rates:
        """Recent rates: of the last ten seconds, or of the latest frames where there are many."""
        frames = [one for one in list(self.recent) if now - one.at < LATELY]
        if len(frames) < 2 or frames[-1].at <= frames[0].at:
            return Rates()
        lasted, after = frames[-1].at - frames[0].at, frames[1:]
        looks, spent = sum(one.looked for one in after), sum(one.seconds for one in after)
        return Rates(len(after) / lasted, looks / lasted, min(1.0, spent / lasted))


class Health:
    """Counters that every thread may write and read."""

    def __init__(self, cameras: Sequence[str], sys: Path | None = None) -> None:
        self.cameras = {name: CameraHealth() for name in cameras}
        self.problems: dict[str, str] = {}
        """problems by part: a message that ends in a hint"""
        self.sys = sys
        """root of the kernel's hardware metrics; None: /sys"""
        self.shed = ShedReport()
        """active load shedding"""
        self.building: tuple[str, ...] = ()
        """collections whose index is opened or built now; they are searched anyway"""
        self.declined: dict[str, int] = {}
        """crops not worth embedding, by reason code"""
        self._models: ModelSet | None = None
        """in use"""
        self._model_parts: frozenset[str] = frozenset()
        """parts whose problem was reported for the models in use"""
        self._stages: dict[str, Meter] = {}
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._cpu = (time.monotonic(), time.process_time())

    def camera_changed(self, state: CameraState) -> None:
        camera = self.cameras[state.camera]
        camera.state, camera.reason = state.state, state.reason

    def trouble(self, part: str, problem: str) -> None:
        """Record a problem of one part, which is not one of the models in use. Logged once."""
        with self._lock:
            self._model_parts -= {part}
            self._record(part, problem)

    def _record(self, part: str, problem: str) -> None:
        if self.problems.get(part) != problem:
            log.error("%s: %s", part, problem)
            self.problems[part] = problem

    def use_models(self, models: ModelSet, problems: Mapping[str, str]) -> None:
        """Other models are in use from now on, with ``problems``; those of the models before are settled.

        Call it before the first frame that is processed with them.
        """
        with self._lock:
            for part in sorted(self._model_parts - problems.keys()):
                self.settled(part)
            self._models, self._model_parts = models, frozenset(problems)
            self.problems.update(problems)

    def model_trouble(self, models: ModelSet, problems: Mapping[str, str]) -> None:
        """Record problems of a frame that was processed with ``models``; ignored where others are in use by now."""
        if not problems:
            return
        with self._lock:
            if self._models is not None and models is not self._models:
                return
            self._model_parts |= problems.keys()
            for part, problem in problems.items():
                self._record(part, problem)

    def model_problems(self) -> dict[str, str]:
        """Problems of the models in use, by part."""
        with self._lock:
            return {part: self.problems[part] for part in self._model_parts if part in self.problems}

    def settled(self, part: str) -> None:
        """A part works again, or is no longer in use."""
        if self.problems.pop(part, None) is not None:
            log.info("%s: works again", part)

    def hanging(self, threads: Sequence[str]) -> None:
        """The threads that hang now."""
        wanted = {f"thread {name}" for name in threads}
        for part in [part for part in self.problems if part.startswith("thread ") and part not in wanted]:
            del self.problems[part]
        for part in wanted:
            self.problems[part] = "it hangs (try: journalctl -u edge has what it did last, when the watchdog ends it)"

    def storage(self, state: str) -> bool:
        """Set the status of the outbox's disk, ``ok`` or a reason; whether it has changed."""
        if state == "ok":
            return self.problems.pop("outbox", None) is not None
        problem = f"the disk is {state}: events wait in memory (try: make room, or look at the disk)"
        news = self.problems.get("outbox") != problem
        self.problems["outbox"] = problem
        return news

    def processed(self, camera: str, stats: FrameStats, latency: float, dropped: int) -> None:
        """One frame went through; ``latency`` seconds from exposure to the outbox, ``dropped`` frames in all."""
        counted = self.cameras[camera]
        counted.frames += 1
        counted.looked += stats.looked
        counted.dropped = dropped
        counted.recent.append(Processed(time.monotonic(), stats.looked, sum(stats.stages.values())))
        with self._lock:
            for stage, seconds in stats.stages.items():
                self._meter(stage).add(seconds)
            if stats.looked:
                self._meter("latency").add(latency)
            for reason, count in stats.declined.items():
                self.declined[reason] = self.declined.get(reason, 0) + count

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Milliseconds by stage: p50, p99."""
        with self._lock:
            return {
                stage: {"p50": round(1e3 * meter.percentile(0.5), 2), "p99": round(1e3 * meter.percentile(0.99), 2)}
                for stage, meter in self._stages.items()
            }

    def frames(self) -> int:
        """Frames that went through since the start, of all cameras."""
        return sum(camera.frames for camera in self.cameras.values())

    def latency(self, share: float) -> tuple[int, float]:
        """How many recent latencies there are, and the one below which ``share`` (0..1) of them lie, seconds."""
        with self._lock:
            meter = self._meter("latency")
            return len(meter), meter.percentile(share)

    def begin_anew(self) -> None:
        """Discard the latencies so far, before another measurement."""
        with self._lock:
            self._stages.pop("latency", None)

    def stats(self, outbox: Mapping[str, object], mqtt: Mapping[str, object]) -> Stats:
        """The document of ``up/stats``."""
        now = time.monotonic()
        memory = board.memory()
        return Stats(
            time=time.time(),
            uptime=round(now - self._started, 1),
            cameras={name: _stats(camera, now) for name, camera in self.cameras.items()},
            latency_ms=self.latency_ms(),
            outbox=dict(outbox),
            mqtt=dict(mqtt),
            memory_mb=round(memory.resident / 1e6, 1),
            cpu_percent=self._cpu_percent(),
            temperature=board.temperature(self.sys),
            throttled=board.throttled(self.sys),
            shed=self.shed,
            clock=board.clock(),
        )

    def status_line(self) -> str:
        """Status line for systemd and logs."""
        now = time.monotonic()
        parts = [
            f"{name} {camera.fps(now):.1f} fps" if camera.state == "live" else f"{name} {camera.state}"
            for name, camera in self.cameras.items()
        ]
        if self.shed.level:
            parts.append(f"{SHEDS}{self.shed.what} ({self.shed.why})")
        parts += [f"index of {name} is being built" for name in self.building]
        parts += [f"{part}: degraded" for part in self.problems]
        return ", ".join(parts)

    def _meter(self, stage: str) -> Meter:
        if stage not in self._stages:
            self._stages[stage] = Meter()
        return self._stages[stage]

    def _cpu_percent(self) -> float:
        """Of one core, since the last call."""
        wall, cpu = time.monotonic(), time.process_time()
        (old_wall, old_cpu), self._cpu = self._cpu, (wall, cpu)
        return round(100 * (cpu - old_cpu) / max(wall - old_wall, 1e-6), 1)


def _stats(camera: CameraHealth, now: float) -> CameraStats:
    rates = camera.rates(now)
    return CameraStats(
        camera.state,
        fps=round(rates.fps, 2),
        looks=round(rates.looks, 2),
        wanted=camera.wanted,
        share=round(rates.share, 3),
        frames=camera.frames,
        dropped=camera.dropped,
    )
