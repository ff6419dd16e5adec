"""Whatever is written to the topics that a device hears: it goes on, does nothing of it, and does not grow."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.waiting import eventually

from edge.core.settings.messaging import MqttSettings
from edge.core.system import hardware as board
from edge.hub.command_client import ask
from edge.mqtt.command_auth import public_text, sign, to_json

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MESSAGES = 1500
GROWTH = 32 << 20
"""bytes that the process may have grown by; each message once kept would be more"""


@pytest.fixture
def porch(tmp_path: Path, shared_models: Path) -> Iterator[tuple[Running, Mosquitto]]:
    with Mosquitto(tmp_path / "broker") as broker:
        one = Running(tmp_path / "device", shared_models, {"realtime": True, "loop": True, "fps": 2.0})
        mqtt = {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0, "acknowledge": "hub"}
        one.settings |= {
            "mqtt": mqtt,
            "commands": {"keys": [public_text(KEY)]},
            "homeassistant": {"enabled": True},
        }
        one.config()
        one.start()
        one.await_watching()
        yield one, broker
        one.close()


def rubbish(rng: random.Random, good: list[bytes]) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        return rng.choice((b"", b"null", b"[]", b"{}", b"1e999", b"{" * 5000, b'{"a":' * 3000, b"\xef\xbb\xbf{}"))
    if kind == 2:
        return json.dumps({"v": rng.choice((1, 2, "1", None, -1)), "epoch": rng.randrange(-5, 2**40),
                           "seq": rng.choice((0, -1, 2**70, "x")), "arguments": [1]}).encode()  # fmt: skip
    if kind == 3:
        return b'{"arguments":{"camera":"' + rng.randbytes(30_000).hex().encode() + b'","enabled":false}}'
    spoiled = bytearray(rng.choice(good))
    for _ in range(rng.randint(1, 5)):
        spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
    return bytes(spoiled)


def test_hostile_messages_to_every_topic_that_is_heard_do_nothing(porch: tuple[Running, Mosquitto]) -> None:
    one, broker = porch
    mqtt = MqttSettings(host="127.0.0.1", port=broker.port)
    assert ask(mqtt, "porch", "ping", {}, timeout=40).code == "ok"
    other = Subscriber(broker.port, "edge/v1/porch/up/status", "edge/v1/porch/up/state/door")
    rng = random.Random(11)
    harm = {"restart": {}, "camera": {"camera": "door", "enabled": False}, "forget": {"subject": "alice"}}
    old = [sign(KEY, "porch", name, given, -60) for name, given in harm.items()]
    good = [*(to_json(command) for command in old), b'{"epoch":5,"seq":7}']
    names = ["restart", "reload", "camera", "forget", "enroll", "snapshot", "ping", "x" * 128, "%s", "a.b"]
    assert one.process
    warm = 200
    for number in range(MESSAGES):
        if number == warm:
            before = board.memory(one.process.pid).resident
        name = rng.choice(names) if rng.random() < 0.8 else "".join(rng.choices(string.printable[:62], k=9))
        topic = rng.choice((f"edge/v1/porch/down/cmd/{name}", "edge/v1/porch/down/ack", "edge/v1/porch/down/desired",
                            "homeassistant/status"))  # fmt: skip
        sent = other.client.publish(topic, rubbish(rng, good), qos=1, properties=None)
        if number % 100 == 99:
            sent.wait_for_publish(10)
    assert eventually(lambda: ask(mqtt, "porch", "ping", {}, timeout=40).code == "ok", 60)
    grown = board.memory(one.process.pid).resident - before
    assert one.process.poll() is None
    assert [json.loads(payload)["session"] for payload in other.on("edge/v1/porch/up/status")] == [1]
    assert eventually(lambda: json.loads(other.on("edge/v1/porch/up/state/door")[-1])["status"] == "live"), one.log
    assert grown < GROWTH
    assert "Traceback" not in one.log
    assert one.stop() == 0
    other.stop()
