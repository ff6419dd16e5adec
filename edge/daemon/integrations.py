"""Integrations: Home Assistant discovery and Frigate-compatible topics. Off unless the settings ask for them.

The main thread calls ``tick``; what other threads say waits for it.
"""

from __future__ import annotations

import json
import logging
import queue
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edge import __version__
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.storage import files, layout
from edge.core.system import hardware as board
from edge.core.system.page_address import network_address
from edge.core.types import Event, Frame
from edge.daemon.component import Component
from edge.labels import classifier as custom_labels
from edge.mqtt import homeassistant as discovery
from edge.mqtt.client import MqttClient
from edge.mqtt.frigate import Translator, snapshot_topics
from edge.mqtt.homeassistant import CameraEntities, DeviceDescription
from edge.mqtt.messages import to_json
from edge.mqtt.subscriptions import Incoming
from edge.mqtt.topics import DEVICE, Topics, part
from edge.recognition.store.collections import Collections

log = logging.getLogger(__name__)

BIRTH_SECONDS = 5.0
"""Home Assistant's return is answered after a random part of this, to avoid a thundering herd"""
ANNOUNCED = layout.HOMEASSISTANT.name
"""in the state folder: entities announced to Home Assistant"""
LOOK_SECONDS = 30.0
"""between two checks of the subjects in the collections"""
MOST_WAITING = 1000


