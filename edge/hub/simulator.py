"""Load test: simulates many devices in one thread, to size a broker and an ingest and to detect lost events.

Each device follows the protocol of a real one: events of tracks that start, update and end; every event is kept until
the hub's delivery mark has passed it and is resent while the mark does not advance; reconnects use the same random
backoff. Events are filled into prepared payloads and written by ``edge.mqtt.packets``, so that the broker and the hub
are the limit and not the simulation. With fewer connections than devices, several devices share one.
"""

from __future__ import annotations

import heapq
import itertools
import random
import resource
import selectors
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge.core.errors import DeliveryError, InputError
from edge.core.settings.messaging import MqttSettings
from edge.hub.simulated_connection import SimulatedConnection
from edge.hub.simulated_events import SimulatedTracks
from edge.mqtt import connection
from edge.mqtt.messages import DeliveryMark, DeviceStatus, Info, Stats, parse, to_json
from edge.mqtt.packets import Will
from edge.mqtt.topics import Topics

RESEND = 10.0
"""seconds without progress of the mark until unacknowledged events are resent"""
STATS_SECONDS = 30.0
MISC_SECONDS = 2.0
"""interval of resend checks"""
RESENT_AT_ONCE = 200
CONNECTS = 50.0
"""initial connects per second"""
PATIENCE = 20.0
"""seconds in which at least one device must connect"""
POLL_SECONDS = 0.1
"""maximum wait for the broker"""


@dataclass(slots=True)
class _Waiting:
    topic: bytes
    payload: bytes
    made: float
    """monotonic seconds"""


