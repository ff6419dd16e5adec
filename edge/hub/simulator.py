"""Load test: simulates many devices in one thread, to size a broker and an ingest and to detect lost events.

Each device follows the protocol of a real one: events of tracks that start, update and end; every event is kept until
the hub's delivery mark has passed it and is resent while the mark does not advance; reconnects use the same random
backoff.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import resource
import selectors
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core.errors import DeliveryError, InputError
from edge.core.settings.messaging import MqttSettings
from edge.core.types import Box, Event, EventType, Identity, IdentityState, Queued
from edge.mqtt import connection
from edge.mqtt.connection import BirthAndWill
from edge.mqtt.messages import DeliveryMark, DeviceStatus, Info, Stats, event_json, parse, to_json
from edge.mqtt.topics import Topics

RESEND = 10.0
"""seconds without progress of the mark until unacknowledged events are resent"""
STATS_SECONDS = 30.0
MISC_SECONDS = 2.0
"""interval of keepalive and resend checks"""
RESENT_AT_ONCE = 200
SUBJECTS = ("alice", "bob", "carol", "dave", "erin")


@dataclass(slots=True)
class _Waiting:
    event: Event
    made: float
    """monotonic seconds"""


@dataclass(slots=True)
class _Track:
    name: str
    camera: str
    label: str
    identity: Identity
    started: float


class SimulatedDevice:
    """One simulated device."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.waiting: OrderedDict[int, _Waiting] = OrderedDict()
        """seq -> unacknowledged event"""
        self.connects = 0
        self.stopping = False
        self._fleet, self._random = fleet, fleet.random
        self.name, self._topics = name, Topics(name)
        self._epoch = 1 + self._random.randrange(2**31 - 1)
        self._seq = 0
        self._tracks: list[_Track] = []
        self._numbers = itertools.count(1)
        self._failures = 0
        self._online = False
        self._progress = 0.0
        presence = BirthAndWill(
            self._topics.status,
            b"",
            to_json(DeviceStatus(False, 1, "stopped")),
            to_json(DeviceStatus(False, 1, "lost")),
        )
        self.client: connection.BrokerConnection = connection.build(
            fleet.mqtt, f"edge-{name}", "5", presence, connection.BrokerLimits()
        )
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_socket_close = lambda _client, _data, sock: fleet.forget(sock)

    def connect(self) -> None:
        """Connect; schedules a retry on failure."""
        if self.stopping:
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = connection.SESSION_SECONDS
        settings = self._fleet.mqtt
        try:
            self.client.connect(
                settings.host, settings.effective_port, settings.keepalive, clean_start=False, properties=properties
            )
        except OSError:
            self._again()
            return
        self._fleet.watch(self, writing=self.client.want_write())

    def _again(self) -> None:
        self._failures += 1
        self._fleet.later(connection.pause(self._failures - 1, self._fleet.mqtt.reconnect_seconds), self.connect)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            return
        first, self._online, self._failures = not self.connects, True, 0
        self.connects += 1
        self.client.subscribe(self._topics.ack, qos=1)
        self._publish(self._topics.status, to_json(DeviceStatus(True, self.connects)), retain=True)
        info = Info(self.name, "simulated", self.connects, cameras=("door", "yard"), acknowledge="hub")
        self._publish(self._topics.info, to_json(info), retain=True)
        self._progress = time.monotonic()
        if first:
            self._fleet.later(self._random.expovariate(self._fleet.rate), self._make)
            self._fleet.later(self._random.uniform(0, STATS_SECONDS), self._say_stats)
            self._fleet.later(self._random.uniform(0, MISC_SECONDS), self._look_after)
        else:
            self._fleet.reconnects.append(time.monotonic())
            self._send_again()

    def _on_disconnect(self, *_: Any) -> None:
        if self._online and not self.stopping:
            self._fleet.figures.drops += 1
        self._online = False
        if not self.stopping:
            self._again()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            mark = parse(DeliveryMark, bytes(message.payload))
        except InputError:
            return
        now = time.monotonic()
        while mark.epoch == self._epoch and self.waiting and next(iter(self.waiting)) <= mark.seq:
            _, one = self.waiting.popitem(last=False)
            self._fleet.delays.append(now - one.made)
            self._progress = now

    def _make(self) -> None:
        if not self._fleet.making or self.stopping:
            return
        self._seq += 1
        self.waiting[self._seq] = _Waiting(self._event(), time.monotonic())
        self._fleet.figures.events += 1
        if self._online:
            self._send(self._seq)
        self._fleet.later(self._random.expovariate(self._fleet.rate), self._make)

    def _event(self) -> Event:
        """Start, update or end a random track; returns its event."""
        draw = self._random
        if not self._tracks or (len(self._tracks) < 3 and draw.random() < 0.3):
            subject = draw.choice(SUBJECTS)
            known = Identity(
                IdentityState.KNOWN, subject, round(draw.uniform(0.5, 0.9), 4), 0.2, f"face-{subject}", "staff"
            )  # fmt: skip
            label = draw.choice(("face", "person"))
            identity = known if label == "face" and draw.random() < 0.6 else Identity()
            track = _Track(f"1-{next(self._numbers)}", draw.choice(("door", "yard")), label, identity, time.time())
            self._tracks.append(track)
            return self._event_of(track, "new")
        track = draw.choice(self._tracks)
        if draw.random() < 0.4:
            self._tracks.remove(track)
            return self._event_of(track, "end")
        return self._event_of(track, "update")

    def _event_of(self, track: _Track, kind: EventType) -> Event:
        now, left = time.time(), self._random.uniform(0, 0.7)
        return Event(
            kind, track.camera, track.name, track.label, 0.9, Box(left, 0.2, left + 0.2, 0.6), track.identity, ("mat",),
            now, track.started, now if kind == "end" else None, release="sim.1", reason="left" if kind == "end" else "",
        )  # fmt: skip

    def _send(self, seq: int) -> None:
        one = self.waiting[seq]
        after = 0
        for earlier in reversed(self.waiting):
            if earlier < seq:
                after = earlier
                break
        payload = event_json(self.name, Queued(seq, self._epoch, seq, after, one.event), with_after=True)
        self._fleet.figures.sent += 1
        self._publish(self._topics.event(one.event.camera), payload)

    def _send_again(self) -> None:
        for seq in list(itertools.islice(self.waiting, RESENT_AT_ONCE)):
            self._send(seq)

    def _say_stats(self) -> None:
        if self.stopping:
            return
        if self._online:
            stats = Stats(time.time(), 1.0, outbox={"waiting": len(self.waiting), "lost": 0})
            self._publish(self._topics.stats, to_json(stats), qos=0)
        self._fleet.later(STATS_SECONDS, self._say_stats)

    def _look_after(self) -> None:
        """Periodic keepalive, and resend of events whose mark is overdue."""
        if self.stopping:
            return
        if self.client.socket() is not None:
            self.client.loop_misc()
        now = time.monotonic()
        if self._online and self.waiting and now - max(self._progress, next(iter(self.waiting.values())).made) > RESEND:
            self._progress = now
            self._send_again()
        self._fleet.later(MISC_SECONDS, self._look_after)

    def _publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=qos, retain=retain)
        if self.client.want_write():
            self._fleet.watch(self, writing=True)