class HomeAssistantIntegration:
    """Publishes discovery messages, again on Home Assistant's birth message and for new subjects.

    What was announced is remembered in the state folder, so that it is taken back when it is no more.
    """

    def __init__(self, settings: Settings, state: Path, collections: Collections, client: MqttClient) -> None:
        self._settings, self._state, self._collections, self._client = settings, state, collections, client
        self._memory = state / ANNOUNCED
        self._announced: dict[str, dict[str, str]] = {}
        """topic -> component -> platform"""
        self._topic = discovery.config_topic(
            settings.homeassistant.prefix, part(DEVICE, "device", settings.device.name)
        )
        self._said: dict[str, bytes] = {}
        self._left_out = 0
        self._recognized, self._topics = discovery.RecognizedTracks(), Topics(settings.device.name)
        self._events: queue.Queue[Event] = queue.Queue(MOST_WAITING)
        self._next_look = 0.0
        self._say_again: float | None = None

    def start(self) -> None:
        """Remove entities that are no longer announced, and subscribe to Home Assistant's birth message."""
        topic, self._announced = self._remembered()
        if topic and (topic != self._topic or not self._settings.homeassistant.enabled):
            # remembered still: this run may end before the broker has heard it
            for announced in self._announced:
                self._client.retain(announced, b"")
            self._announced = {}
        if self._settings.homeassistant.enabled:
            self._client.subscribe(f"{self._settings.homeassistant.prefix}/status", self._on_status)

    def listen(self, events: Sequence[Event]) -> None:
        """Take events over, on any thread."""
        for event in events if self._settings.homeassistant.enabled else ():
            try:
                self._events.put_nowait(event)
            except queue.Full:
                log.debug("homeassistant: too many pending events; one is skipped")

    def tick(self, now: float) -> None:
        """``now``: monotonic seconds."""
        if not self._settings.homeassistant.enabled:
            return
        while not self._events.empty():
            event = self._events.get_nowait()
            if recognized := self._recognized.message(event):
                self._client.publish(self._topics.recognized(event.camera), to_json(recognized))
        again = self._say_again is not None and now >= self._say_again
        if again:
            self._say_again = None
        if now >= self._next_look or again:
            self._next_look = now + LOOK_SECONDS
            self._announce(again)

    def _announce(self, again: bool) -> None:
        prefix, limit = self._settings.homeassistant.prefix, self._client.most_bytes
        found = discovery.announcements(prefix, self._described(), self._announced, limit)
        payloads = {one.topic: one.payload for one in found}
        if payloads == self._said and not again:
            return
        for topic in {*self._announced, *self._said} - payloads.keys():
            self._client.retain(topic, b"")
        for topic, payload in payloads.items():
            self._client.retain(topic, payload)
        self._said = payloads
        self._remember({one.topic: discovery.platforms(one.message) for one in found})
        left_out = max(one.left_out for one in found)
        if left_out and left_out != self._left_out:
            log.warning(
                "homeassistant: %d subjects have no entity at each camera: a message has %d bytes at most; "
                "lower homeassistant.subjects, or raise the packet size of the broker", left_out, limit,
            )  # fmt: skip
        self._left_out = left_out

    def _described(self) -> DeviceDescription:
        settings = self._settings
        cameras = tuple(
            CameraEntities(
                camera.name,
                tuple(settings.labels_of(camera)),
                camera.snapshots,
                self._custom(camera),
                tuple(camera.zones),
                any(settings.labels[label].embedder for label in settings.labels_of(camera)),
            )
            for camera in settings.cameras
            if camera.enabled
        )
        wanted = {label.collection for label in settings.labels.values() if label.collection}
        names = [name for one in wanted if one in self._collections for name in self._collections.get(one).subjects()]
        subjects = discovery.described_subjects(names, settings.homeassistant.subjects)
        return DeviceDescription(
            settings.device.name, __version__, board.model(), cameras, subjects, settings.homeassistant.switches,
            network_address(settings), board.temperature() is not None,
        )  # fmt: skip

    def _custom(self, camera: CameraSettings) -> tuple[str, ...]:
        """Custom labels that a camera tells, as many as there may be entities."""
        labels = custom_labels.labels_of(camera, self._state)
        return discovery.described_subjects(labels, self._settings.homeassistant.subjects)

    def _on_status(self, message: Incoming) -> None:
        if message.payload == b"online" and not message.retained:
            self._say_again = time.monotonic() + random.uniform(0.1, BIRTH_SECONDS)  # noqa: S311

    def _remembered(self) -> tuple[str, dict[str, dict[str, str]]]:
        try:
            found = json.loads(self._memory.read_bytes())
            topic = str(found["topic"])
            by_topic = {topic: found["components"], **found.get("cameras", {})}
            announced = {str(one): {str(k): str(v) for k, v in parts.items()} for one, parts in by_topic.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return "", {}
        return topic, announced

    def _remember(self, found: dict[str, dict[str, str]]) -> None:
        if found == self._announced and self._memory.exists():
            return
        # those that went stay announced as gone until the next start: the broker may not have heard it yet
        for topic, components in found.items():
            self._announced[topic] = self._announced.get(topic, {}) | components
        cameras = {topic: components for topic, components in found.items() if topic != self._topic}
        document = {"topic": self._topic, "components": found[self._topic], "cameras": cameras}
        try:
            files.write_bytes(self._memory, json.dumps(document).encode())
        except OSError as error:
            log.warning("homeassistant: announced entities cannot be stored: %s", error)


class FrigateIntegration:
    """Publishes events in Frigate's shape."""

    def __init__(self, settings: Settings, client: MqttClient, picture: Callable[[Frame], bytes]) -> None:
        self._client, self._picture = client, picture
        cameras = [camera for camera in settings.cameras if camera.enabled]
        sizes = {camera.name: (camera.width, camera.height) for camera in cameras}
        self._snapshots = frozenset(camera.name for camera in cameras if camera.snapshots)
        self._translator = Translator(settings.frigate.prefix, sizes, self._snapshots)
        self._pictures = snapshot_topics(settings)
        self._events: queue.Queue[Event] = queue.Queue(MOST_WAITING)

    def start(self) -> None:
        self._client.retain(self._translator.available, b"online")

    def stop(self) -> None:
        self.tick()
        self._client.retain(self._translator.available, b"stopped")

    def listen(self, events: Sequence[Event]) -> None:
        """Take events over, on any thread."""
        for event in events:
            try:
                self._events.put_nowait(event)
            except queue.Full:
                log.debug("frigate: too many pending events; one is not published")

    def tick(self, latest: Callable[[str], Frame | None] | None = None) -> None:
        """Publish what came since the last call."""
        while not self._events.empty():
            event = self._events.get_nowait()
            messages = self._translator.messages(event)
            frame = latest(event.camera) if latest and event.type == "new" and event.camera in self._snapshots else None
            if frame is not None:
                messages += self._translator.snapshot(event.camera, event.label, self._picture(frame))
            for one in messages:
                if one.retained:
                    self._client.retain(one.topic, one.payload)
                else:
                    self._client.publish(one.topic, one.payload, qos=0)

    def erase(self, subject: str) -> None:
        """A subject was erased: remove all retained pictures from the broker."""
        self._translator.erase(subject)
        for topic in self._pictures:
            self._client.retain(topic, b"")


class Integrations(Component):
    """Home Assistant and Frigate as one component."""

    def __init__(
        self,
        settings: Settings,
        state: Path,
        collections: Collections,
        client: MqttClient,
        picture: Callable[[Frame], bytes],
        latest: Callable[[str], Frame | None],
    ) -> None:
        self._home = HomeAssistantIntegration(settings, state, collections, client)
        self._frigate = FrigateIntegration(settings, client, picture) if settings.frigate.enabled else None
        self._latest = latest

    def start(self) -> None:
        self._home.start()
        if self._frigate:
            self._frigate.start()

    def on_events(self, events: Sequence[Event]) -> None:
        self._home.listen(events)
        if self._frigate:
            self._frigate.listen(events)

    def erase(self, subject: str) -> None:
        if self._frigate:
            self._frigate.erase(subject)

    def tick(self, now: float) -> None:
        self._home.tick(now)
        if self._frigate:
            self._frigate.tick(self._latest)

    def close(self) -> None:
        if self._frigate:
            self._frigate.stop()
