"""Packets of MQTT 5 without a client: for thousands of connections in one thread, and for publishing in bulk.

Only what a simulated device and an ingest send and receive: CONNECT, SUBSCRIBE, PUBLISH at QoS 0 and 1, PUBACK,
PINGREQ and DISCONNECT (MQTT 5, section 3). paho encodes the properties.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from paho.mqtt import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
"""the upper half of a packet's first byte"""
QOS_1, RETAIN = 0x02, 0x01
"""bits of the first byte of a PUBLISH"""
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
CLEAN_START, WILL, WILL_QOS_1, WILL_RETAIN, PASSWORD, USERNAME = 0x02, 0x04, 0x08, 0x20, 0x40, 0x80
"""flags of a CONNECT"""


class Packet(NamedTuple):
    """A received packet."""

    head: int
    """the first byte: kind and flags"""
    body: bytes


@dataclass(frozen=True, slots=True)
class Will:
    """Published retained at QoS 1 by the broker where the connection is lost for ``delay`` seconds."""

    topic: str
    payload: bytes
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Connack:
    """The broker's answer to a CONNECT."""

    code: int
    """reason code; 0: accepted"""
    receive_maximum: int
    """PUBLISH packets of QoS 1 that may be unacknowledged"""

    @staticmethod
    def read(body: bytes) -> Connack:
        """Raises ValueError for an invalid packet."""
        try:
            properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
            properties.unpack(body[2:])  # type: ignore[no-untyped-call]
            return Connack(body[1], int(getattr(properties, "ReceiveMaximum", 65535)))
        except (MQTTException, IndexError, KeyError, struct.error) as error:
            raise ValueError(f"invalid CONNACK: {error}") from error


def connect(
    client_id: str,
    keepalive: int,
    *,
    session_seconds: int,
    will: Will | None = None,
    username: str = "",
    password: str = "",
) -> bytes:
    """A CONNECT that continues the session of ``client_id``, which the broker keeps for ``session_seconds``."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_seconds
    flags, payload = 0, _text(client_id)
    if will:
        of_will = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        of_will.WillDelayInterval = will.delay
        flags |= WILL | WILL_QOS_1 | WILL_RETAIN
        payload += _packed(of_will) + _text(will.topic) + _counted(will.payload)
    if username:
        flags |= USERNAME
        payload += _text(username)
    if password:
        flags |= PASSWORD
        payload += _text(password)
    head = _text("MQTT") + bytes((5, flags)) + keepalive.to_bytes(2, "big")
    return _packet(0x10, head + _packed(properties) + payload)


def subscribe(mid: int, filters: Sequence[str]) -> bytes:
    """A SUBSCRIBE at QoS 1."""
    return _packet(0x82, mid.to_bytes(2, "big") + b"\0" + b"".join(_text(one) + b"\x01" for one in filters))


def publish(topic: bytes, payload: bytes, mid: int = 0, *, retain: bool = False, modern: bool = True) -> bytes:
    """A PUBLISH without properties; QoS 0 where ``mid`` is 0, else QoS 1. ``topic``: UTF-8.

    ``modern``: MQTT 5; else 3.1.1, which has no properties.
    """
    head = PUBLISH | (QOS_1 if mid else 0) | (RETAIN if retain else 0)
    number = mid.to_bytes(2, "big") if mid else b""
    return _packet(head, len(topic).to_bytes(2, "big") + topic + number + (b"\0" if modern else b"") + payload)


def pubacks(mids: Sequence[int]) -> bytes:
    """A PUBACK for each of ``mids``."""
    return b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids)


def split(buffer: bytearray) -> Iterator[Packet]:
    """The complete packets at the start of ``buffer``, which are removed from it at the end.

    Raises ValueError for an invalid length.
    """
    start, size = 0, len(buffer)
    while size - start >= 2:
        length, shift, at = 0, 0, start + 1
        while at < size:
            byte = buffer[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise ValueError("invalid length of a packet: more than 4 bytes")
        else:
            break
        if at + length > size:
            break
        yield Packet(buffer[start], bytes(buffer[at : at + length]))
        start = at + length
    del buffer[:start]


def message_of(packet: Packet) -> tuple[int, bytes]:
    """Message id (0 at QoS 0) and payload of a PUBLISH. Raises ValueError for an invalid packet."""
    body, mid = packet.body, 0
    try:
        at = 2 + (body[0] << 8 | body[1])
        if packet.head & QOS_1:
            mid, at = body[at] << 8 | body[at + 1], at + 2
        length, used = body[at], 1
        if length >= 0x80:
            length, used = VariableByteIntegers.decode(body[at:])  # type: ignore[no-untyped-call]
    except (IndexError, MQTTException) as error:
        raise ValueError("invalid PUBLISH: shorter than its fields") from error
    return mid, body[at + used + length :]


def _packet(head: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes((head, size)) + body
    if size < 0x4000:
        return bytes((head, size & 0x7F | 0x80, size >> 7)) + body
    return bytes((head,)) + bytes(VariableByteIntegers.encode(size)) + body  # type: ignore[no-untyped-call]


def _packed(properties: Properties) -> bytes:
    return bytes(properties.pack())  # type: ignore[no-untyped-call]


def _text(text: str) -> bytes:
    return _counted(text.encode("utf-8"))


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
