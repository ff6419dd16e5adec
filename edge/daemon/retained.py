"""Clear retained MQTT messages that the current settings no longer publish.

A retained message outlives its reason: the last picture of a camera whose snapshots were turned off, the presence of
one that was removed. Topics that the broker may hold are stored in the state folder until it has confirmed otherwise.
"""

from __future__ import annotations

import json
import logging
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.storage import files, layout
from edge.daemon.component import Component

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.mqtt.client import MqttClient
    from edge.mqtt.inflight import Ack
    from edge.mqtt.topics import Topics

log = logging.getLogger(__name__)

FILE = layout.RETAINED.name


def pictures(settings: Settings, topics: Topics) -> set[str]:
    """Topics of retained pictures under these settings."""
    found = {topics.snapshot(camera.name) for camera in settings.cameras if camera.enabled and camera.snapshots}
    if settings.frigate.enabled:
        from edge.mqtt.frigate import snapshot_topics

        found |= snapshot_topics(settings)
    return found


def forget_pictures(state: Path) -> None:
    """A subject was erased while no daemon ran: the next start clears every picture. Raises OSError."""
    lying = _read(state)
    if lying:
        _write(state, lying | {topic: True for topic in lying if "snapshot" in topic.split("/")})


class RetainedCleanup(Component):
    """Clears retained messages and remembers which the broker holds."""

    def __init__(self, settings: Settings, state: Path, client: MqttClient, topics: Topics) -> None:
        self._state, self._client, self._host = state, client, settings.mqtt.host
        self._wanted = pictures(settings, topics) | {topics.state(one.name) for one in settings.cameras if one.enabled}
        self._lying = dict.fromkeys(self._wanted, False)
        """topic -> whether it is to be removed"""
        self._lying |= {topic: gone or topic not in self._wanted for topic, gone in _read(state).items()}
        self._lock = threading.Lock()
        self._news = True

    def start(self) -> None:
        if self._host:
            self._client.on_online.append(self._say)
            self._say()

    def tick(self, _now: float, /) -> None:
        with self._lock:
            news, lying = self._news, dict(self._lying)
            self._news = False
        if not news or not self._host or lying == _read(self._state):
            return
        try:
            _write(self._state, lying)
        except OSError as error:
            log.warning("retained topics cannot be stored: %s", error)

    def _say(self) -> None:
        with self._lock:
            gone = [topic for topic, gone in self._lying.items() if gone]
        for topic in gone:
            self._client.publish(topic, b"", retain=True, acknowledged=partial(self._heard, topic))

    def _heard(self, topic: str, ack: Ack) -> None:
        if ack.abandoned:
            return
        with self._lock:
            self._news = True
            if topic in self._wanted:
                self._lying[topic] = False
            else:
                # not authorized for the topic any more: do not retry
                self._lying.pop(topic, None)


def _read(state: Path) -> dict[str, bool]:
    try:
        return {str(topic): bool(gone) for topic, gone in json.loads((state / FILE).read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _write(state: Path, lying: dict[str, bool]) -> None:
    files.write_bytes(state / FILE, json.dumps(lying, sort_keys=True).encode())
