"""Received messages and their handlers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import paho.mqtt.client as paho

log = logging.getLogger(__name__)

WAITING_MESSAGES = 1000
"""pending messages; more are dropped and counted"""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A received message."""

    topic: str
    payload: bytes
    retained: bool = False
    response_topic: str = ""
    correlation: bytes = b""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message that the broker keeps until it is acknowledged."""

    message: Incoming
    mid: int
    """its id on this connection; 0 at QoS 0"""
    qos: int
    connection: int
    """number of the connection: a later one counts its messages anew"""


Handler = Callable[[Incoming], None]
Sink = Callable[[Sequence[Delivered]], None]
"""takes messages; only when they are acknowledged does the broker hear that they arrived"""


def read(message: paho.MQTTMessage) -> Incoming:
    """A message of paho as ``Incoming``."""
    properties = message.properties
    return Incoming(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=message.retain,
        response_topic=getattr(properties, "ResponseTopic", "") or "",
        correlation=getattr(properties, "CorrelationData", b"") or b"",
    )


class Subscriptions:
    """Handlers by topic filter, and how many messages wait for them. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handlers: list[tuple[str, Handler]] = []
        self._waiting = self._dropped = 0

    def add(self, topic_filter: str, handler: Handler) -> None:
        with self._lock:
            self._handlers.append((topic_filter, handler))

    def filters(self, version: str) -> list[str]:
        """What to subscribe to, as a broker of that version takes it."""
        with self._lock:
            return [understood(topic_filter, version) for topic_filter, _ in self._handlers]

    def admit(self) -> bool:
        """Whether one more message may wait; each that may has to be handled."""
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
    """Brokers of 3.1.1 may not know shared subscriptions, and then nothing would ever come: take all."""
    if version == "5" or not topic_filter.startswith("$share/"):
        return topic_filter
    return topic_filter.split("/", 2)[2]
