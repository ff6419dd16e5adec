"""Overload monitor: measures the board and applies load shedding to the cameras."""

from __future__ import annotations

import logging
import statistics
import threading
from collections import deque
from typing import TYPE_CHECKING

from edge.core.settings.vision import SheddingSettings as Settings
from edge.core.system import hardware as board
from edge.daemon.component import Component
from edge.mqtt.messages import ShedReport as Document
from edge.pipeline.load_shedding import NOTHING, TOP, WORDS, LoadShedder, Measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.daemon.engine import Engine
    from edge.pipeline.health import Health

LOOK_SECONDS = 2.0
"""between two checks at the board"""
LATELY = 10.0
"""seconds whose frames count"""
FEWEST = 3
"""minimum number of frames for a measurement"""

log = logging.getLogger(__name__)


class LatencyWindow:
    """Latencies of the latest frames. One thread adds, another reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, float]] = deque(maxlen=256)

    def add(self, now: float, seconds: float) -> None:
        """Record a frame processed at ``now``, ``seconds`` after its exposure."""
        with self._lock:
            self._recent.append((now, seconds))

    def middle(self, now: float, since: float) -> float | None:
        """Median of recent frames, not before ``since``; None where they are too few."""
        with self._lock:
            lately = [seconds for moment, seconds in self._recent if moment >= max(since, now - LATELY)]
        return statistics.median(lately) if len(lately) >= FEWEST else None


class OverloadMonitor(Component):
    """Changes the level of load shedding; ``publish`` is called after each change."""

    def __init__(self, settings: Settings, cameras: Engine, health: Health, publish: Callable[[], None]) -> None:
        self._settings, self._cameras, self._health, self._publish = settings, cameras, health, publish
        self._shedding = LoadShedder(settings)
        self._next = 0.0
        health.shed = self.document()

    def tick(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        before = self._shedding.level
        if self._shedding.step(now, self._measured(now)):
            self._cameras.shed(self._shedding.shed)
            self._tell(before)
            self._health.shed = self.document()
            self._publish()

    def document(self) -> Document:
        """The level of load shedding, as ``up/stats`` reports it."""
        level = self._shedding.level
        return Document(level, TOP, WORDS[level], self._shedding.why)

    def _measured(self, now: float) -> Measured:
        folder = self._settings.board
        latency = self._cameras.latencies.middle(now, self._shedding.changed)
        return Measured(latency, board.temperature(folder), board.throttled(folder))

    def _tell(self, before: int) -> None:
        level = self._shedding.level
        if level > before:
            log.warning(
                "load shedding: %s, because of %s (level %d of %d)", WORDS[level], self._shedding.why, level, TOP
            )
        elif self._shedding.shed == NOTHING:
            log.info("load shedding off")
        else:
            log.info("load shedding reduced: %s (level %d of %d)", WORDS[level], level, TOP)
