"""A connection of simulated devices to the broker: MQTT 5 on a socket that one loop polls for thousands of them."""

from __future__ import annotations

import itertools
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.core.settings.messaging import MqttSettings
from edge.mqtt import connection, packets
from edge.mqtt.packets import Connack, Packet, Will
from edge.mqtt.topics import Topics

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
"""timeout of a connect and its TLS handshake"""
READ = 64 << 10
"""bytes read at a time"""
PING_SHARE = 0.6
"""share of the keep alive after which an idle connection sends a ping"""
FILTERS = 100
"""topic filters per SUBSCRIBE"""
BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class DeviceOnLink(Protocol):
    """A simulated device, as its connection sees it."""

    name: str
    topics: Topics
    stopping: bool

    @property
    def will(self) -> Will: ...

    def connected(self, link: SimulatedConnection) -> None: ...

    def disconnected(self) -> None: ...

    def received(self, payload: bytes) -> None: ...


class Loop(Protocol):
    """The loop that polls connections."""

    tls: ssl.SSLContext | None

    def later(self, seconds: float, action: Callable[[], None]) -> None: ...

    def watch(self, link: SimulatedConnection, *, writing: bool) -> None: ...

    def forget(self, link: SimulatedConnection) -> None: ...


@dataclass(frozen=True, slots=True)
class _Held:
    topic: bytes
    payload: bytes
    retain: bool


class SimulatedConnection:
    """Connects again with the backoff of a device. ``devices`` share it; a single one has a will."""

    socket: socket.socket

    def __init__(self, mqtt: MqttSettings, client_id: str, devices: Sequence[DeviceOnLink], loop: Loop) -> None:
        self.held: deque[_Held] = deque()
        """publishes beyond the window of the broker"""
        self._mqtt, self._client_id, self._devices, self._loop = mqtt, client_id, devices, loop
        self._by_topic = {device.topics.ack.encode(): device for device in devices}
        self._in, self._out = bytearray(), bytearray()
        self._mids = itertools.cycle(range(1, 65536))
        self._flying, self._window = 0, connection.INFLIGHT
        self._failures = 0
        self._open = self._accepted = self._closing = self._pinging = False
        self._sent = 0.0
        """monotonic time of the latest write"""

    def open(self) -> None:
        """Connect; schedules a retry on failure."""
        if self._closing:
            return
        settings, tls = self._mqtt, self._loop.tls
        try:
            raw = socket.create_connection((settings.host, settings.effective_port), CONNECT_SECONDS)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = tls.wrap_socket(raw, server_hostname=settings.host) if tls else raw
            self.socket.setblocking(False)
        except OSError as error:
            log.debug("simulation: cannot connect: %s", error)
            self._again()
            return
        self._open = True
        self._loop.watch(self, writing=False)
        self._send(
            packets.connect(
                self._client_id,
                settings.keepalive,
                session_seconds=connection.SESSION_SECONDS,
                will=self._devices[0].will if len(self._devices) == 1 else None,
                username=settings.username,
                password=settings.password.get_secret_value() if settings.username else "",
            )
        )

    def publish(self, topic: bytes, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish now, or as soon as the broker's window allows it. Does nothing where it is not connected."""
        if not self._accepted:
            return
        if not qos:
            self._send(packets.publish(topic, payload, retain=retain))
        elif self._flying < self._window and not self.held:
            self._flying += 1
            self._send(packets.publish(topic, payload, next(self._mids), retain=retain))
        else:
            self.held.append(_Held(topic, payload, retain))

    def read(self) -> None:
        """Called where data has arrived, or the connection has ended."""
        try:
            while data := self.socket.recv(READ):
                self._in += data
                if len(data) < READ and not self._loop.tls:
                    break
            else:
                self._lost()
                return
        except BLOCKED:
            pass
        except OSError:
            self._lost()
            return
        try:
            for packet in list(packets.split(self._in)):
                self._handle(packet)
        except ValueError as error:
            log.warning("simulation: %s", error)
            self._lost()

    def write(self) -> None:
        """Send what is queued, as far as the socket accepts it."""
        try:
            sent = self.socket.send(self._out)
        except BLOCKED:
            sent = 0
        except OSError:
            self._lost()
            return
        del self._out[:sent]
        self._sent = time.monotonic()
        if not self._out:
            self._loop.watch(self, writing=False)

    def close(self) -> None:
        """End the connection; the broker publishes no will."""
        self._closing = True
        for device in self._devices:
            device.stopping = True
        if self._open:
            self._send(packets.DISCONNECT)
        if self._open:
            self._lost()

    def _send(self, data: bytes) -> None:
        if self._out:
            self._out += data
            return
        try:
            sent = self.socket.send(data)
        except BLOCKED:
            sent = 0
        except OSError:
            self._lost()
            return
        self._sent = time.monotonic()
        if sent < len(data):
            self._out += data[sent:]
            self._loop.watch(self, writing=True)

    def _handle(self, packet: Packet) -> None:
        match packet.head & 0xF0:
            case packets.PUBACK:
                self._flying -= 1
                self._send_held()
            case packets.PUBLISH:
                topic = packet.body[2 : 2 + (packet.body[0] << 8 | packet.body[1])]
                mid, payload = packets.message_of(packet)
                if mid:
                    self._send(packets.pubacks([mid]))
                if device := self._by_topic.get(topic):
                    device.received(payload)
            case packets.CONNACK:
                self._connected(Connack.read(packet.body))

    def _connected(self, answer: Connack) -> None:
        if answer.code:
            log.warning("simulation: the broker refused %s with reason code %d", self._client_id, answer.code)
            self._lost()
            return
        self._accepted, self._failures, self._flying = True, 0, 0
        self._window = min(connection.INFLIGHT * len(self._devices), answer.receive_maximum)
        filters = [device.topics.ack for device in self._devices]
        for start in range(0, len(filters), FILTERS):
            self._send(packets.subscribe(next(self._mids), filters[start : start + FILTERS]))
        for device in self._devices:
            device.connected(self)
        if self._mqtt.keepalive and not self._pinging:
            self._pinging = True
            self._loop.later(self._mqtt.keepalive * PING_SHARE / 2, self._ping)

    def _send_held(self) -> None:
        while self.held and self._flying < self._window and self._accepted:
            one = self.held.popleft()
            self._flying += 1
            self._send(packets.publish(one.topic, one.payload, next(self._mids), retain=one.retain))

    def _ping(self) -> None:
        self._pinging = self._open and not self._closing
        if not self._pinging:
            return
        every = self._mqtt.keepalive * PING_SHARE / 2
        if time.monotonic() - self._sent >= every:
            self._send(packets.PINGREQ)
        self._loop.later(every, self._ping)

    def _lost(self) -> None:
        if not self._open:
            return
        self._loop.forget(self)
        self.socket.close()
        self._open = self._accepted = False
        self._in.clear()
        self._out.clear()
        self.held.clear()
        for device in self._devices:
            device.disconnected()
        self._again()

    def _again(self) -> None:
        if self._closing:
            return
        self._failures += 1
        self._loop.later(connection.pause(self._failures - 1, self._mqtt.reconnect_seconds), self.open)
