"""Many devices from one process, one thread: to size a broker and an ingest, and to see whether anything is lost.

Each device behaves as the real one does towards the hub: events of tracks that come, stay and go; every event waits
until the hub's mark has passed it, and is sent again when the mark does not move; a lost link is tried again after
the same random pause.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import resource
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.core.errors import DeliveryError
from edge.core.settings import Mqtt
from edge.hub.simulated_device import Simulated

CONNECTS_AT_ONCE = 50
"""of the first connects, a second"""


@dataclass(slots=True)
class Figures:
    """What came of it."""

    devices: int = 0
    seconds: float = 0.0
    events: int = 0
    """made"""
    sent: int = 0
    """publishes of events, those that were sent again included"""
    marked: int = 0
    """events that the hub has, as it says"""
    lost: int = 0
    """events that still waited at the end"""
    drops: int = 0
    """links that were lost"""
    reconnect_spread: float = 0.0
    """seconds between the first and the last reconnect after the latest loss of all links"""
    mark_p50: float = 0.0
    """seconds from making an event to the hub's mark"""
    mark_p99: float = 0.0
    mark_max: float = 0.0


class Fleet:
    """``count`` devices at one broker."""

    def __init__(self, mqtt: Mqtt, count: int, rate: float, *, prefix: str = "sim", seed: int = 0) -> None:
        """``rate``: events a second of each device."""
        self.figures = Figures(devices=count)
        self.mqtt, self.rate = mqtt, rate
        self.random = random.Random(seed)  # noqa: S311
        self.delays: list[float] = []
        """seconds from making an event to its mark"""
        self.reconnects: list[float] = []
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.making = True
        """whether devices still make events"""
        self._devices = [Simulated(self, f"{prefix}-{number:05d}") for number in range(count)]

    def run(self, seconds: float, drain: float = 30.0, tick: Callable[[Figures], None] | None = None) -> Figures:
        """Make events for ``seconds``, then wait ``drain`` seconds at most for their marks.

        Raises DeliveryError where not a single device gets a connection.
        """
        _allow_files(4 * len(self._devices) + 200)
        began = time.monotonic()
        for number, device in enumerate(self._devices):
            self.later(number / CONNECTS_AT_ONCE, device.connect)
        end = began + len(self._devices) / CONNECTS_AT_ONCE + seconds
        said = began
        while (now := time.monotonic()) < end + (drain if self._waiting() else 0.0):
            if now >= end:
                self.making = False
            self._step(now)
            if tick and now - said >= 1.0:
                said = now
                tick(self.figures)
            if now - began > 20 and not any(device.connects for device in self._devices):
                raise DeliveryError("no device could connect", "check mqtt.host, and that the broker runs")
        self._close()
        return self._summed(time.monotonic() - began)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call ``action`` in so many seconds."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), action))

    def watch(self, device: Simulated, *, writing: bool) -> None:
        """Look at the socket of ``device``, which may be another one than before."""
        sock = device.client.socket()
        if sock is None:
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        try:
            self._selector.modify(sock, events, device)
        except KeyError:
            self._selector.register(sock, events, device)

    def forget(self, sock: Any) -> None:
        """``sock`` is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    def _step(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        pause = min(0.1, max(0.0, self._timers[0][0] - time.monotonic())) if self._timers else 0.1
        for key, mask in self._selector.select(pause):
            device: Simulated = key.data
            if mask & selectors.EVENT_READ:
                device.client.loop_read()
            if mask & selectors.EVENT_WRITE and device.client.socket() is not None:
                device.client.loop_write()
            self.watch(device, writing=device.client.want_write())

    def _waiting(self) -> bool:
        return any(device.waiting for device in self._devices)

    def _close(self) -> None:
        for device in self._devices:
            device.stopping = True
            device.client.disconnect()
        self._selector.close()

    def _summed(self, seconds: float) -> Figures:
        one, delays = self.figures, sorted(self.delays)
        one.seconds = round(seconds, 1)
        one.lost = sum(len(device.waiting) for device in self._devices)
        one.marked = one.events - one.lost
        if delays:
            one.mark_p50 = round(delays[len(delays) // 2], 3)
            one.mark_p99 = round(delays[int(len(delays) * 0.99)], 3)
            one.mark_max = round(delays[-1], 3)
        latest = self.reconnects[-len(self._devices) :]
        if latest:
            one.reconnect_spread = round(max(latest) - min(latest), 1)
        return one


def _allow_files(count: int) -> None:
    """Each device needs a few file descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
