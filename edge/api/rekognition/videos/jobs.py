"""The thread that analyzes stored videos one at a time, at a lower priority than cameras and picture requests."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.notifications import ENDPOINT, TopicPublisher
from edge.api.rekognition.videos.store import Job, JobStore, VideoFinding
from edge.core.errors import EdgeError, StoreError
from edge.core.settings.vision import CameraSettings
from edge.core.system.hardware import lower_priority

if TYPE_CHECKING:
    from edge.api.rekognition.operations.own_labels import OwnLabels
    from edge.api.rekognition.search import FaceSearch
    from edge.api.rekognition.streams.output import Publish
    from edge.api.rekognition.taxonomy import Taxonomy
    from edge.api.rekognition.vision import Vision
    from edge.core.settings.schema import Settings
    from edge.core.types import Frame

log = logging.getLogger(__name__)

MOST = 20
"""unfinished jobs, at most"""
SAVE_SECONDS = 2.0
"""seconds of work that a restart loses, at most"""
NICENESS = 10
TELL_SECONDS = 5.0
"""seconds between two attempts to publish the notification of a finished job"""


@dataclass(frozen=True, slots=True)
class VideoTools:
    """Dependencies of the analysis. ``vision`` holds the models of the jobs' thread."""

    settings: Settings
    vision: Vision
    faces: FaceSearch
    own_labels: OwnLabels
    taxonomy: Taxonomy


class VideoJobs:
    """Starts jobs, runs them, and publishes notifications of finished jobs."""

    def __init__(self, tools: VideoTools, state: Path, topics: TopicPublisher, publish: Publish | None) -> None:
        self.store = JobStore(state)
        self._tools, self._publish, self._topics = tools, publish, topics
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._notifications_due = False
        self._thread: threading.Thread | None = None

    def resume(self) -> None:
        """Continue the jobs that were unfinished when the endpoint stopped."""
        for job in self.store.unfinished():
            self._enqueue(job.id)
        self._notifications_due = bool(self.store.untold())
        if self._notifications_due:
            self._enqueue("")

    def start(self, operation: str, request: Mapping[str, Any], path: Path, metadata: dict[str, Any]) -> str:
        """Queue a job. Returns the JobId. Raises ApiError where too many wait."""
        if len(self.store.unfinished()) >= MOST:
            raise ApiError("LimitExceededException", f"At most {MOST} jobs can wait.")
        if "NotificationChannel" in request and self._publish is None and not self._topics.url:
            log.warning("a job has a NotificationChannel, but neither MQTT nor %s is configured", ENDPOINT)
        job = Job(uuid.uuid4().hex, operation, {**request, "path": str(path)}, metadata=metadata)
        self.store.add(job)
        self._enqueue(job.id)
        return job.id

    def close(self) -> None:
        """Stop; the next process continues unfinished jobs."""
        self._stop.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        self.store.close()

    def _enqueue(self, number: str) -> None:
        self._queue.put(number)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="videos", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        lower_priority(NICENESS)
        failing = False
        while (number := self._next()) is not None and not self._stop.is_set():
            try:
                self._tell_rest()
                self._work_on(number)
                failing = False
            except StoreError as error:
                log.log(logging.DEBUG if failing else logging.WARNING, "video jobs wait for the disk: %s", error)
                failing = self._notifications_due = True
                self._queue.put(number)
                self._stop.wait(TELL_SECONDS)

    def _work_on(self, number: str) -> None:
        job = self.store.get(number)
        if job is None:
            return
        try:
            done = self._done(job)
        except (EdgeError, ApiError, OSError) as error:
            log.warning("%s of %s failed: %s", job.operation, Path(job.request["path"]).name, error)
            current = self.store.get(number) or job
            done = replace(current, status="FAILED", message=str(error)[:256])
        if done.status != "IN_PROGRESS":
            self._tell(replace(done, told=not done.request.get("NotificationChannel")))

    def _done(self, job: Job) -> Job:
        from edge.api.rekognition.videos.looking import looks_of, milliseconds

        look = looks_of(job, self._tools)
        waiting: list[VideoFinding] = []
        saved = time.monotonic()
        for frame in self._frames(job):
            if self._stop.is_set():
                self.store.save(job, waiting)
                return job
            if milliseconds(frame) <= job.seen:
                continue
            waiting += look(frame)
            job = replace(job, seen=milliseconds(frame))
            if time.monotonic() - saved >= SAVE_SECONDS:
                self.store.save(job, waiting)
                waiting, saved = [], time.monotonic()
        job = replace(job, status="SUCCEEDED")
        self.store.save(job, waiting)
        return job

    def _frames(self, job: Job) -> Iterator[Frame]:
        from edge.api.rekognition.videos.looking import ALL_FPS, FPS
        from edge.sources.av import VideoFile

        source = VideoFile(
            CameraSettings(name="video", fps=ALL_FPS.get(job.operation, FPS), realtime=False), job.request["path"]
        )
        try:
            yield from source.frames()
        finally:
            source.close()

    def _next(self) -> str | None:
        """The next job; empty to retry notifications, None to stop."""
        try:
            return self._queue.get(timeout=TELL_SECONDS if self._notifications_due else None)
        except queue.Empty:
            return ""

    def _tell_rest(self) -> None:
        if self._notifications_due:
            self._notifications_due = False
            for job in self.store.untold():
                self._tell(job)

    def _tell(self, job: Job) -> None:
        """Publish the notification on the topic of the request's channel: now, or when the connection is back."""
        if not job.told:
            topic, document = job.request["NotificationChannel"]["SNSTopicArn"], _notice(job)
            if self._topics.url and not job.topic_told:
                job = replace(job, topic_told=self._topics.send(topic, document))
            published = self._publish is None or self._publish(topic.rsplit(":", 1)[-1], document) is not False
            job = replace(job, told=published and (job.topic_told or not self._topics.url))
        self.store.save(job)
        self._notifications_due |= not job.told


def _notice(job: Job) -> bytes:
    place = job.request["Video"]["S3Object"]
    document = {
        "JobId": job.id,
        "Status": job.status,
        "API": job.operation,
        "JobTag": job.request.get("JobTag", ""),
        "Message": job.message,
        "Timestamp": round(time.time() * 1000),
        "Video": {"S3ObjectName": place["Name"], "S3Bucket": place["Bucket"]},
    }
    return json.dumps(document).encode()
