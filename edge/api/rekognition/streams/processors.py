"""Stream processors: stored in SQLite, fed by the daemon's pipeline, published as Rekognition records."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.streams.output import Output, Publish
from edge.api.rekognition.streams.processor import Processor, check_labels, check_regions, made
from edge.api.rekognition.streams.sessions import FaceSession, LabelSession, Session, Shot, StreamContext
from edge.core.errors import BusyError, EdgeError
from edge.core.storage import layout, vault
from edge.core.types import Detection

if TYPE_CHECKING:
    from edge.api.http.work_queue import WorkQueue
    from edge.pipeline.frame_result import FrameResult

log = logging.getLogger(__name__)

MOST = 16
"""processors per device"""
HOME_SECONDS = 10
"""duration of a label detection session without StopSelector"""


class StreamProcessors:
    """All stream processors of the device. Thread-safe.

    The daemon calls ``observe`` with every processed frame. ``feeding`` states whether it will; otherwise no processor
    starts.
    """

    def __init__(self, context: StreamContext, models: WorkQueue, publish: Publish | None, feeding: bool) -> None:
        """``models``: the queue of the thread that runs models."""
        self._context, self._models = context, models
        self._feeding = feeding
        self._output = Output(context.state / layout.RECORDS.name, publish, keep=vault.state(context.state) is None)
        self._lock = threading.RLock()
        self._all = {document["name"]: Processor(**document) for document in context.store.processors()}
        self._sessions: dict[str, Session] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._at_work: set[str] = set()
        self.skipped = 0
        """frames that no processor analyzed, because the models queue was busy"""

    def resume(self) -> None:
        """Resume after a restart: face searches continue, label sessions have failed."""
        with self._lock:
            for processor in self._all.values():
                if processor.running and not processor.searches_faces:
                    self._save(processor.now(status="FAILED", message="The device restarted during the session"))
                elif processor.running and self._feeding:
                    self._sessions[processor.name] = FaceSession(processor, self._context)

    def close(self) -> None:
        """End the sessions of this process; running processors continue at ``resume``."""
        with self._lock:
            for timer in self._timers.values():
                timer.cancel()
            self._sessions.clear()

    def observe(self, result: FrameResult) -> None:
        """Pass a processed frame. Takes microseconds: the work is queued on the models queue, or skipped.

        The frame's pixels must not change: a source that recycles its buffers must pass copies.
        """
        frame, camera = result.frame, result.frame.camera
        sessions = [one for one in tuple(self._sessions.values()) if one.processor.camera == camera]
        if not sessions:
            return
        if camera in self._at_work:
            self.skipped += 1
            return
        seen = [track for track in result.tracks if track.seen >= frame.monotonic]
        things = [(one.id, Detection(one.label, one.score, one.box, one.landmarks)) for one in seen]
        things += [(one.id, Detection(own.name, own.score, one.box)) for one in seen for own in one.custom_labels]
        shot = Shot(frame.main, frame.time, tuple(things))
        self._at_work.add(camera)
        try:
            self._models.submit(lambda: self._work(camera, sessions, shot))
        except BusyError:
            self._at_work.discard(camera)
            self.skipped += 1

    def knows(self, name: str) -> bool:
        return name in self._all

    def get(self, name: str) -> Processor:
        """Raises ApiError."""
        processor = self._all.get(name)
        if processor is None:
            raise ApiError("ResourceNotFoundException", f"Stream processor not found: {name}")
        return processor

    def all(self) -> list[Processor]:
        """By name."""
        with self._lock:
            return [self._all[name] for name in sorted(self._all)]

    def create(self, request: Mapping[str, Any]) -> Processor:
        """Create a stopped processor. Raises ApiError."""
        processor = made(request, self._context.settings, self._context.state)
        with self._lock:
            if processor.name in self._all:
                raise ApiError("ResourceInUseException", "Stream processor name already in use.")
            if len(self._all) >= MOST:
                raise ApiError("LimitExceededException", f"This device has at most {MOST} stream processors.")
            self._save(processor)
        return processor

    def start(self, name: str, request: Mapping[str, Any]) -> str:
        """Start a session; returns its id. Raises ApiError."""
        with self._lock:
            processor = self.get(name)
            self._check_start(processor, request)
            session = str(uuid.uuid4())
            face = processor.searches_faces
            processor = processor.now(
                status="RUNNING" if face else "STARTING", message="", session=session, start=dict(request)
            )
            self._save(processor)
            if face:
                self._sessions[name] = FaceSession(processor, self._context)
            else:
                self._sessions[name] = LabelSession(processor, self._context)
                seconds = request.get("StopSelector", {}).get("MaxDurationInSeconds", HOME_SECONDS)
                self._later(name, seconds, lambda: self._ended(name, session, "STOPPED", "SUCCESS"))
        return session

    def stop(self, name: str) -> None:
        """Stop a running processor. Raises ApiError where it is not running."""
        with self._lock:
            processor = self.get(name)
            if not processor.running:
                raise ApiError("ResourceInUseException", "Processor not available for stopping stream")
            self._ended(name, processor.session, "STOPPED", "STOPPED")

    def update(self, name: str, change: Callable[[Processor], Processor]) -> None:
        """Replace a stopped label detection processor by the result of ``change``. Raises ApiError."""
        with self._lock:
            processor = self.get(name)
            if processor.running:
                raise ApiError("ResourceInUseException", "Stop the stream processor before it is updated.")
            changed = change(processor)
            if not changed.searches_faces:
                check_labels(changed, self._context.settings, self._context.state)
                check_regions(list(changed.request.get("RegionsOfInterest", [])))
            self._save(changed)

    def delete(self, name: str) -> None:
        """Delete a stopped processor. Raises ApiError where it is running."""
        with self._lock:
            if self.get(name).running:
                raise ApiError("ResourceInUseException", "Stop the stream processor before it is deleted.")
            self._context.store.delete_processor(name)
            del self._all[name]

    def collection_gone(self, collection: str) -> None:
        """Fail the running searches of a deleted collection."""
        with self._lock:
            for name, processor in list(self._all.items()):
                if processor.running and processor.searches_faces and processor.collection == collection:
                    self._ended(name, processor.session, "FAILED", "Collection not found")

    def _check_start(self, processor: Processor, request: Mapping[str, Any]) -> None:
        if processor.running:
            raise ApiError("ResourceInUseException", "The stream processor is running already.")
        if not self._feeding:
            raise ApiError(
                "ResourceInUseException",
                "No camera runs in this process: send the request to the endpoint of edge run.",
            )
        if processor.searches_faces:
            if "StartSelector" in request or "StopSelector" in request:
                raise ApiError("InvalidParameterException", "Face search takes no StartSelector or StopSelector.")
            self._context.faces.collection(processor.collection)
        elif not request.get("StartSelector", {}).get("KVSStreamStartSelector"):
            raise ApiError("InvalidParameterException", "Label detection needs a StartSelector.")

    def _work(self, camera: str, sessions: Sequence[Session], shot: Shot) -> None:
        try:
            for session in sessions:
                if self._sessions.get(session.processor.name) is session:
                    self._put(session, lambda one=session: one.work(shot))  # type: ignore[misc]
        finally:
            self._at_work.discard(camera)

    def _put(self, session: Session, make: Callable[[], list[dict[str, Any]]]) -> None:
        name = session.processor.name
        try:
            channel = session.processor.request.get("NotificationChannel")
            for record in make():
                payload = self._output.put(name, record)
                if channel and self._context.topics.url:
                    self._context.topics.post(channel["SNSTopicArn"], payload)
        except ApiError as error:
            missing = error.name == "ResourceNotFoundException"
            self._ended(name, session.processor.session, "FAILED", "Collection not found" if missing else error.message)
        except EdgeError as error:
            self._ended(name, session.processor.session, "FAILED", error.message)

    def _ended(self, name: str, session: str, status: str, outcome: str) -> None:
        with self._lock:
            processor, timer = self._all.get(name), self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()
            if processor is None or processor.session != session or not processor.running:
                return
            ended = self._sessions.pop(name, None)
            self._save(processor.now(status=status, message="" if status == "STOPPED" else outcome))
            if status == "FAILED":
                log.warning("stream processor %s failed: %s", name, outcome)
            for record in ended.end(outcome) if ended else []:
                self._output.put(name, record)

    def _later(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.name = f"api-stream-{name}"
        self._timers[name] = timer
        timer.start()

    def _save(self, processor: Processor) -> None:
        self._context.store.save_processor(processor.name, processor.document)
        self._all[processor.name] = processor
