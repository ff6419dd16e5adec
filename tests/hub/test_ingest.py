"""From devices to the hub's database over a real broker: everything arrives, once, and nobody can spoil it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from rigs.device import Device, Subscriber
from rigs.events import an_event
from rigs.mosquitto import Mosquitto
from rigs.postgres import Postgres
from rigs.waiting import eventually

from edge.core.types import Queued
from edge.hub import databases
from edge.hub import queries as reading
from edge.hub.ingest import Ingest
from edge.mqtt import delivery
from edge.mqtt.messages import DeviceStatus, event_json, to_json

MakeDevice = Callable[..., Device]
MakeIngest = Callable[..., Ingest]
Stored = Callable[[], list[reading.Row]]


@pytest.fixture(autouse=True)
def _resend_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "RESEND", (1.0, 4.0))


def wire(seq: int, device: str = "porch", after: int | None = None, **changes: object) -> bytes:
    document = json.loads(event_json(device, Queued(seq, 3, seq, seq - 1 if after is None else after, an_event("new")),
                                     with_after=True))  # fmt: skip
    return json.dumps(document | changes).encode()


def test_events_are_stored_and_leave_the_outbox(device: MakeDevice, ingest: MakeIngest, stored: Stored) -> None:
    hub, porch = ingest(), device()
    porch.outbox.put([an_event("new"), an_event("update"), an_event("end")])
    assert eventually(lambda: porch.outbox.stats().waiting == 0)
    assert [row.type for row in stored()] == ["new", "update", "end"]
    assert (hub.counts.stored, hub.counts.refused) == (3, 0)


def test_what_was_sent_while_no_hub_was_there_comes_when_it_is(
    device: MakeDevice, ingest: MakeIngest, stored: Stored
) -> None:
    porch = device()
    porch.outbox.put([an_event("new", track=str(number)) for number in range(300)])
    assert eventually(lambda: porch.delivery.stats().sent >= 200)
    ingest()
    porch.outbox.put([an_event("new", track="late")])
    assert eventually(lambda: porch.outbox.stats().waiting == 0, 40)
    assert len(stored()) == 301


def test_a_device_that_has_waited_long_for_a_hub_need_not_wait_for_its_next_try(
    device: MakeDevice, ingest: MakeIngest, stored: Stored
) -> None:
    porch = device()
    porch.outbox.put([an_event("new")])
    assert eventually(lambda: porch.delivery.stats().resends >= 1)
    porch.delivery._resend = 600.0  # as after hours
    ingest()
    assert eventually(lambda: porch.outbox.stats().waiting == 0)
    assert len(stored()) == 1


def test_a_database_that_refuses_loses_nothing(
    device: MakeDevice, ingest: MakeIngest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "blocked.sqlite"
    blocked.mkdir()
    hub, porch = ingest(database=str(blocked)), device()
    porch.outbox.put([an_event("new", track=str(number)) for number in range(20)])
    assert eventually(lambda: hub.counts.retries >= 1)
    assert porch.outbox.stats().waiting == 20
    blocked.rmdir()
    assert eventually(lambda: porch.outbox.stats().waiting == 0, 40)
    database = databases.connect(str(blocked), tmp_path)
    assert len(list(reading.events(database, reading.EventQuery()))) == 20
    database.close()
    assert sum(record.levelname == "WARNING" and record.name == "edge.hub.ingest" for record in caplog.records) == 1


def test_a_postgresql_that_goes_away_and_comes_back_loses_nothing(
    device: MakeDevice, ingest: MakeIngest, tmp_path: Path
) -> None:
    with Postgres(tmp_path) as server:
        url = server.new_database()
        hub, porch = ingest(database=url), device()
        porch.outbox.put([an_event("new", track="before")])
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 40)
        server.stop()
        porch.outbox.put([an_event("new", track=str(number)) for number in range(30)])
        assert eventually(lambda: hub.counts.retries >= 1, 30)
        server.start()
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 60)
        database = databases.connect(url, tmp_path)
        assert len(list(reading.events(database, reading.EventQuery()))) == 31
        database.close()
        hub.stop()


def test_two_ingests_share_the_events_and_both_may_answer(
    device: MakeDevice, ingest: MakeIngest, stored: Stored
) -> None:
    one, two = ingest("1"), ingest("2")
    devices = [device(name) for name in ("porch", "yard")]
    for number in range(40):
        for each in devices:
            each.outbox.put([an_event("new", track=str(number))])
    assert eventually(lambda: all(each.outbox.stats().waiting == 0 for each in devices), 40)
    assert len(stored()) == 80
    assert one.counts.stored > 0
    assert two.counts.stored > 0
    assert one.counts.stored + two.counts.stored == 80


def test_an_ingest_that_dies_leaves_its_share_to_the_other(
    device: MakeDevice, ingest: MakeIngest, stored: Stored, broker: Mosquitto
) -> None:
    one, _two = ingest("1"), ingest("2")
    porch = device()
    for number in range(60):
        porch.outbox.put([an_event("new", track=str(number))])
        if number == 20:
            one.stop()
    assert eventually(lambda: porch.outbox.stats().waiting == 0, 40)
    assert len(stored()) == 60


def test_an_event_that_lies_about_its_device_is_refused(broker: Mosquitto, ingest: MakeIngest, stored: Stored) -> None:
    hub = ingest()
    thief = Subscriber(broker.port, "edge/v1/+/down/ack")
    thief.client.publish("edge/v1/thief/up/event/door", wire(1, "porch"), qos=1)
    thief.client.publish("edge/v1/porch/up/event/hall", wire(1, "porch"), qos=1)
    assert eventually(lambda: hub.counts.refused == 2)
    assert stored() == []
    assert thief.messages == []
    thief.stop()


def test_an_event_of_a_later_version_is_kept_as_it_is_and_does_not_hold_the_device_up(
    broker: Mosquitto, ingest: MakeIngest, stored: Stored, tmp_path: Path
) -> None:
    ingest()
    other = Subscriber(broker.port, "edge/v1/+/down/ack")
    other.client.publish("edge/v1/porch/up/event/door", wire(1, v=2), qos=1)
    other.client.publish("edge/v1/porch/up/event/door", wire(2), qos=1)
    assert eventually(lambda: json.loads(other.messages[-1][1])["seq"] == 2 if other.messages else False)
    assert [row.seq for row in stored()] == [2]
    with databases.connect("", tmp_path).transaction() as transaction:
        assert transaction.execute("SELECT seq, problem LIKE 'WireEvent: v:%' FROM unreadable") == [(1, 1)]
    other.stop()


def test_hostile_messages_are_refused_and_good_ones_still_come_through(
    broker: Mosquitto, ingest: MakeIngest, stored: Stored, device: MakeDevice
) -> None:
    hub = ingest()
    rng = random.Random(5)
    good = wire(1)
    sender = Subscriber(broker.port, "none")
    kinds = ("event/door", "status", "info", "stats", "reported", "event/a b", "event/\u00e9")
    hostile = [b"", b"null", b"[]", b"{" * 10_000, b'"' + b"a" * 70_000 + b'"', b"\xff\xfe", b'{"v":1}', b"1e999"]
    for number in range(300):
        spoiled = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
        payload = bytes(spoiled) if number % 2 else rng.choice(hostile)
        sender.client.publish(f"edge/v1/evil/up/{rng.choice(kinds)}", payload, qos=1)
    porch = device()
    porch.outbox.put([an_event("new"), an_event("end")])
    assert eventually(lambda: porch.outbox.stats().waiting == 0, 40)
    assert {row.device for row in stored()} == {"porch"}
    assert hub.counts.refused > 100
    sender.stop()


def test_the_will_of_a_connection_that_has_a_successor_is_not_believed(
    broker: Mosquitto, ingest: MakeIngest, stored: Stored, tmp_path: Path
) -> None:
    ingest()
    sender = Subscriber(broker.port, "none")
    for status in (DeviceStatus(True, 7), DeviceStatus(False, 6, "lost")):
        sender.client.publish("edge/v1/porch/up/status", to_json(status), qos=1, retain=True)
    sender.client.publish("edge/v1/porch/up/event/door", wire(1), qos=1)
    database = databases.connect("", tmp_path)
    assert eventually(lambda: [one.last_event is not None for one in reading.fleet(database)] == [True])
    assert reading.fleet(database)[0].online is True
    database.close()
    sender.stop()
