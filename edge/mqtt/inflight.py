"""In-flight publishes by paho's message id, including acknowledgments that arrive before ``publish`` returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ack:
    """The broker's acknowledgment of a publish."""

    accepted: bool
    reason: str = ""
    abandoned: bool = False
    """no acknowledgment will arrive: the client was replaced or stopped"""


Acknowledged = Callable[[Ack], None]


@dataclass(frozen=True, slots=True)
class InflightPublish:
    """An in-flight publish."""

    topic: str
    qos: int
    connection: int
    """number of the connection on which it was passed to paho"""
    retained: bool
    acknowledged: Acknowledged | None
    probe: bool = False
    """a refusal is an expected result: it is neither counted nor logged"""


class InflightPublishes:
    """Thread-safe; makes no callbacks, as paho holds its own locks when it reports an acknowledgment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[int, InflightPublish] = {}
        self._early: dict[int, Ack] = {}

    def take_off(self, mid: int, flight: InflightPublish) -> Ack | None:
        """Register a publish; where its acknowledgment came before ``publish`` returned, return that instead."""
        with self._lock:
            early = self._early.pop(mid, None)
            if early is None:
                self._flying[mid] = flight
            return early

    def land(self, mid: int, ack: Ack) -> InflightPublish | None:
        """The acknowledged publish; None: not registered yet, the acknowledgment is kept for it."""
        with self._lock:
            flight = self._flying.pop(mid, None)
            if flight is None:
                self._early[mid] = ack
            return flight

    def lose_link(self) -> None:
        """Drop publishes that paho drops when the link is lost; it resends the others."""
        with self._lock:
            self._flying = {mid: flight for mid, flight in self._flying.items() if flight.qos}

    def abandon(self) -> list[InflightPublish]:
        """Drop all, as message ids start over; returns the in-flight publishes."""
        with self._lock:
            flying, self._flying, self._early = list(self._flying.values()), {}, {}
            return flying
