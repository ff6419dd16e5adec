"""However a broker refuses: one warning within 10 seconds that names the cause and the remedy, and growing pauses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.refusing_broker import Manner, RefusingBroker
from rigs.waiting import eventually

from edge.core.settings.messaging import MqttSettings
from edge.mqtt import link_state
from edge.mqtt.client import MqttClient, of_device
from edge.mqtt.connection import BrokerLimits
from edge.mqtt.link_state import Link

MakeClient = Callable[..., MqttClient]
STATUS, STATE = "edge/v1/porch/up/status", "edge/v1/porch/up/state/door"


@pytest.fixture
def client() -> Iterator[MakeClient]:
    made: list[MqttClient] = []

    def make(port: int, **chosen: object) -> MqttClient:
        values = {"host": "127.0.0.1", "port": port, **chosen}
        made.append(of_device(MqttSettings.model_validate(values), "porch", 1))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop(1.0)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


REFUSALS: list[tuple[str, Manner, int, str, str]] = [
    ("5", "connack", 0x85, "Client identifier not valid", "mqtt.client_id"),
    ("5", "connack", 0x86, "Bad user name or password", "mqtt.password"),
    ("5", "connack", 0x87, "Not authorized", "mqtt.username"),
    ("5", "connack", 0x88, "Server unavailable", "broker's log"),
    ("5", "connack", 0x95, "Packet too large", "max_packet_size"),
    ("5", "connack", 0x97, "Quota exceeded", "quota"),
    ("5", "connack", 0x9F, "Connection rate exceeded", "reconnect_seconds"),
    ("5", "close", 0, "closed the connection without a response", "mqtt.tls"),
    ("5", "close after connack", 0, "before it acknowledged the first message", "retained messages"),
    ("5", "disconnect", 0x95, "Packet too large", "max_packet_size"),
    ("5", "disconnect", 0x97, "Quota exceeded", "quota"),
    ("5", "ignore", 0, "no MQTT answer came", "mqtt.tls"),
    ("5", "ignore publishes", 0, "acknowledged no message", "broker's log"),
    ("3.1.1", "connack", 2, "Client identifier not valid", "mqtt.client_id"),
    ("3.1.1", "connack", 3, "Server unavailable", "broker's log"),
    ("3.1.1", "connack", 4, "Bad user name or password", "mqtt.password"),
    ("3.1.1", "connack", 5, "Not authorized", "mqtt.username"),
    ("3.1.1", "close", 0, "closed the connection without a response", "retained messages"),
    ("3.1.1", "close after connack", 0, "before it acknowledged the first message", "retained messages"),
    ("3.1.1", "disconnect", 0, "before it acknowledged the first message", "retained messages"),
    ("3.1.1", "ignore", 0, "no MQTT answer came", "mqtt.tls"),
    ("3.1.1", "ignore publishes", 0, "acknowledged no message", "broker's log"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "manner", "code", "cause", "remedy"), REFUSALS)
def test_a_warning_names_cause_and_remedy(
    version: str, manner: Manner, code: int, cause: str, remedy: str,
    client: MakeClient, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with RefusingBroker(manner, code) as broker:
        porch = client(broker.port, version=version)
        assert eventually(lambda: warnings(caplog), seconds=10.5)
        assert cause in warnings(caplog)[0]
        assert remedy in warnings(caplog)[0]
        assert porch.health().link is not Link.ONLINE
        assert cause in porch.health().detail or len(warnings(caplog)) > 1


@pytest.mark.parametrize("manner", ["connack", "close", "close after connack"])
def test_pauses_grow_and_one_warning_is_enough(
    manner: Manner, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    with RefusingBroker(manner, 0x97) as broker:
        client(broker.port, version="5", reconnect_seconds=0.05)
        assert eventually(lambda: len(broker.times) >= 8, seconds=60)
        pauses = [after - before for before, after in pairwise(broker.times)]
        assert sum(pauses[-2:]) > 2 * sum(pauses[:2])
    assert len({text.partition("; ")[0] for text in warnings(caplog)}) <= 2
    assert len(warnings(caplog)) <= 3


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("limit", ["retain_available false", "max_qos 0"])
def test_what_can_be_done_without_is_done_and_what_is_missing_is_said(
    version: str, limit: str, client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Mosquitto(tmp_path / "broker", extra=limit) as broker:
        listener = Subscriber(broker.port, "edge/v1/#")
        porch = client(broker.port, version=version)
        assert eventually(lambda: porch.health().link is Link.ONLINE, seconds=20)
        porch.retain(STATE, b'{"present": []}')
        assert eventually(lambda: listener.on(STATUS) and listener.on(STATE))
        assert json.loads(listener.on(STATUS)[0])["online"] is True
        assert "mosquitto:" in porch.health().detail
        listener.stop()
    told = [text for text in warnings(caplog) if ("mosquitto: " in text and "retained" in text) or "QoS 1" in text]
    assert told


def test_what_connack_states_is_obeyed() -> None:
    class Stated:
        RetainAvailable, MaximumQoS, MaximumPacketSize, ReceiveMaximum = 0, 0, 1000, 5

    limits = BrokerLimits.stated(Stated())
    assert limits == BrokerLimits(retain=False, qos=0, packet=1000, inflight=5)
    assert BrokerLimits.stated(None) == BrokerLimits()
    assert BrokerLimits().missing == ""


def test_the_keep_alive_of_the_server_is_kept(client: MakeClient, tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker", extra="max_keepalive 10") as broker:
        porch = client(broker.port, version="5", keepalive=600)
        assert eventually(lambda: porch.online)
        assert porch._paho
        assert porch._paho.keepalive == 10


def test_a_message_that_is_too_large_says_whose_limit_it_is(
    client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Mosquitto(tmp_path / "broker", extra="max_packet_size 2000") as broker:
        porch = client(broker.port, version="5")
        assert eventually(lambda: porch.online)
        porch.publish(STATE, bytes(3000))
        assert "the broker takes 2000" in caplog.text
    with Mosquitto(tmp_path / "other") as broker:
        porch = client(broker.port, version="5")
        assert eventually(lambda: porch.online)
        porch.publish(STATE, bytes(300_000))
        assert "edge sends at most 262144" in caplog.text


@pytest.mark.parametrize(("version", "code"), [("3.1.1", 0x80), ("5", 0x80), ("5", 0x87)])
def test_a_refused_subscription_is_requested_again_until_it_is_granted(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, version: str, code: int
) -> None:
    monkeypatch.setattr(link_state, "SUBSCRIBE_PAUSE", (0.05, 0.2))
    with RefusingBroker("refuse subscriptions", code, refusals=3) as broker:
        porch = client(broker.port, version=version)
        porch.subscribe("edge/v1/porch/down/ack", lambda _: None)
        assert eventually(lambda: porch.online and broker.refusals < 0, 20)
        assert eventually(lambda: not porch.not_granted)
        assert porch.connects == 1
    assert len([text for text in warnings(caplog) if "refused the subscription" in text]) == 1


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_that_has_worked_is_not_asked_for_less_during_an_outage(version: str) -> None:
    record = link_state.LinkState(MqttSettings.model_validate({"host": "broker.lan", "version": version}))
    record.connected()
    record.online()
    for _ in range(link_state.OUTAGE_SILENCES - 1):
        record.asks_otherwise()
        assert (record.version, record.limits.missing) == (version, "")
    for _ in range(2 * link_state.SILENCES):
        record.asks_otherwise()
    assert record.limits.missing  # another broker may be there now
