"""Received messages and their handlers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import paho.mqtt.client as paho

log = logging.getLogger(__name__)

WAITING_MESSAGES = 1000
"""pending messages; more are dropped and counted"""


class Incoming(NamedTuple):
    """A received message; a tuple, as an ingest makes thousands per second."""

    topic: str
    payload: bytes
    retained: bool = False
    response_topic: str = ""
    correlation: bytes = b""


@dataclass(slots=True)
class Delivered:
    """A message that the broker keeps until it is acknowledged. Not frozen: an ingest makes thousands per second."""

    message: Incoming
    mid: int
    """message id on this connection; 0 at QoS 0"""
    qos: int
    connection: int
    """number of the connection: message ids start over on each"""


Handler = Callable[[Incoming], None]
Sink = Callable[[Sequence[Delivered]], None]
"""receives messages; they are acknowledged separately"""


def read(message: paho.MQTTMessage) -> Incoming:
    """Convert a message of paho to ``Incoming``."""
    properties = message.properties
    return Incoming(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=message.retain,
        response_topic=getattr(properties, "ResponseTopic", "") or "",
        correlation=getattr(properties, "CorrelationData", b"") or b"",
    )


class Subscriptions:
    """Handlers by topic filter, and the number of messages that wait for them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handlers: list[tuple[str, Handler]] = []
        self._waiting = self._dropped = 0

    def add(self, topic_filter: str, handler: Handler) -> None:
        with self._lock:
            self._handlers.append((topic_filter, handler))

    def filters(self, version: str) -> list[str]:
        """Topic filters in the form that a broker of that version supports."""
        with self._lock:
            return [understood(topic_filter, version) for topic_filter, _ in self._handlers]

    def admit(self) -> bool:
        """Whether one more message may wait; an admitted message must be handled."""
        with self._lock:
            full = self._waiting >= WAITING_MESSAGES
            self._waiting += not full
            self._dropped += full
        if full:
            log.debug("mqtt: handlers are too slow, %d messages dropped so far", self._dropped)
        return not full

    def handle(self, message: Incoming) -> None:
        """Call the matching handlers."""
        with self._lock:
            self._waiting -= 1
            handlers = [handler for rule, handler in self._handlers if paho.topic_matches_sub(rule, message.topic)]
        for handler in handlers:
            handler(message)


def understood(topic_filter: str, version: str) -> str:
    """The filter without a shared subscription in 3.1.1, whose brokers may ignore it silently."""
    if version == "5" or not topic_filter.startswith("$share/"):
        return topic_filter
    return topic_filter.split("/", 2)[2]
