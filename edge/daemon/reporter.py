"""Reporter: events go to the outbox, presence and pictures to the broker.

The inference thread calls it and never waits for the network; the main thread publishes in ``flush``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.system import hardware as board
from edge.core.types import Event, Frame, Identity
from edge.daemon.component import Component
from edge.mqtt.client import MqttClient
from edge.mqtt.messages import CameraPresenceDocument, PresenceEntry, to_json, wire_labels
from edge.mqtt.outbox.outbox import Outbox
from edge.mqtt.topics import Topics
from edge.pipeline.event_policy import CameraPresence
from edge.pipeline.event_policy import PresentTrack as Reported
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.health import Health

SNAPSHOT_HEIGHT = 360
"""pixels of a published picture"""


class Reporter:
    """Takes over results of the pipeline."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        client: MqttClient,
        topics: Topics,
        health: Health,
        on_events: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        """``on_events`` receives each event after the outbox has it."""
        self.components: Sequence[Component] = ()
        """receive each frame's result, and events after the outbox has them"""
        self.wake = threading.Event()
        """something waits for ``flush``"""
        self._on_events = on_events
        self._outbox, self._client, self._topics, self._health = outbox, client, topics, health
        self._snapshots = {camera.name for camera in settings.cameras if camera.snapshots}
        self._lock = threading.Lock()
        self._presence: dict[str, CameraPresence] = {}
        self._said: dict[str, tuple[CameraPresence, str]] = {}
        self._pictures: dict[str, Frame] = {}

    def events(self, events: Sequence[Event]) -> None:
        self._outbox.put(events)
        if self._on_events:
            self._on_events(events)
        for component in self.components:
            component.on_events(events)

    def seen(self, result: FrameResult) -> None:
        camera = result.frame.camera
        self._health.model_trouble(result.models, result.stats.problems)
        if result.presence is not None:
            with self._lock:
                self._presence[camera] = result.presence
                if camera in self._snapshots and any(event.type == "new" for event in result.events):
                    self._pictures[camera] = result.frame
            self.wake.set()
        for component in self.components:
            component.on_frame(result)

    def erase(self, subject: str) -> None:
        """Remove a subject from presence, and clear the pictures that were published."""
        with self._lock:
            self._presence = {name: _without(one, subject) for name, one in self._presence.items()}
            self._said, self._pictures = {}, {}
        for camera in self._snapshots:
            self._client.retain(self._topics.snapshot(camera), b"")
        self.wake.set()

    def left(self, camera: str) -> None:
        with self._lock:
            self._presence[camera] = CameraPresence(camera, time.time(), ())
        self.wake.set()

    def present(self) -> list[CameraPresence]:
        """Presence of each camera that has processed a frame."""
        with self._lock:
            return list(self._presence.values())

    def flush(self) -> None:
        """Publish what changed since the last call. Called on one thread, often."""
        with self._lock:
            self.wake.clear()
            presence, frames = dict(self._presence), self._pictures
            self._pictures = {}
        for name, camera in self._health.cameras.items():
            now = presence.get(name) or CameraPresence(name, time.time(), ())
            said = self._said.get(name)
            if said is None or said[1] != camera.state or not now.says_the_same(said[0]):
                self._said[name] = (now, camera.state)
                self._client.retain(self._topics.state(name), to_json(_state(now, camera.state)))
        for name, frame in frames.items():
            self._client.retain(self._topics.snapshot(name), small_jpeg(frame))

    def finish(self) -> None:
        """Publish that no subject is present any more."""
        with self._lock:
            self._presence = {name: CameraPresence(name, time.time(), ()) for name in self._presence}
        self.flush()


def _without(presence: CameraPresence, subject: str) -> CameraPresence:
    def nameless(one: Reported) -> Reported:
        return replace(one, identity=Identity(collection=one.identity.collection))

    tracks = tuple(nameless(one) if one.identity.subject == subject else one for one in presence.tracks)
    return replace(presence, tracks=tracks)


def _state(presence: CameraPresence, status: str) -> CameraPresenceDocument:
    present = tuple(
        PresenceEntry(
            one.track,
            one.label,
            one.identity.state,
            one.identity.subject,
            one.identity.similarity,
            one.zones,
            one.started,
            wire_labels(one.custom_labels),
            one.whole,
        )
        for one in presence.tracks
    )
    return CameraPresenceDocument(
        camera=presence.camera, status=status, time=presence.time, present=present, counts=presence.counts,
        subjects=presence.subjects, clock=board.clock(),
    )  # fmt: skip


def small_jpeg(frame: Frame) -> bytes:
    """A JPEG of the whole frame, small."""
    height = min(SNAPSHOT_HEIGHT, frame.main.height)
    width = max(1, round(frame.main.width * height / frame.main.height))
    return pictures.encode_jpeg(pictures.resized_rgb(frame.main, width, height))