CONNECTS_AT_ONCE = 50
"""initial connects per second"""


@dataclass(slots=True)
class Figures:
    """Result of a simulation."""

    devices: int = 0
    seconds: float = 0.0
    events: int = 0
    """created"""
    sent: int = 0
    """publishes of events, resends included"""
    marked: int = 0
    """events that the hub has acknowledged"""
    lost: int = 0
    """events not acknowledged at the end"""
    drops: int = 0
    """lost connections"""
    reconnect_spread: float = 0.0
    """seconds between the first and the last reconnect after the latest loss of all connections"""
    mark_p50: float = 0.0
    """median delay from the creation of an event to the hub's mark (s)"""
    mark_p99: float = 0.0
    mark_max: float = 0.0


class Fleet:
    """``count`` simulated devices at one broker, in one thread."""

    def __init__(self, mqtt: MqttSettings, count: int, rate: float, *, prefix: str = "sim", seed: int = 0) -> None:
        """``rate``: events per second and device."""
        self.figures = Figures(devices=count)
        self.mqtt, self.rate = mqtt, rate
        self.random = random.Random(seed)  # noqa: S311
        self.delays: list[float] = []
        """seconds from the creation of each event to its mark"""
        self.reconnects: list[float] = []
        """monotonic seconds"""
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.making = True
        """whether devices still create events"""
        self._devices = [SimulatedDevice(self, f"{prefix}-{number:05d}") for number in range(count)]

    def run(self, seconds: float, drain: float = 30.0, tick: Callable[[Figures], None] | None = None) -> Figures:
        """Create events for ``seconds``, then wait up to ``drain`` seconds for their marks.

        ``tick`` is called about once per second. Raises DeliveryError where no device can connect within 20 s.
        """
        _allow_files(4 * len(self._devices) + 200)
        began = time.monotonic()
        for number, device in enumerate(self._devices):
            self.later(number / CONNECTS_AT_ONCE, device.connect)
        end = began + len(self._devices) / CONNECTS_AT_ONCE + seconds
        last_tick = began
        while (now := time.monotonic()) < end + (drain if self._waiting() else 0.0):
            if now >= end:
                self.making = False
            self._step(now)
            if tick and now - last_tick >= 1.0:
                last_tick = now
                tick(self.figures)
            if now - began > 20 and not any(device.connects for device in self._devices):
                raise DeliveryError("no device could connect", "check mqtt.host, and that the broker runs")
        self._close()
        return self._summed(time.monotonic() - began)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedule ``action`` in ``seconds``."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), action))

    def watch(self, device: SimulatedDevice, *, writing: bool) -> None:
        """Poll the current socket of ``device``, for writing too where ``writing``."""
        sock = device.client.socket()
        if sock is None:
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        try:
            self._selector.modify(sock, events, device)
        except KeyError:
            self._selector.register(sock, events, device)

    def forget(self, sock: Any) -> None:
        """Stop polling a closed socket."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    def _step(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        pause = min(0.1, max(0.0, self._timers[0][0] - time.monotonic())) if self._timers else 0.1
        for key, mask in self._selector.select(pause):
            device: SimulatedDevice = key.data
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
    """Raise the soft limit of open files to ``count``, at most to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
