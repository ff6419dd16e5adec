"""Packets of MQTT 5 without a client: split wherever the network cuts them, and understood by a real broker."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.waiting import eventually

from edge.mqtt import packets
from edge.mqtt.packets import Connack, Packet, Will

PUBLISHES = st.tuples(st.binary(max_size=300), st.integers(0, 65535), st.booleans())


@given(st.lists(PUBLISHES, max_size=20), st.lists(st.integers(1, 50), min_size=1))
def test_packets_arrive_whole_however_the_network_cuts_them(
    published: list[tuple[bytes, int, bool]], cuts: list[int]
) -> None:
    sent = b"".join(packets.publish(b"a/b", payload, mid, retain=retain) for payload, mid, retain in published)
    buffer, found, at = bytearray(), list[Packet](), 0
    while at < len(sent):
        step = cuts[at % len(cuts)]
        buffer += sent[at : at + step]
        at += step
        found += packets.split(buffer)
    assert buffer == b""
    assert [packets.message_of(one) for one in found] == [(mid, payload) for payload, mid, _ in published]
    assert [bool(one.head & packets.RETAIN) for one in found] == [retain for *_, retain in published]


def test_a_payload_of_each_size_of_the_length_field_is_split_off() -> None:
    for size in (100, 10_000, 3 << 20):
        (one,) = packets.split(bytearray(packets.publish(b"t", b"x" * size, 7)))
        assert packets.message_of(one) == (7, b"x" * size)


def test_an_invalid_packet_is_an_error() -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        list(packets.split(bytearray(b"\x30\xff\xff\xff\xff\x01")))
    with pytest.raises(ValueError, match="shorter"):
        packets.message_of(Packet(0x32, b"\x00\x01a\x00"))
    with pytest.raises(ValueError, match="CONNACK"):
        Connack.read(b"\x00\x00\x05\x11")


def test_a_broker_understands_them(broker: Mosquitto) -> None:
    watcher = Subscriber(broker.port, "status", "events")
    with socket.create_connection(("127.0.0.1", broker.port), 5) as link:
        buffer, found = bytearray(), list[Packet]()

        def answer() -> Packet:
            while not found:
                data = link.recv(4096)
                assert data, "the broker closed the connection"
                buffer.extend(data)
                found.extend(packets.split(buffer))
            return found.pop(0)

        link.sendall(packets.connect("tester", 30, session_seconds=60, will=Will("status", b"lost")))
        connack = answer()
        assert connack.head == packets.CONNACK
        assert Connack.read(connack.body).code == 0
        link.sendall(packets.subscribe(1, ["down", "also"]))
        assert answer().head == packets.SUBACK
        link.sendall(packets.publish(b"events", b"one", 5) + packets.publish(b"events", b"two") + packets.PINGREQ)
        assert (answer().head, answer().head) == (packets.PUBACK, 0xD0)
        assert eventually(lambda: [payload for _, payload, _ in watcher.messages] == [b"one", b"two"])
    assert eventually(lambda: ("status", b"lost", False) in watcher.messages), "the will of a lost connection"
    watcher.stop()
