"""The threads that look: one capture thread a camera, one inference thread for all of them.

A capture thread only waits for its camera and puts the newest frame where the inference thread finds it. What the
inference thread makes of it goes to ``Reports``.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge import board
from edge.errors import EdgeError, ModelError
from edge.frames import LatestFrame
from edge.health import Health
from edge.pipeline import Bundle, Pipeline
from edge.scheduler import FairShare
from edge.settings import Camera, Settings
from edge.sources import reconnecting
from edge.types import Event, Frame

IDLE = 1.0
"""seconds that the inference thread waits for a frame before it says that it is alive"""
PATIENCE = 0.5
"""seconds between two looks at ``stop`` of a stored source that waits for the inference thread"""
JOIN = 15.0
"""seconds to wait for a thread at the end"""


class Reports(Protocol):
    """Where results go. Called on the inference thread: must not block for long."""

    def events(self, events: Sequence[Event]) -> None:
        """Take over events: they must not be lost from here on."""

    def seen(self, camera: str, frame: Frame, pipeline: Pipeline, events: Sequence[Event]) -> None:
        """A frame was processed; ``events`` were taken over before."""


@dataclass(slots=True)
class _Watched:
    camera: Camera
    slot: LatestFrame
    pipeline: Pipeline
    thread: threading.Thread | None = None
    finished: bool = False


class Watch:
    """Looks through all enabled cameras until ``stop``, or until every stored source has ended."""

    def __init__(self, settings: Settings, bundle: Bundle, session: int, health: Health, reports: Reports) -> None:
        ids = (f"{session}-{number}" for number in itertools.count(1))
        self._health = health
        self._reports = reports
        self._stop = threading.Event()
        self._arrived = threading.Event()
        self._watched = {
            camera.name: _Watched(camera, LatestFrame(), Pipeline(camera, settings, bundle, ids))
            for camera in settings.cameras
            if camera.enabled
        }
        self._share = FairShare({name: one.camera.weight for name, one in self._watched.items()})
        self._inference = threading.Thread(target=self._infer, name="inference")
        self._done = threading.Event()

    def start(self) -> None:
        for one in self._watched.values():
            one.thread = threading.Thread(target=self._capture, args=(one,), name=f"capture {one.camera.name}")
            one.thread.daemon = True  # a camera driver that hangs must not keep the daemon from stopping
            one.thread.start()
        self._inference.start()

    def stop(self) -> None:
        """End all threads; every track gets its end."""
        self._stop.set()
        self._arrived.set()
        if self._inference.is_alive():
            self._inference.join(JOIN)
        for one in self._watched.values():
            if one.thread is not None and one.thread.is_alive():
                one.thread.join(1.0)

    def wait(self, seconds: float) -> bool:
        """Whether all sources have ended and all is reported; waits for it ``seconds`` at most."""
        return self._done.wait(seconds)

    def switch(self, bundle: Bundle) -> None:
        """From each camera's next frame on, ``bundle`` looks."""
        for one in self._watched.values():
            one.pipeline.bundle = bundle

    def _capture(self, one: _Watched) -> None:
        keep = not one.camera.realtime
        try:
            for frame in reconnecting(one.camera, self._stop, self._health.camera_changed):
                while keep and not self._stop.is_set() and not one.slot.offer(frame, PATIENCE):
                    pass
                if not keep:
                    one.slot.put(frame)
                self._arrived.set()
        except EdgeError as error:
            self._health.trouble(f"camera {one.camera.name}", str(error))
        finally:
            one.slot.close()
            self._arrived.set()

    def _infer(self) -> None:
        try:
            while not self._stop.is_set():
                self._health.beat("inference")
                self._arrived.clear()
                waiting = [name for name, one in self._watched.items() if one.slot.waiting]
                if waiting:
                    self._process(self._watched[self._share.choose(waiting)])
                elif self._all_finished():
                    break
                else:
                    self._arrived.wait(IDLE)
        finally:
            for one in self._watched.values():
                self._finish(one)
            self._health.rest("inference")
            self._done.set()

    def _process(self, one: _Watched) -> None:
        frame = one.slot.take(0)
        if frame is None:
            return
        name, began = one.camera.name, time.perf_counter()
        try:
            events = one.pipeline.process(frame, board.clock())
        except ModelError as error:
            self._health.trouble(f"camera {name}", str(error))
            return
        if events:
            self._reports.events(events)
        latency = time.monotonic() - frame.monotonic
        self._share.charge(name, time.perf_counter() - began)
        self._health.processed(name, one.pipeline.cost, latency, one.slot.dropped)
        self._reports.seen(name, frame, one.pipeline, events)

    def _all_finished(self) -> bool:
        """Whether no camera will deliver again; tracks of those that ended are ended."""
        for one in self._watched.values():
            if one.slot.closed and not one.slot.waiting and not one.finished:
                self._finish(one)
        return all(one.finished for one in self._watched.values())

    def _finish(self, one: _Watched) -> None:
        if one.finished:
            return
        one.finished = True
        events = one.pipeline.finish(clock=board.clock())
        if events:
            self._reports.events(events)
