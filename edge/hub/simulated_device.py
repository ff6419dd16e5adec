"""One device of a simulated fleet: what it says, what it waits for, and when it comes back."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core.errors import InputError
from edge.core.types import Box, Event, EventType, Identity, IdentityState, Queued
from edge.mqtt import connection
from edge.mqtt.connection import Presence
from edge.mqtt.messages import Info, Mark, Stats, Status, event_json, parse, to_json
from edge.mqtt.topics import Topics

if TYPE_CHECKING:
    from edge.hub.simulator import Fleet

RESEND = 10.0
"""seconds without progress of the mark until everything that waits is sent again"""
STATS_SECONDS = 30.0
MISC_SECONDS = 2.0
"""between two looks at keepalives"""
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


class Simulated:
    """One device."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.waiting: OrderedDict[int, _Waiting] = OrderedDict()
        """seq -> event without a mark"""
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
        presence = Presence(
            self._topics.status, b"", to_json(Status(False, 1, "stopped")), to_json(Status(False, 1, "lost"))
        )
        self.client = connection.build(fleet.mqtt, f"edge-{name}", "5", presence, connection.INFLIGHT)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_socket_close = lambda _client, _data, sock: fleet.forget(sock)

    def connect(self) -> None:
        """Try; again later where it does not work."""
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
        self._publish(self._topics.status, to_json(Status(True, self.connects)), retain=True)
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
            mark = parse(Mark, bytes(message.payload))
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
        """The next event of the tracks that come, stay and go."""
        draw = self._random
        if not self._tracks or (len(self._tracks) < 3 and draw.random() < 0.3):
            who = draw.choice(SUBJECTS)
            known = Identity(IdentityState.KNOWN, who, round(draw.uniform(0.5, 0.9), 4), 0.2, f"face-{who}", "staff")
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
        """Keepalives, and events that wait too long for their mark."""
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
