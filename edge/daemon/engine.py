"""The threads that look: one capture thread a camera, one inference thread for all of them.

A capture thread only waits for its camera and puts the newest frame where the inference thread finds it. What the
inference thread makes of it goes to ``FrameObserver``.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge.core.errors import BusyError, EdgeError, ModelError, NotFoundError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.system import hardware as board
from edge.core.system.heartbeat import Heartbeat
from edge.core.types import Event, Frame
from edge.daemon.overload import LatencyWindow
from edge.daemon.scheduler import FairShare
from edge.daemon.watchdog import STUCK, Watchdog
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.health import Health
from edge.pipeline.load_shedding import NOTHING, EmbeddingPace, ShedLevel
from edge.pipeline.model_set import ModelSet
from edge.pipeline.pipeline import Pipeline
from edge.pipeline.strangers import StrangerRecognizer
from edge.sources.base import CameraState
from edge.sources.latest_frame import LatestFrame
from edge.sources.reconnect import reconnecting

IDLE = 1.0
"""seconds that the inference thread waits for a frame before it says that it is alive"""
OPENING = 120.0
"""seconds that the opening of a camera may take more than a frame: nothing interrupts a resolver without its server"""
PATIENCE = 0.5
"""seconds between two checks at ``stop`` of a stored source that waits for the inference thread"""
JOIN = 15.0
"""seconds to wait for a thread at the end"""


class FrameObserver(Protocol):
    """Receiver of results. Called on the inference thread: must not block for long."""

    def events(self, events: Sequence[Event]) -> None:
        """Take over events: they must not be lost from here on."""

    def seen(self, result: FrameResult) -> None:
        """A frame was processed; its events were taken over before."""

    def left(self, camera: str) -> None:
        """The camera was disabled; its end events were taken over before."""


@dataclass(slots=True)
class _CameraWorker:
    camera: CameraSettings
    slot: LatestFrame
    pipeline: Pipeline
    pulse: Heartbeat
    """of its capture thread"""
    thread: threading.Thread | None = None
    finished: bool = False
    off: bool = False
    """disabled until it is enabled again"""
    halt: threading.Event = field(default_factory=threading.Event)
    """ends its capture thread"""
    latest: Frame | None = None
    """the latest processed frame"""


class Engine:
    """Runs all enabled cameras until ``stop``, or until every stored source has ended."""

    def __init__(
        self,
        settings: Settings,
        model_set: ModelSet,
        session: int,
        health: Health,
        reports: FrameObserver,
        watchdog: Watchdog | None = None,
    ) -> None:
        watchdog = watchdog or Watchdog()
        ids = (f"{session}-{number}" for number in itertools.count(1))
        self._health = health
        self._reports = reports
        self._stop = threading.Event()
        self._arrived = threading.Event()
        self._watched = {
            camera.name: _CameraWorker(
                camera,
                LatestFrame(),
                Pipeline(camera, settings, model_set, ids),
                watchdog.watch(f"capture {camera.name}", patience=_patience(camera), group="capture"),
            )
            for camera in settings.cameras
            if camera.enabled
        }
        for name, one in self._watched.items():
            health.cameras[name].wanted = one.camera.fps
        self.latencies = LatencyWindow()
        """of realtime frames; a stored source that is read as fast as possible has none"""
        self._shed = NOTHING
        self._share = FairShare({name: one.camera.weight for name, one in self._watched.items()})
        self.failed = False
        """whether the inference thread ended with an unexpected error; its traceback is on stderr"""
        self._pulse = watchdog.watch("inference")
        self._inference = threading.Thread(target=self._infer, name="inference")
        self._done = threading.Event()
        self._works: deque[Callable[[], None]] = deque()
        """for the inference thread, between two frames"""
        self._switching = threading.Lock()

    def start(self) -> None:
        for one in self._watched.values():
            self._open(one)
        self._inference.start()

    def _open(self, one: _CameraWorker) -> None:
        arguments = (one.camera, one.slot, one.halt, one.pulse)
        one.thread = threading.Thread(target=self._capture, args=arguments, name=f"capture {one.camera.name}")
        one.thread.daemon = True  # a camera driver that hangs must not keep the daemon from stopping
        one.thread.start()

    def stop(self) -> None:
        """End all threads; every track gets its end event."""
        self._stop.set()
        for one in self._watched.values():
            one.halt.set()
        self._arrived.set()
        if self._inference.is_alive():
            self._inference.join(JOIN)
        for one in self._watched.values():
            if one.thread is not None and one.thread.is_alive():
                one.thread.join(1.0)

    def wait(self, seconds: float) -> bool:
        """Whether all sources have ended and all is reported; waits for it ``seconds`` at most."""
        return self._done.wait(seconds)

    @property
    def model_set(self) -> ModelSet:
        """The model set in use from the next frame on."""
        return next(iter(self._watched.values())).pipeline.model_set

    def switch(self, model_set: ModelSet) -> None:
        """Use ``model_set`` from each camera's next frame on."""
        for one in self._watched.values():
            one.pipeline.model_set = model_set

    def shed(self, shed: ShedLevel) -> None:
        """Apply load shedding from each camera's next frame on."""
        self._shed = shed
        for one in self._watched.values():
            one.pipeline.frame_gate.shed = shed if one.camera.realtime else NOTHING

    def enable(self, camera: str, enabled: bool) -> None:
        """Enable or disable a camera until the next start. Disabling closes the source and ends its tracks.

        Raises NotFoundError for a camera that the settings do not enable, BusyError where it does not close in time.
        """
        one = self._watched.get(camera)
        if one is None:
            raise NotFoundError(
                f"camera {camera!r} is not one of {', '.join(self._watched)}", "enable it in the settings"
            )
        with self._switching:
            if enabled and one.off:
                one.slot, one.halt = LatestFrame(), threading.Event()
                one.finished = one.off = False
                self._health.settled(f"camera {camera}")
                self._open(one)
            elif not enabled and not one.off:
                self._close(one)

    def remember(self, strangers: StrangerRecognizer) -> None:
        """Re-identify strangers on every camera; before ``start``."""
        for one in self._watched.values():
            one.pipeline.strangers = strangers

    def between(self, work: Callable[[Pipeline], None]) -> None:
        """Do ``work`` on every camera's pipeline between two frames, and wait for it.

        Raises BusyError where the inference thread does not come to it in time.
        """
        done = threading.Event()

        def all_of_them() -> None:
            for one in self._watched.values():
                one.latest = None
                work(one.pipeline)
            done.set()

        if not self._inference.is_alive():
            all_of_them()
            return
        self._works.append(all_of_them)
        self._arrived.set()
        until = time.monotonic() + JOIN
        while not done.wait(0.1):
            if not self._inference.is_alive() and not done.is_set():
                all_of_them()
            elif time.monotonic() > until:
                raise BusyError("the inference thread does not respond", "try again")

    def latest(self, camera: str) -> Frame | None:
        """The latest processed frame; None before the first. Raises NotFoundError."""
        if camera not in self._watched:
            raise NotFoundError(f"camera {camera!r} is not one of {', '.join(self._watched)}", "check the name")
        return self._watched[camera].latest

    def _close(self, one: _CameraWorker) -> None:
        one.off = True
        one.halt.set()
        self._arrived.set()
        if one.thread is not None:
            one.thread.join(JOIN)
        until = time.monotonic() + JOIN
        while not one.finished and not self._done.is_set() and time.monotonic() < until:
            time.sleep(0.01)
        one.latest = None
        self._health.camera_changed(CameraState(one.camera.name, "off"))
        self._health.settled(f"camera {one.camera.name}")
        if not one.finished or (one.thread is not None and one.thread.is_alive()):
            raise BusyError(f"camera {one.camera.name} does not close", "check its state, and try again")

    def _capture(self, camera: CameraSettings, slot: LatestFrame, halt: threading.Event, pulse: Heartbeat) -> None:
        keep, pace = not camera.realtime, EmbeddingPace(camera.fps)

        def changed(state: CameraState) -> None:
            if state.state == "lost":
                pulse.rest()
            else:
                pulse.beat(OPENING if state.state == "connecting" else 0.0)
            if not halt.is_set():
                self._health.camera_changed(state)

        try:
            for frame in reconnecting(camera, halt, changed):
                pulse.beat()
                while keep and not halt.is_set() and not slot.offer(frame, PATIENCE):
                    pulse.beat()
                if not keep and (frame.cut or pace.due(frame.monotonic, self._shed.rate)):
                    slot.put(frame)
                self._arrived.set()
        except EdgeError as error:
            if not halt.is_set():
                self._health.trouble(f"camera {camera.name}", str(error))
        finally:
            pulse.rest()
            slot.close()
            self._arrived.set()

    def _infer(self) -> None:
        self.failed = True
        try:
            while not self._stop.is_set():
                self._pulse.beat()
                self._arrived.clear()
                for one in self._watched.values():
                    if one.off:
                        self._finish(one)
                while self._works:
                    self._works.popleft()()
                waiting = [name for name, one in self._watched.items() if one.slot.waiting and not one.off]
                if waiting:
                    self._process(self._watched[self._share.choose(waiting)])
                elif self._all_finished():
                    break
                else:
                    self._arrived.wait(IDLE)
            self.failed = False
        finally:
            for one in self._watched.values():
                self._finish(one)
            self._pulse.rest()
            self._done.set()

    def _process(self, one: _CameraWorker) -> None:
        frame = one.slot.take(0)
        if frame is None:
            return
        one.latest = frame
        name, began, result = one.camera.name, time.perf_counter(), None
        models = one.pipeline.model_set
        try:
            result = one.pipeline.process(frame, board.clock())
            if result.events:
                self._reports.events(result.events)
        except ModelError as error:
            self._health.model_trouble(models, {f"camera {name}": str(error)})
            return
        finally:  # a camera that fails must not get more than its share either
            self._share.charge(name, time.perf_counter() - began, result is None or result.stats.moving)
        latency = time.monotonic() - frame.monotonic
        if one.camera.realtime:
            self.latencies.add(frame.monotonic + latency, latency)
        self._health.processed(name, result.stats, latency, one.slot.dropped)
        self._reports.seen(result)

    def _all_finished(self) -> bool:
        """Whether all sources have ended; their tracks are ended."""
        for one in self._watched.values():
            if one.slot.closed and not one.slot.waiting and not one.finished:
                self._finish(one)
        return all(one.finished and not one.off for one in self._watched.values())

    def _finish(self, one: _CameraWorker) -> None:
        if one.finished:
            return
        events = one.pipeline.finish(clock=board.clock())
        if events:
            self._reports.events(events)
        self._reports.left(one.camera.name)
        one.finished = True


def _patience(camera: CameraSettings) -> float:
    """Seconds of silence of a capture thread that mean more than a slow camera: a source gives up by itself first."""
    return camera.stall + 1 / camera.fps + STUCK
