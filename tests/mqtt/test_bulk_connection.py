"""Packets taken apart in place, however they arrive; and a receiver that is behind holds the broker back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.waiting import eventually

from edge.core.settings.messaging import MqttSettings
from edge.mqtt.bulk_connection import BulkConnection
from edge.mqtt.client import MqttClient
from edge.mqtt.subscriptions import Delivered


class Pieces:
    """A socket that has received ``pieces`` so far."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.left = list(pieces)

    def recv(self, _: int) -> bytes:
        if not self.left:
            raise BlockingIOError
        return self.left.pop(0)

    def close(self) -> None:
        pass


class FromBytes(BulkConnection):
    """Reads pieces that are given to it."""

    def __init__(self, version: MQTTProtocolVersion, pieces: Sequence[bytes]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, "x", protocol=version, manual_ack=True)
        self.arriving = Pieces(pieces)
        self._sock = self.arriving  # type: ignore[assignment]
        self.found: list[Delivered] = []
        self.receive, self.ready = self.found.extend, lambda: True
        self.ended = MQTTErrorCode.MQTT_ERR_SUCCESS

    def _loop_rc_handle(self, rc: MQTTErrorCode) -> MQTTErrorCode:  # type: ignore[override]
        self.ended = rc
        return rc


def length(size: int) -> bytes:
    found = bytearray()
    while True:
        size, part = divmod(size, 128)
        found.append(part | (0x80 if size else 0))
        if not size:
            return bytes(found)


def publish(topic: str, payload: bytes, qos: int, mid: int, retain: bool, properties: bytes | None) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (mid.to_bytes(2, "big") if qos else b"")
    body += b"" if properties is None else length(len(properties)) + properties
    body += payload
    return bytes([0x30 | qos << 1 | retain]) + length(len(body)) + body


MESSAGES = st.lists(
    st.tuples(st.text(min_size=1, max_size=30).filter(lambda t: t.isprintable()), st.binary(max_size=300),
              st.sampled_from([0, 1]), st.integers(1, 65535), st.booleans()), max_size=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(MESSAGES, st.integers(0, 2**32), st.booleans())
def test_any_split_of_the_stream_gives_the_same_messages(
    messages: list[tuple[str, bytes, int, int, bool]], seed: int, modern: bool
) -> None:
    properties = b"\x02\x00\x00\x00\x0a" * 30 if modern else None
    stream = b"".join(publish(*one, properties) + b"\xd0\x00" for one in messages)  # a PINGRESP after each
    chance, pieces = random.Random(seed), []
    while stream:
        size = chance.choice([1, 2, 3, 7, 100, 5000])
        pieces.append(stream[:size])
        stream = stream[size:]
    version = MQTTProtocolVersion.MQTTv5 if modern else MQTTProtocolVersion.MQTTv311
    client = FromBytes(version, pieces)
    while client.arriving.left:
        client.loop_read()
    found = [(d.message.topic, d.message.payload, d.qos, d.mid, d.message.retained) for d in client.found]
    assert found == [(t, p, q, m if q else 0, r) for t, p, q, m, r in messages]
    assert not client._unread


@pytest.mark.parametrize(
    "stream",
    [
        b"\x30\xff\xff\xff\xff\x01",
        b"\x32\x03\x00\x09a",
        b"\x30\x04\x00\x02\xff\xfe",
        b"\x30\x00",
        b"\x30\x05\x00\x01a\xff\xff",
    ],
)
def test_what_is_no_packet_ends_the_connection(stream: bytes) -> None:
    client = FromBytes(MQTTProtocolVersion.MQTTv5, [stream])
    client.loop_read()
    assert client.ended == MQTTErrorCode.MQTT_ERR_PROTOCOL
    assert not client.found


def test_nothing_is_lost_while_the_receiver_is_behind(tmp_path: Path) -> None:
    """All messages arrive although most come while it takes none; each stays with the broker until acknowledged."""
    taken: list[Delivered] = []
    open_again = threading.Event()
    with Mosquitto(tmp_path / "broker", extra="max_queued_messages 0") as broker:
        values = MqttSettings.model_validate({"host": "127.0.0.1", "port": broker.port})
        client = MqttClient(
            values, "receiver", sink=taken.extend, sink_ready=lambda: len(taken) < 50 or open_again.is_set()
        )
        client.subscribe("news/#", lambda _: None)
        client.start()
        assert eventually(lambda: client.online)
        time.sleep(0.2)
        sender = Subscriber(broker.port, "nothing", name="sender")
        for number in range(3000):
            sender.client.publish("news/x", b"%d" % number, qos=1)
        assert eventually(lambda: len(taken) >= 50)
        behind = len(taken)
        open_again.set()
        acknowledged = 0

        def all_here() -> bool:
            nonlocal acknowledged
            now = list(taken[acknowledged:])
            client.acknowledge(now)
            acknowledged += len(now)
            return acknowledged == 3000

        assert eventually(all_here, 30)
        assert behind < 3000
        assert {one.message.payload for one in taken} == {b"%d" % number for number in range(3000)}
        sender.stop()
        client.stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_messages_published_in_bulk_arrive_in_order_and_are_retained(tmp_path: Path, version: str) -> None:
    with Mosquitto(tmp_path / "broker", extra="max_queued_messages 0") as broker:
        values = MqttSettings.model_validate({"host": "127.0.0.1", "port": broker.port, "version": version})
        client = MqttClient(values, "sender", sink=lambda _: None)
        client.start()
        before = Subscriber(broker.port, "marks/+", name="before")
        messages = [(f"marks/{number % 7}", b"%d" % number) for number in range(3000)]
        assert eventually(lambda: client.publish_many(messages[:2000], retain=True))
        assert client.publish_many(messages[2000:], retain=True)
        assert eventually(lambda: len(before.messages) == 3000)
        assert [(topic, payload) for topic, payload, _ in before.messages] == messages
        after = Subscriber(broker.port, "marks/+", name="after")
        assert eventually(lambda: len(after.messages) == 7)
        assert {payload for _, payload, _ in after.messages} == {payload for _, payload in messages[-7:]}
        client.stop()
        assert not client.publish_many(messages, retain=True), "not online: nothing is sent"
        before.stop()
        after.stop()
