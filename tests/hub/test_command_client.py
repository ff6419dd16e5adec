"""The hub asks, a real daemon answers: over a real broker, with real models."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.running import ROOT, Running
from rigs.waiting import eventually

from edge.core.errors import ConflictError, DeliveryError, InputError
from edge.core.settings.messaging import MqttSettings
from edge.hub.command_client import ask, make_key, read_key
from edge.mqtt.command_auth import CommandAnswer, public_text, sign, to_json

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PORTRAITS = ROOT / "edge/data/portraits"


@pytest.fixture
def porch(tmp_path: Path, shared_models: Path, broker: Mosquitto) -> Iterator[Running]:
    one = Running(tmp_path / "device", shared_models, {"realtime": True, "loop": True, "fps": 5.0, "snapshots": True})
    one.settings |= {
        "mqtt": {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0},
        "commands": {"keys": [public_text(KEY)]},
        "homeassistant": {"enabled": True, "switches": True},
        "frigate": {"enabled": True},
    }
    one.config()
    one.start()
    one.await_watching()
    yield one
    one.close()


def asked(
    broker: Mosquitto, operation: str, private: Ed25519PrivateKey | None = KEY, **arguments: Any
) -> CommandAnswer:
    mqtt = MqttSettings(host="127.0.0.1", port=broker.port)
    return ask(mqtt, "porch", operation, arguments, private=private, timeout=40)


def test_a_day_in_the_life_of_a_device_that_is_commanded(porch: Running, broker: Mosquitto) -> None:
    other = Subscriber(broker.port, "edge/v1/porch/up/#", "homeassistant/#", "frigate/#")
    assert asked(broker, "ping").code == "ok"
    assert eventually(lambda: asked(broker, "stats").data["cameras"]["door"]["status"] == "live", 30)
    assert asked(broker, "restart", private=None).code == "unsigned"

    assert eventually(lambda: asked(broker, "snapshot", camera="door").code == "ok", 30)
    jpeg = base64.b64decode(asked(broker, "snapshot", camera="door").data["jpeg"])
    assert jpeg[:3] == b"\xff\xd8\xff"

    image = next(path for path in PORTRAITS.rglob("*.jpg"))
    data = base64.b64encode(image.read_bytes()).decode()
    enrolled = asked(broker, "enroll", subject="somebody", image=data)
    assert (enrolled.code, enrolled.data.get("new")) == ("ok", True), enrolled
    assert asked(broker, "enroll", subject="somebody", image="bm8=").data["reason"] == "unsupported"
    known = lambda: any(  # noqa: E731
        b'"subject":"somebody"' in payload for payload in other.on("edge/v1/porch/up/event/door")
    )
    assert eventually(known, 40), "the running daemon does not know whom it enrolled"
    assert asked(broker, "forget", subject="somebody").data["faces"] == {"faces": 1}
    assert asked(broker, "forget", subject="somebody").code == "not_found"

    assert asked(broker, "camera", camera="door", enabled=False).code == "ok"
    state = "edge/v1/porch/up/state/door"
    assert eventually(lambda: json.loads(other.on(state)[-1])["status"] == "off")
    assert eventually(lambda: json.loads(other.on(state)[-1])["present"] == [])
    switch = json.loads(other.on("homeassistant/device/porch/config")[-1])["cmps"]["door_enabled"]
    other.client.publish(switch["command_topic"], switch["payload_on"], qos=1)
    assert eventually(lambda: json.loads(other.on(state)[-1])["status"] == "live", 20)
    assert asked(broker, "camera", camera="hall", enabled=False).code == "not_found"

    assert eventually(lambda: other.on("frigate/door/face/snapshot"), 20)
    story = [json.loads(payload) for payload in other.on("frigate/events")]
    assert {"new", "end"} <= {one["type"] for one in story}
    assert other.on("frigate/available")[-1] == b"online"

    sessions = len(other.on("edge/v1/porch/up/status"))
    assert asked(broker, "restart").code == "ok"
    assert eventually(lambda: len(other.on("edge/v1/porch/up/status")) >= sessions + 2, 40), porch.log
    assert asked(broker, "ping").code == "ok"
    assert porch.stop() == 0
    assert other.on("frigate/available")[-1] == b"stopped"
    other.stop()


def test_home_assistants_return_is_answered_and_switching_it_off_takes_everything_back(
    porch: Running, broker: Mosquitto
) -> None:
    topic = "homeassistant/device/porch/config"
    other = Subscriber(broker.port, topic)
    assert eventually(lambda: other.on(topic))
    count = len(other.on(topic))
    other.client.publish("homeassistant/status", "online", qos=1)
    assert eventually(lambda: len(other.on(topic)) > count, 20)
    assert porch.stop() == 0
    porch.settings["homeassistant"] = {"enabled": False}
    porch.start()
    assert eventually(lambda: other.on(topic)[-1] == b"", 40)
    other.stop()


def test_a_command_that_is_sent_again_is_not_done_again(porch: Running, broker: Mosquitto) -> None:
    other = Subscriber(broker.port, "edge/v1/porch/up/rsp/+")
    topic = "edge/v1/porch/down/cmd/camera"
    command = to_json(sign(KEY, "porch", "camera", {"camera": "door", "enabled": True}))
    for _ in range(3):
        other.client.publish(topic, command, qos=1)
    other.client.publish(topic, command, qos=1, retain=True)
    assert eventually(lambda: len(other.on("edge/v1/porch/up/rsp/camera")) == 4, 30)
    codes = [json.loads(payload)["code"] for payload in other.on("edge/v1/porch/up/rsp/camera")]
    assert codes == ["ok", "replayed", "replayed", "replayed"]
    assert "refused (replayed)" in porch.log
    other.stop()


def test_a_device_that_is_not_there_is_told(broker: Mosquitto) -> None:
    began = time.monotonic()
    with pytest.raises(DeliveryError, match="did not answer"):
        ask(MqttSettings(host="127.0.0.1", port=broker.port), "nowhere", "ping", {}, timeout=1.0)
    assert time.monotonic() - began < 30


def test_keys_are_made_once_and_read_again(tmp_path: Path) -> None:
    public = make_key(tmp_path / "hub.key")
    assert public_text(read_key(tmp_path / "hub.key")) == public
    assert (tmp_path / "hub.key").stat().st_mode & 0o077 == 0
    with pytest.raises(ConflictError):
        make_key(tmp_path / "hub.key")
    (tmp_path / "bad").write_text("no key")
    for name in ("bad", "absent"):
        with pytest.raises(InputError):
            read_key(tmp_path / name)