class SimulatedDevice:
    """One simulated device."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.waiting: OrderedDict[int, _Waiting] = OrderedDict()
        """seq -> unacknowledged event"""
        self.connects = 0
        self.stopping = False
        self.name, self.topics = name, Topics(name)
        self._fleet = fleet
        self._epoch = 1 + fleet.random.randrange(2**31 - 1)
        self._seq = 0
        self._tracks = SimulatedTracks(name, self._epoch, fleet.random)
        self._connection: SimulatedConnection | None = None
        self._progress = 0.0

    @property
    def will(self) -> Will:
        return Will(self.topics.status, to_json(DeviceStatus(False, 1, "lost")), connection.WILL_DELAY)

    def connected(self, link: SimulatedConnection) -> None:
        """Publish the birth, and what is unacknowledged; the first time also start to create events."""
        first, self._connection = not self.connects, link
        self.connects += 1
        self._fleet.present += first
        self._publish(self.topics.status, to_json(DeviceStatus(True, self.connects)), retain=True)
        info = Info(self.name, "simulated", self.connects, cameras=("door", "yard"), acknowledge="hub")
        self._publish(self.topics.info, to_json(info), retain=True)
        self._progress = time.monotonic()
        if first:
            fleet = self._fleet
            fleet.later(fleet.random.expovariate(fleet.rate), self._make)
            fleet.later(fleet.random.uniform(0, STATS_SECONDS), self._report_stats)
            fleet.later(fleet.random.uniform(0, MISC_SECONDS), self._look_after)
        else:
            self._fleet.reconnects.append(time.monotonic())
            self._send_again()

    def disconnected(self) -> None:
        if self._connection is not None and not self.stopping:
            self._fleet.figures.drops += 1
        self._connection = None

    def received(self, payload: bytes) -> None:
        """A delivery mark of the hub."""
        try:
            mark = parse(DeliveryMark, payload)
        except InputError:
            return
        now = time.monotonic()
        while mark.epoch == self._epoch and self.waiting and next(iter(self.waiting)) <= mark.seq:
            _, one = self.waiting.popitem(last=False)
            self._fleet.delays.append(now - one.made)
            self._progress = now

    def _make(self) -> None:
        fleet = self._fleet
        if not fleet.making or self.stopping:
            return
        after = next(reversed(self.waiting)) if self.waiting else 0
        self._seq += 1
        camera, payload = self._tracks.event(self._seq, after)
        topic = self._fleet.topics(self.name, camera)
        self.waiting[self._seq] = _Waiting(topic, payload, time.monotonic())
        fleet.figures.events += 1
        if self._connection is not None:
            fleet.figures.sent += 1
            self._connection.publish(topic, payload)
        fleet.later(fleet.random.expovariate(fleet.rate), self._make)

    def _send_again(self) -> None:
        if self._connection is None:
            return
        for one in list(itertools.islice(self.waiting.values(), RESENT_AT_ONCE)):
            self._fleet.figures.sent += 1
            self._connection.publish(one.topic, one.payload)

    def _report_stats(self) -> None:
        if self.stopping:
            return
        stats = Stats(time.time(), 1.0, outbox={"waiting": len(self.waiting), "lost": 0})
        self._publish(self.topics.stats, to_json(stats), qos=0)
        self._fleet.later(STATS_SECONDS, self._report_stats)

    def _look_after(self) -> None:
        """Resend events whose mark is overdue."""
        if self.stopping:
            return
        now = time.monotonic()
        if (
            self._connection is not None
            and not self._connection.held
            and self.waiting
            and now - max(self._progress, next(iter(self.waiting.values())).made) > RESEND
        ):
            self._progress = now
            self._send_again()
        self._fleet.later(MISC_SECONDS, self._look_after)

    def _publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        if self._connection is not None:
            self._connection.publish(topic.encode(), payload, qos=qos, retain=retain)


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
    cpu_us: float = 0.0
    """CPU time of the simulation per event (µs)"""


class Fleet:
    """``count`` simulated devices at one broker, in one thread."""

    def __init__(
        self,
        mqtt: MqttSettings,
        count: int,
        rate: float,
        *,
        prefix: str = "sim",
        seed: int = 0,
        connections: int = 0,
        connects: float = CONNECTS,
    ) -> None:
        """``rate``: events per second and device. ``connections``: to share, 0: one per device.

        ``connects``: initial connects per second. Raises SettingsError for invalid TLS files.
        """
        self.figures = Figures(devices=count)
        self.tls = connection.tls(mqtt) if mqtt.tls else None
        self.mqtt, self.rate = mqtt, rate
        self.random = random.Random(seed)  # noqa: S311
        self.delays: list[float] = []
        """seconds from the creation of each event to its mark"""
        self.reconnects: list[float] = []
        """monotonic seconds"""
        self.making = True
        """whether devices still create events"""
        self.present = 0
        """devices that have connected at least once"""
        self.ready = 0.0
        """monotonic time at which all had, or were given up; 0: not yet"""
        self._connects = connects
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._topics: dict[tuple[str, str], bytes] = {}
        self._devices = [SimulatedDevice(self, f"{prefix}-{number:05d}") for number in range(count)]
        shares = min(connections or count, count)
        self._links = [
            SimulatedConnection(mqtt, f"edge-{self._devices[number].name}", self._devices[number::shares], self)
            for number in range(shares)
        ]

    def run(self, seconds: float, drain: float = 30.0, tick: Callable[[Figures], None] | None = None) -> Figures:
        """Create events until ``seconds`` after all have connected, then wait up to ``drain`` seconds for their marks.

        ``tick`` is called about once per second. Raises DeliveryError where no device can connect within ``PATIENCE``.
        """
        _allow_files(len(self._links) + 200)
        began, cpu = time.monotonic(), time.process_time()
        for number, link in enumerate(self._links):
            self.later(number / self._connects, link.open)
        ramp = len(self._links) / self._connects
        last_tick, end = began, float("inf")
        while (now := time.monotonic()) < end + (drain if self._waiting() else 0.0):
            if not self.ready and (self.present == len(self._devices) or now > began + 3 * ramp + PATIENCE):
                self.ready, end = now, now + seconds
            if now >= end:
                self.making = False
            self._step(now)
            if tick and now - last_tick >= 1.0:
                last_tick = now
                tick(self.figures)
            if now - began > PATIENCE and not self.present:
                raise DeliveryError("no device could connect", "check mqtt.host, and that the broker runs")
        self.figures.cpu_us = round((time.process_time() - cpu) / max(1, self.figures.events) * 1e6, 1)
        self._close()
        return self._summed(time.monotonic() - began)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedule ``action`` in ``seconds``."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), action))

    def watch(self, link: SimulatedConnection, *, writing: bool) -> None:
        """Poll the open socket of ``link``, for writing too where ``writing``."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        try:
            self._selector.modify(link.socket, events, link)
        except KeyError:
            self._selector.register(link.socket, events, link)

    def forget(self, link: SimulatedConnection) -> None:
        """Stop polling a socket that is about to be closed."""
        self._selector.unregister(link.socket)

    def topics(self, device: str, camera: str) -> bytes:
        """The topic of the events of a camera."""
        found = self._topics.get((device, camera))
        if found is None:
            found = self._topics[device, camera] = Topics(device).event(camera).encode()
        return found

    def _step(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        pause = min(POLL_SECONDS, max(0.0, self._timers[0][0] - time.monotonic())) if self._timers else POLL_SECONDS
        for key, mask in self._selector.select(pause):
            link: SimulatedConnection = key.data
            if mask & selectors.EVENT_READ:
                link.read()
            if mask & selectors.EVENT_WRITE:
                link.write()

    def _waiting(self) -> bool:
        return any(device.waiting for device in self._devices)

    def _close(self) -> None:
        for link in self._links:
            link.close()
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
