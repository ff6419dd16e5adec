"""From the outbox to whoever must have the events, over a real broker that dies and a link that is cut."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from rigs.device import Device, Subscriber
from rigs.events import an_event
from rigs.hub import Hub
from rigs.mosquitto import ACL, Mosquitto
from rigs.tcp_proxy import TcpProxy
from rigs.waiting import eventually

from edge.core.settings.messaging import MqttSettings
from edge.core.types import Queued
from edge.mqtt import delivery
from edge.mqtt.messages import DeliveryMark, to_json

MakeDevice = Callable[..., Device]
DURABLE = "autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0"


def tracks(documents: list[bytes]) -> dict[str, list[str]]:
    """Track -> the types of its events in the order of their first arrival."""
    found: dict[str, list[str]] = defaultdict(list)
    seen = set()
    for document in documents:
        event = json.loads(document)
        if event["id"] not in seen:
            seen.add(event["id"])
            found[event["track"]].append(event["type"])
    return dict(found)


@pytest.fixture
def hub(broker: Mosquitto) -> Iterator[Hub]:
    one = Hub(MqttSettings(host="127.0.0.1", port=broker.port, reconnect_seconds=0.3))
    assert eventually(lambda: one.client.online)
    yield one
    one.stop()


def test_an_event_arrives_as_the_design_draws_it_and_leaves_the_outbox(
    broker: Mosquitto, subscriber: Subscriber, device: MakeDevice
) -> None:
    porch = device(broker.port)
    porch.outbox.put([an_event("new"), an_event("end")])
    assert eventually(lambda: len(subscriber.on("edge/v1/porch/up/event/door")) == 2)
    first = json.loads(subscriber.on("edge/v1/porch/up/event/door")[0])
    assert first["id"] == f"porch/{porch.outbox.epoch}/1"
    assert (first["device"], first["epoch"], first["seq"]) == ("porch", porch.outbox.epoch, 1)
    assert first["box"] == {"left": 0.41, "top": 0.22, "width": 0.12, "height": 0.22}
    assert "after" not in first
    assert eventually(lambda: porch.outbox.stats().waiting == 0)


def test_events_put_before_there_is_a_broker_arrive_in_order_once_there_is(tmp_path: Path, device: MakeDevice) -> None:
    late = Mosquitto(tmp_path / "late")
    late.start()
    late.stop()
    porch = device(late.port)
    for number in range(50):
        porch.outbox.put([an_event("new", f"1-{number}"), an_event("end", f"1-{number}")])
    assert porch.outbox.stats().waiting == 100
    with TcpProxy(late.port) as proxy:
        assert proxy.port
        late.start()
        watcher = Subscriber(late.port, "edge/v1/porch/up/event/+")
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 30)
        got = [json.loads(payload)["seq"] for _, payload, _ in watcher.messages]
        watcher.stop()
        late.kill()
    # what was sent before the watcher came is not seen by it; what it saw is in order
    assert got == sorted(got)


def test_a_broker_restarted_in_the_middle_of_a_run_gets_every_event(tmp_path: Path, device: MakeDevice) -> None:
    with Mosquitto(tmp_path / "broker", persistence=True, extra=DURABLE) as broker:
        watcher = Subscriber(broker.port, "edge/v1/porch/up/event/+")
        porch = device(broker.port)
        for number in range(150):
            porch.outbox.put([an_event("new", f"1-{number}"), an_event("end", f"1-{number}")])
            if number == 50:
                broker.stop()
            if number == 100:
                broker.start()
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 30)
        wanted = {f"1-{number}": ["new", "end"] for number in range(150)}
        assert eventually(lambda: tracks([payload for _, payload, _ in list(watcher.messages)]) == wanted)
        watcher.stop()


def test_with_a_hub_nothing_is_lost_when_a_broker_that_saves_nothing_is_killed(
    broker: Mosquitto, hub: Hub, device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RESEND", (1.0, 4.0))
    porch = device(broker.port, acknowledge="hub")
    for number in range(200):
        porch.outbox.put([an_event("new", f"1-{number}"), an_event("end", f"1-{number}")])
        if number in (60, 120):
            broker.restart()
    assert eventually(lambda: porch.outbox.stats().waiting == 0, 60)
    wanted = {f"1-{number}": ["new", "end"] for number in range(200)}
    found: dict[str, list[str]] = defaultdict(list)
    for event in sorted(hub.events, key=lambda event: event.seq):
        found[event.track].append(event.type)
    assert found == wanted


def test_an_event_stays_until_the_hub_has_it_and_is_sent_again(
    broker: Mosquitto, hub: Hub, device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RESEND", (0.5, 2.0))
    hub.deaf = True
    porch = device(broker.port, acknowledge="hub")
    porch.outbox.put([an_event("new"), an_event("end")])
    assert eventually(lambda: porch.delivery.stats().unmarked == 2)
    assert porch.outbox.stats().waiting == 2
    hub.deaf = False
    assert eventually(lambda: porch.outbox.stats().waiting == 0)
    assert [event.type for event in hub.events] == ["new", "end"]
    assert porch.delivery.stats().resends >= 1


def test_a_mark_that_nobody_can_have_deletes_nothing(broker: Mosquitto, hub: Hub, device: MakeDevice) -> None:
    hub.muted = True
    porch = device(broker.port, acknowledge="hub")
    porch.outbox.put([an_event("new")])
    assert eventually(lambda: hub.received == 1)
    for payload in (
        to_json(DeliveryMark(porch.outbox.epoch, 10**9)),
        to_json(DeliveryMark(5, 1)),
        b"\xff{",
        b"",
        b'{"epoch": "x"}',
    ):
        hub.client.publish("edge/v1/porch/down/ack", payload)
    hub.muted = False
    porch.outbox.put([an_event("end")])
    assert eventually(lambda: len(hub.events) == 2)
    assert eventually(lambda: porch.outbox.stats().waiting == 0)


def test_coalesced_updates_leave_gaps_that_do_not_hold_the_mark_back(
    broker: Mosquitto, hub: Hub, device: MakeDevice
) -> None:
    broker.kill()
    porch = device(broker.port, acknowledge="hub")
    porch.outbox.coalesce = True
    porch.outbox.put([an_event("new", "1-1"), an_event("new", "1-2")])
    for _ in range(20):
        porch.outbox.put([an_event("update", "1-1")])
        porch.outbox.coalesce = True
    porch.outbox.put([an_event("end", "1-2")])
    assert porch.outbox.stats().coalesced >= 18
    broker.start()
    assert eventually(lambda: porch.outbox.stats().waiting == 0, 30)
    in_order = [(event.track, event.type) for event in sorted(hub.events, key=lambda event: event.seq)]
    assert in_order == [("1-1", "new"), ("1-2", "new"), ("1-1", "update"), ("1-2", "end")]


def test_live_events_overtake_the_backlog_and_take_their_track_with_them(
    broker: Mosquitto, subscriber: Subscriber, device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BACKLOG_RATE", 20.0)
    monkeypatch.setattr(delivery, "BURST", 10)
    with TcpProxy(broker.port) as proxy:
        proxy.blackhole()
        porch = device(proxy.port)
        waiting = [an_event("new", f"1-{number}") for number in range(400)]
        porch.outbox.put([*waiting, an_event("new", "2-1")])
        proxy.pass_on()
        proxy.cut()
        assert eventually(lambda: porch.delivery.stats().sent > 0)
        porch.outbox.put([an_event("end", "2-1")])
        topic = "edge/v1/porch/up/event/door"
        assert eventually(lambda: tracks(subscriber.on(topic)).get("2-1") == ["new", "end"])
        assert len(subscriber.on(topic)) < 402
        monkeypatch.setattr(delivery, "BACKLOG_RATE", 1000.0)
        assert eventually(lambda: len(tracks(subscriber.on(topic))) == 401, 30)
    backlog = [event["seq"] for event in map(json.loads, subscriber.on(topic)) if event["track"].startswith("1-")]
    assert backlog == sorted(backlog)
    assert len(set(backlog)) == 400


def test_a_publish_that_the_broker_denies_stays_and_is_reported(
    tmp_path: Path, device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "REST", (0.5, 1.0))
    denying = ACL.replace("up/#", "up/status")
    users = {"porch": "secret", "central": "other"}
    with Mosquitto(tmp_path / "broker", passwords=users, acl=denying) as broker:
        porch = device(broker.port, username="porch", password="secret")
        porch.outbox.put([an_event("new"), an_event("end")])
        assert eventually(lambda: porch.delivery.stats().resting == ("door",))
        assert porch.outbox.stats().waiting == 2
        assert porch.client.health().refused >= 1
        assert porch.delivery.stats().delivered == 0
        broker.acl = ACL
        broker.restart()
        watcher = Subscriber(broker.port, "edge/v1/porch/up/#", username="central", password="other")
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 30)
        watcher.stop()


def test_a_link_cut_again_and_again_loses_nothing_and_keeps_the_order_of_each_track(
    broker: Mosquitto, subscriber: Subscriber, device: MakeDevice
) -> None:
    chance = random.Random(7)
    with TcpProxy(broker.port) as proxy:
        porch = device(proxy.port, reconnect_seconds=0.1)
        for number in range(300):
            track = f"1-{number}"
            porch.outbox.put([an_event("new", track)])
            porch.outbox.put([an_event("update", track, label="cat"), an_event("end", track)])
            if chance.random() < 0.02:
                proxy.cut()
                time.sleep(chance.random() * 0.3)
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 60)
    topic = "edge/v1/porch/up/event/door"
    assert eventually(lambda: sum(len(types) for types in tracks(subscriber.on(topic)).values()) == 900)
    found = tracks(subscriber.on(topic))
    assert all(types[0] == "new" and types[-1] == "end" for types in found.values())


def test_an_event_that_comes_while_there_seems_to_be_nothing_to_read_goes_at_once(
    broker: Mosquitto, subscriber: Subscriber, device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera rests, and has the latest event; another one's comes just after that was found out."""
    porch = device(broker.port)
    assert eventually(lambda: porch.client.online)
    read = porch.outbox.read
    late: list[str] = []

    def reading(after: int, limit: int, without: Sequence[str] = ()) -> list[Queued]:
        found = read(after, limit, without)
        if not found and after and not late:
            late.append("yard")
            porch.outbox.put([an_event("new", "2-1", camera="yard")])
        return found

    porch.outbox.put([an_event("new", "1-1")])
    assert eventually(lambda: porch.outbox.stats().waiting == 0)
    monkeypatch.setattr(porch.outbox, "read", reading)
    porch.delivery._resting["door"] = (time.monotonic() + 600, 600.0)
    porch.outbox.put([an_event("end", "1-1")])
    assert eventually(lambda: late)
    assert eventually(lambda: subscriber.on("edge/v1/porch/up/event/yard"))
