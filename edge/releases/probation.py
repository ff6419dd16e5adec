"""Probation of a release: measurements of the running daemon, compared with those under the previous release."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge.core.system import hardware as board
from edge.pipeline.health import Health

FRAMES = 0.8
"""minimum share of the earlier frame rate"""
SLOWER = 2.0
"""maximum latency as a factor of the earlier one"""
SLACK = 0.05
"""seconds by which a latency may always grow: for fast models, changes of this size are noise"""
MEMORY, MEMORY_SLACK = 1.5, 64 << 20
"""maximum growth of memory: factor and bytes"""
PARTS, LEAK = 4, 4 << 20
"""number of intervals, and the growth of memory in bytes in each that indicates a leak"""
SETTLING = 3.0
"""seconds after a switch that are ignored"""
LEAST_SECONDS, LEAST_LATENCIES = 10.0, 20
"""seconds before a rate, and latencies before a percentile, are judged"""
HISTORY = 60
"""seconds over which the rate before a switch is measured"""


@dataclass(frozen=True, slots=True)
class Measures:
    """Measurements of the daemon."""

    fps: float | None
    """frames per second of all cameras; None: unknown"""
    latency: float | None
    """95th percentile in seconds from exposure to the outbox; None: unknown"""
    memory: int
    """bytes, resident"""


def complaint(before: Measures, now: Measures) -> str:
    """The reason why ``now`` fails against ``before``; empty where it passes."""
    if before.fps and now.fps is not None and now.fps < FRAMES * before.fps:
        return f"too slow: {now.fps:.1f} frames a second, {before.fps:.1f} before"
    most = None if before.latency is None else max(SLOWER * before.latency, before.latency + SLACK)
    if most is not None and now.latency is not None and now.latency > most:
        return f"too slow: latency {1e3 * now.latency:.0f} ms, at most {1e3 * most:.0f} ms expected"
    if now.memory > MEMORY * before.memory + MEMORY_SLACK:
        return f"uses too much memory: {now.memory >> 20} MB, {before.memory >> 20} MB before"
    return ""


def leak(memory: Sequence[int]) -> str:
    """A reason where memory, sampled at equal intervals, grows steadily: a leak; else empty."""
    if len(memory) > PARTS and all(after - before > LEAK for before, after in pairwise(memory)):
        return f"leaks memory: {(memory[-1] - memory[0]) >> 20} MB more, and still growing"
    return ""


class Probation:
    """Monitors the daemon after a switch, against measurements before it."""

    def __init__(self, health: Health, seconds: float) -> None:
        self._health = health
        self._seconds = seconds
        self._counts: deque[tuple[float, int]] = deque(maxlen=HISTORY)
        self._before: Measures | None = None
        self._problems: dict[str, str] = {}
        self._began: float | None = None
        self._settled = False
        self._memory: list[int] = []
        """at the start and at the end of each interval"""

    @property
    def running(self) -> bool:
        return self._began is not None

    def begin(self, now: float, fresh: bool) -> None:
        """Begin the probation of a release. ``fresh``: the daemon has just started, without earlier measurements."""
        self._before = None if fresh else self._measure()
        self._problems = dict(self._health.problems)
        self._began, self._settled = now, False
        self._memory = []

    def end(self) -> None:
        self._began = None

    def look(self, now: float) -> str | None:
        """Called about once a second. None: undecided; empty: passed; else the reason of the failure."""
        if all(camera.state == "live" for camera in self._health.cameras.values()):
            self._counts.append((now, self._health.frames()))
        else:
            self._counts.clear()  # an offline camera is not attributed to the release
        if self._began is None:
            return None
        if not self._settled:
            if now - self._began >= SETTLING:
                self._settled = True
                self._counts.clear()
                self._health.begin_anew()
            return self._new_problem() or None
        measured = self._measure()
        if self._before is None:
            self._before = Measures(None, None, measured.memory)
        reason = self._new_problem() or complaint(self._before, measured)
        if reason:
            return reason
        if now - self._began >= SETTLING + len(self._memory) * max(0.0, self._seconds - SETTLING) / PARTS:
            self._memory.append(measured.memory)
        return leak(self._memory) if now - self._began >= self._seconds else None

    def _new_problem(self) -> str:
        for part, text in dict(self._health.problems).items():
            if self._problems.get(part) != text and self._concerns_models(part):
                return f"{part}: {text}"
        return ""

    def _concerns_models(self, part: str) -> bool:
        """Problems of broker, disk or cameras are not attributed to a release."""
        kind, _, name = part.partition(" ")
        if kind == "camera":
            return name in self._health.cameras and self._health.cameras[name].state == "live"
        return kind == "detector" or kind.startswith("labels.")

    def _measure(self) -> Measures:
        fps = None
        if len(self._counts) > 1:
            (began, first), (ended, last) = self._counts[0], self._counts[-1]
            if ended - began >= LEAST_SECONDS:
                fps = (last - first) / (ended - began)
        many, latency = self._health.latency(0.95)
        return Measures(fps, latency if many >= LEAST_LATENCIES else None, board.memory().resident)
