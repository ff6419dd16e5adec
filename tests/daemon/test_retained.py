"""No picture, and nobody's presence, stays at a broker where the settings do not want it any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rigs.device import Subscriber
from rigs.events import ALICE, an_event
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.waiting import eventually

from edge.core.settings.schema import Settings
from edge.daemon import retained as leftovers
from edge.daemon.integrations import FrigateIntegration
from edge.daemon.retained import RetainedCleanup
from edge.mqtt.client import MqttClient, of_device
from edge.mqtt.topics import Topics

UP = "edge/v1/porch/up"
PICTURES = {f"{UP}/snapshot/door", "frigate/door/face/snapshot"}


def chosen(broker: Mosquitto | None, *cameras: dict[str, Any], frigate: bool = True) -> Settings:
    port = broker.port if broker else 1
    return Settings.model_validate(
        {
            "device": {"name": "porch"},
            "mqtt": {"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3},
            "cameras": cameras,
            "labels": {"face": {"collection": "staff"}},
            "frigate": {"enabled": frigate},
        }
    )


DOOR, YARD = {"name": "door", "snapshots": True}, {"name": "yard"}


@contextmanager
def running(settings: Settings, state: Path) -> Iterator[tuple[MqttClient, RetainedCleanup]]:
    client = of_device(settings.mqtt, "porch", 1)
    client.start()
    one = RetainedCleanup(settings, state, client, Topics("porch"))
    one.start()
    one.tick(0.0)
    yield client, one
    one.tick(1.0)
    client.stop(1.0)


def kept(broker: Mosquitto) -> set[str]:
    """What somebody who comes now is given."""
    other = Subscriber(broker.port, "edge/#", "frigate/#", "end", name="kept")
    other.client.publish("end", b"", qos=1)
    assert eventually(lambda: other.on("end"))
    other.stop()
    return {topic for topic, payload, retained in other.messages if retained and payload} - {f"{UP}/status"}


def say(client: MqttClient, *topics: str) -> None:
    assert eventually(lambda: client.online)
    said = []
    for topic in topics:
        client.publish(topic, b"x", retain=True, acknowledged=said.append)
    assert eventually(lambda: len(said) == len(topics))


def test_what_the_settings_want_no_more_leaves_the_broker(broker: Mosquitto, tmp_path: Path) -> None:
    with running(chosen(broker, DOOR, YARD), tmp_path) as (client, _):
        say(client, *PICTURES, f"{UP}/state/door", f"{UP}/state/yard")
    assert kept(broker) == {*PICTURES, f"{UP}/state/door", f"{UP}/state/yard"}
    with running(chosen(broker, {"name": "door"}), tmp_path) as (client, one):
        assert eventually(lambda: kept(broker) == {f"{UP}/state/door"})
        assert eventually(lambda: one.tick(0.0) or leftovers._read(tmp_path) == {f"{UP}/state/door": False})


def test_it_is_taken_back_however_long_the_broker_is_away(broker: Mosquitto, tmp_path: Path) -> None:
    with running(chosen(broker, DOOR), tmp_path) as (client, _):
        say(client, *PICTURES)
    for _ in range(2):
        with running(chosen(None, YARD), tmp_path):
            pass
    assert kept(broker) == PICTURES
    with running(chosen(broker, YARD), tmp_path):
        assert eventually(lambda: not kept(broker))


def test_pictures_go_when_somebody_is_forgotten_while_nothing_runs(broker: Mosquitto, tmp_path: Path) -> None:
    with running(chosen(broker, DOOR), tmp_path) as (client, _):
        say(client, *PICTURES, f"{UP}/state/door")
    leftovers.forget_pictures(tmp_path)
    with running(chosen(broker, DOOR), tmp_path) as (client, _):
        assert eventually(lambda: kept(broker) == {f"{UP}/state/door"})
        say(client, f"{UP}/snapshot/door")
    with running(chosen(broker, DOOR), tmp_path) as (client, _):
        say(client)
        assert kept(broker) == {f"{UP}/snapshot/door", f"{UP}/state/door"}, "a new picture stays"


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b"\xff"])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / leftovers.FILE).write_bytes(damage)
    with running(chosen(None, DOOR), tmp_path):
        assert set(leftovers._read(tmp_path)) == {*PICTURES, f"{UP}/state/door"}


def test_frigates_picture_of_a_forgotten_person_is_taken_back(broker: Mosquitto, tmp_path: Path) -> None:
    settings = chosen(broker, DOOR)
    other = Subscriber(broker.port, "frigate/events")
    with running(settings, tmp_path) as (client, _):
        assert eventually(lambda: client.online)
        frigate = FrigateIntegration(settings, client, lambda _: b"jpeg")
        frigate.listen([an_event("new", identity=ALICE)])
        frigate.tick(lambda _: object())  # type: ignore[arg-type, return-value]
        assert eventually(lambda: kept(broker) == {"frigate/door/face/snapshot"})
        frigate.erase("alice")
        assert eventually(lambda: not kept(broker))
        frigate.listen([an_event("end")])
        frigate.tick()
        assert eventually(lambda: len(other.on("frigate/events")) == 2)
    other.stop()
    assert json.loads(other.on("frigate/events")[0])["after"]["sub_label"][0] == "alice"
    assert b"alice" not in other.on("frigate/events")[1]


def test_the_daemon_takes_the_last_picture_back_once_snapshots_are_off(broker: Mosquitto, tmp_path: Path) -> None:
    porch = Running(tmp_path / "device", camera={"realtime": True, "loop": True, "snapshots": True})
    porch.settings |= {"mqtt": {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0}}
    porch.config()
    try:
        porch.start()
        assert eventually(lambda: f"{UP}/snapshot/door" in kept(broker), 60), porch.log
        porch.stop()
        assert f"{UP}/snapshot/door" in kept(broker)
        porch.camera["snapshots"] = False
        porch.start()
        porch.await_watching()
        assert eventually(lambda: f"{UP}/snapshot/door" not in kept(broker), 30), porch.log
    finally:
        porch.close()
