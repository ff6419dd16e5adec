"""The link comes up, says how it is, survives what brokers and networks do, and says when it cannot."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rigs.device import Device, Subscriber
from rigs.mosquitto import ACL, Certificates, Mosquitto, free_port
from rigs.old_broker import OldBroker
from rigs.tcp_proxy import TcpProxy
from rigs.waiting import eventually

from edge.core.settings.messaging import MqttSettings
from edge.mqtt import connection, link_state
from edge.mqtt.client import MqttClient, of_device
from edge.mqtt.inflight import Ack
from edge.mqtt.link_state import Link
from edge.mqtt.subscriptions import Incoming

STATUS = "edge/v1/porch/up/status"
MakeClient = Callable[..., MqttClient]


@pytest.fixture
def client() -> Iterator[MakeClient]:
    """Makes and starts device clients; ``client(port, **mqtt_settings)``. They are stopped at the end."""
    made: list[MqttClient] = []

    def make(port: int, session: int = 1, **chosen: object) -> MqttClient:
        values = {"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3, **chosen}
        made.append(of_device(MqttSettings.model_validate(values), "porch", session))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop(1.0)


def becomes(client: MqttClient, link: Link) -> bool:
    return eventually(lambda: client.health().link is link)


def test_birth_and_will_carry_the_session_and_are_retained(
    broker: Mosquitto, subscriber: Subscriber, client: MakeClient
) -> None:
    porch = client(broker.port, session=41)
    assert becomes(porch, Link.ONLINE)
    assert eventually(lambda: subscriber.on(STATUS))
    assert json.loads(subscriber.on(STATUS)[0]) == {"v": 1, "online": True, "session": 41, "reason": ""}
    porch.stop()
    late = Subscriber(broker.port, STATUS, name="late")
    assert eventually(lambda: late.messages)
    late.stop()
    assert json.loads(late.messages[0][1]) == {"v": 1, "online": False, "session": 41, "reason": "stopped"}
    assert late.messages[0][2] is True
    assert porch.health().link is Link.STOPPED


def test_stopped_before_the_broker_has_answered_the_birth_it_says_offline_all_the_same(
    broker: Mosquitto, client: MakeClient
) -> None:
    with TcpProxy(broker.port) as proxy:
        proxy.delay = 0.4  # seconds, each way
        porch = client(proxy.port)
        assert eventually(lambda: porch.connects == 1)
        assert not porch.online
        porch.stop()
        late = Subscriber(broker.port, STATUS, name="late")
        assert eventually(lambda: late.on(STATUS))
        late.stop()
    assert json.loads(late.on(STATUS)[-1]) == {"v": 1, "online": False, "session": 1, "reason": "stopped"}


def test_who_subscribes_between_the_connection_and_its_first_answer_hears_as_well(
    broker: Mosquitto, subscriber: Subscriber, client: MakeClient
) -> None:
    """A device whose marks were not subscribed to sent everything again for ever."""
    porch = client(broker.port)
    while not porch.connects:
        pass
    heard: list[Incoming] = []
    porch.subscribe("edge/v1/porch/down/ack", heard.append)
    assert becomes(porch, Link.ONLINE)
    # retained, as marks are: the broker may read this before the subscription
    subscriber.client.publish("edge/v1/porch/down/ack", b"{}", qos=1, retain=True)
    assert eventually(lambda: heard)


def test_the_will_speaks_when_the_link_dies_for_good(
    broker: Mosquitto, subscriber: Subscriber, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WILL_DELAY", 1)
    with TcpProxy(broker.port) as proxy:
        porch = client(proxy.port, session=7)
        assert becomes(porch, Link.ONLINE)
        proxy.blackhole()
        proxy.cut()
        assert eventually(lambda: len(subscriber.on(STATUS)) == 2)
    assert json.loads(subscriber.on(STATUS)[1]) == {"v": 1, "online": False, "session": 7, "reason": "lost"}


def test_a_short_cut_is_no_death(
    broker: Mosquitto, subscriber: Subscriber, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WILL_DELAY", 3)
    with TcpProxy(broker.port) as proxy:
        porch = client(proxy.port)
        assert becomes(porch, Link.ONLINE)
        proxy.cut()
        assert eventually(lambda: porch.connects == 2 and porch.online)
        time.sleep(3.5)
        assert [json.loads(said)["online"] for said in subscriber.on(STATUS)] == [True, True]


def test_what_is_retained_is_said_again_to_a_broker_that_forgot_it(broker: Mosquitto, client: MakeClient) -> None:
    porch = client(broker.port)
    porch.retain("edge/v1/porch/up/info", b"first")
    assert becomes(porch, Link.ONLINE)
    porch.retain("edge/v1/porch/up/info", b"second")
    broker.restart()
    assert eventually(lambda: porch.connects == 2 and porch.online)
    late = Subscriber(broker.port, "edge/v1/porch/up/#")
    assert eventually(lambda: late.on("edge/v1/porch/up/info") and late.on(STATUS))
    late.stop()
    assert set(late.on("edge/v1/porch/up/info")) == {b"second"}


def test_handlers_are_called_off_pahos_thread_again_after_a_reconnect_and_may_fail(
    broker: Mosquitto, subscriber: Subscriber, client: MakeClient
) -> None:
    porch, got, threads = client(broker.port), list[bytes](), set[str]()

    def handler(message: Incoming) -> None:
        threads.add(threading.current_thread().name)
        got.append(message.payload)
        raise RuntimeError("a handler with a bug")

    porch.subscribe("edge/v1/porch/down/cmd/+", handler)
    assert becomes(porch, Link.ONLINE)
    subscriber.client.publish("edge/v1/porch/down/cmd/ping", b"one", qos=1)
    assert eventually(lambda: got == [b"one"])
    broker.restart()
    assert eventually(lambda: porch.connects == 2 and porch.online and subscriber.client.is_connected())
    subscriber.client.publish("edge/v1/porch/down/cmd/ping", b"two", qos=1)
    assert eventually(lambda: got == [b"one", b"two"])
    assert threads == {"mqtt-work"}


def test_a_request_carries_where_to_answer_and_the_answer_its_correlation(
    broker: Mosquitto, client: MakeClient
) -> None:
    porch = client(broker.port)
    hub = MqttClient(MqttSettings(host="127.0.0.1", port=broker.port), "hub")
    answers: list[Incoming] = []
    porch.subscribe(
        "edge/v1/porch/down/cmd/+",
        lambda message: porch.publish(message.response_topic, b"pong", correlation=message.correlation) and None,
    )
    hub.subscribe("edge/v1/porch/up/rsp/+", answers.append)
    hub.start()
    assert becomes(porch, Link.ONLINE)
    assert becomes(hub, Link.ONLINE)

    def ask() -> None:
        hub.publish(
            "edge/v1/porch/down/cmd/ping",
            b"",
            expiry=60,
            response_topic="edge/v1/porch/up/rsp/hub",
            correlation=b"0123456789abcdef",
        )

    assert eventually(lambda: answers or ask())
    hub.stop()
    assert (answers[0].payload, answers[0].correlation) == (b"pong", b"0123456789abcdef")


def test_a_broker_that_only_speaks_3_1_1_is_spoken_to_in_3_1_1(client: MakeClient) -> None:
    with OldBroker() as old:
        porch = client(old.port)
        assert becomes(porch, Link.ONLINE)
        assert old.levels == [5, 4]
        assert porch.health().version == "3.1.1"
        answered: list[Ack] = []
        assert porch.publish("edge/v1/porch/up/event/door", b"{}", acknowledged=answered.append)
        assert eventually(lambda: answered)
        assert answered[0].accepted
        assert old.published[-1] == ("edge/v1/porch/up/event/door", b"{}")


def test_a_broker_that_never_answers_mqtt_5_is_tried_with_3_1_1(client: MakeClient) -> None:
    with OldBroker(mute=True) as old:
        porch = client(old.port)
        assert becomes(porch, Link.ONLINE)
        assert old.levels == [5, 5, 4]


@pytest.mark.parametrize(("before", "silent"), [(True, 2), (False, 4)], ids=["known to speak 5", "never seen before"])
def test_a_broker_that_restarts_behind_a_proxy_is_not_spoken_to_in_3_1_1_for_ever(
    broker: Mosquitto, client: MakeClient, before: bool, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy takes connections all the time, and closes them while nothing is behind it."""
    monkeypatch.setattr(link_state, "OUTAGE_SILENCES", 2)
    with TcpProxy(broker.port if before else free_port()) as proxy:
        porch = client(proxy.port, reconnect_seconds=0.1)
        if before:
            assert becomes(porch, Link.ONLINE)
            proxy.target = free_port()
            proxy.cut()
        assert eventually(lambda: porch._record._silences >= silent and porch._record.version == "3.1.1"), (
            "5 is given up"
        )
        proxy.target = broker.port
        assert eventually(lambda: porch.online and porch.health().version == "5")


def test_a_subscription_that_the_broker_refuses_is_told_with_what_to_try(
    client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    with OldBroker(granted=128) as old:
        porch = client(old.port)
        assert becomes(porch, Link.ONLINE)
        porch.subscribe("edge/v1/porch/down/cmd/+", lambda _: None)
        assert eventually(lambda: porch.health().refused == 1)
    told = [record.getMessage() for record in caplog.records if "edge/v1/porch/down/cmd/+" in record.getMessage()]
    assert len(told) == 1
    assert "access list" in told[0]


def test_a_pinned_version_is_kept_and_its_refusal_explained(client: MakeClient) -> None:
    with OldBroker() as old:
        porch = client(old.port, version="5")
        assert becomes(porch, Link.UNSUPPORTED)
        assert set(old.levels) == {5}
        assert "3.1.1" in porch.health().hint


def test_3_1_1_pinned_works_with_a_broker_that_speaks_5(broker: Mosquitto, client: MakeClient) -> None:
    porch = client(broker.port, version="3.1.1")
    assert becomes(porch, Link.ONLINE)
    assert porch.health().version == "3.1.1"


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_wrong_password_is_told_from_a_dead_broker(version: str, tmp_path: Path, client: MakeClient) -> None:
    with Mosquitto(tmp_path / "broker", passwords={"porch": "right"}) as broker:
        porch = client(broker.port, version=version, username="porch", password="wrong")
        assert becomes(porch, Link.UNAUTHORIZED)
        assert "password" in porch.health().hint
        assert "wrong" not in porch.health().detail


def test_a_dead_broker_is_unreachable_and_found_when_it_comes(tmp_path: Path, client: MakeClient) -> None:
    late = Mosquitto(tmp_path / "late", port=free_port())
    porch = client(late.port)
    assert becomes(porch, Link.UNREACHABLE)
    assert not porch.publish("edge/v1/porch/up/stats", b"{}")
    with late:
        assert becomes(porch, Link.ONLINE)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300, "ä" * 70])
def test_a_host_that_does_not_exist_ends_nothing(host: str, client: MakeClient) -> None:
    porch = client(1883, host=host)
    assert becomes(porch, Link.UNREACHABLE)
    assert porch.health().detail


def test_without_a_host_the_link_is_off(client: MakeClient) -> None:
    porch = client(0, host="")
    assert porch.health().link is Link.OFF
    assert not porch.publish("edge/v1/porch/up/stats", b"{}")


def test_tls_with_a_client_certificate_whose_name_is_the_user(tmp_path: Path, client: MakeClient) -> None:
    made = Certificates(tmp_path / "tls")
    with Mosquitto(tmp_path / "broker", tls=made, mutual=True, acl=ACL) as broker:
        porch = client(
            broker.port, host="localhost", tls=True, ca=made.ca, certificate=made.client, key=made.client_key
        )
        assert becomes(porch, Link.ONLINE)
        own, other = list[Ack](), list[Ack]()
        porch.publish("edge/v1/porch/up/event/door", b"{}", acknowledged=own.append)
        porch.publish("edge/v1/shed/up/event/door", b"{}", acknowledged=other.append)
        assert eventually(lambda: own and other)
        assert (own[0].accepted, other[0].accepted) == (True, False)
        assert "Not authorized" in other[0].reason


def test_a_broker_whose_certificate_is_of_another_ca_is_not_trusted(tmp_path: Path, client: MakeClient) -> None:
    made, other = Certificates(tmp_path / "tls"), Certificates(tmp_path / "other")
    with Mosquitto(tmp_path / "broker", tls=made) as broker:
        porch = client(broker.port, host="localhost", tls=True, ca=other.ca)
        assert becomes(porch, Link.UNTRUSTED)
        assert "certificate" in porch.health().detail


def test_tls_files_that_are_missing_are_named_and_found_when_they_come(tmp_path: Path, client: MakeClient) -> None:
    made = Certificates(tmp_path / "tls")
    with Mosquitto(tmp_path / "broker", tls=made) as broker:
        ca = tmp_path / "later.crt"
        porch = client(broker.port, host="localhost", tls=True, ca=ca)
        assert becomes(porch, Link.UNTRUSTED)
        assert "later.crt" in porch.health().detail
        ca.write_bytes(made.ca.read_bytes())
        assert becomes(porch, Link.ONLINE)


def test_two_clients_of_one_name_are_noticed(broker: Mosquitto, client: MakeClient) -> None:
    pair = [client(broker.port, reconnect_seconds=0.05), client(broker.port, reconnect_seconds=0.05)]
    assert eventually(lambda: any(one.health().link is Link.DUPLICATE for one in pair))
    assert "name" in next(one for one in pair if one.health().link is Link.DUPLICATE).health().hint


def test_an_answer_that_comes_before_publish_returns_is_not_lost(broker: Mosquitto, client: MakeClient) -> None:
    porch, answered = client(broker.port), list[Ack]()
    assert becomes(porch, Link.ONLINE)
    real = porch._paho
    assert real

    class Slow:
        """paho, whose ``publish`` returns long after the broker has answered."""

        def publish(self, *arguments: object, **named: object) -> object:
            info = real.publish(*arguments, **named)  # type: ignore[arg-type]
            time.sleep(0.3)
            return info

    porch._paho = Slow()  # type: ignore[assignment]
    assert porch.publish("edge/v1/porch/up/event/door", b"{}", acknowledged=answered.append)
    porch._paho = real
    assert answered == [Ack(True)]


def test_a_message_larger_than_the_broker_takes_is_refused_here(tmp_path: Path, client: MakeClient) -> None:
    with Mosquitto(tmp_path / "broker", extra="max_packet_size 2000") as broker:
        porch, answered = client(broker.port), list[Ack]()
        assert becomes(porch, Link.ONLINE)
        porch.publish("edge/v1/porch/up/event/door", bytes(3000), acknowledged=answered.append)
        assert [ack.accepted for ack in answered] == [False]
        assert porch.online


def test_a_broker_that_takes_few_at_once_is_obeyed(tmp_path: Path, device: Callable[..., Device]) -> None:
    with Mosquitto(tmp_path / "broker", extra="max_inflight_messages 3") as broker:
        porch = device(broker.port)
        assert eventually(lambda: porch.client.online)
        answered: list[Ack] = []
        for _ in range(50):
            assert eventually(
                lambda: porch.client.publish("edge/v1/porch/up/event/door", b"{}", acknowledged=answered.append)
            )
        assert eventually(lambda: len(answered) == 50)
        assert all(ack.accepted for ack in answered if not ack.abandoned)


def test_pauses_are_spread_and_bounded() -> None:
    first = [connection.pause(0, 60.0) for _ in range(500)]
    assert max(first) - min(first) > 30
    assert all(0 < pause <= 60 for pause in first)
    assert all(30 <= connection.pause(99, 5.0) <= 60 for _ in range(100))


@pytest.mark.long
def test_a_half_open_link_is_noticed_within_two_keepalives(broker: Mosquitto, client: MakeClient) -> None:
    with TcpProxy(broker.port) as proxy:
        porch = client(proxy.port, keepalive=5)
        assert becomes(porch, Link.ONLINE)
        proxy.blackhole()
        began = time.monotonic()
        assert eventually(lambda: not porch.online, 30)
        # a test of what is promised, not of speed: 2 x 5 s, and a little for paho's own clock
        assert time.monotonic() - began < 12
        proxy.pass_on()
        assert eventually(lambda: porch.online, 40)


def test_health_says_how_long_ago_the_broker_was_heard(broker: Mosquitto, client: MakeClient) -> None:
    porch = client(broker.port)
    assert becomes(porch, Link.ONLINE)
    health = porch.health()
    assert health.heard is not None
    assert replace(health, heard=None).hint == ""


def test_a_further_broker_takes_over_and_gives_back_when_it_dies_too(client: MakeClient, tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "one") as one, Mosquitto(tmp_path / "two") as two:
        porch = client(one.port, fallback_hosts=[f"127.0.0.1:{two.port}"])
        assert becomes(porch, Link.ONLINE)
        assert porch.health().address == f"127.0.0.1:{one.port}"
        one.kill()
        assert eventually(lambda: porch.online and porch.health().address == f"127.0.0.1:{two.port}", 20)
        heard = Subscriber(two.port, STATUS, name="late")
        assert eventually(lambda: heard.on(STATUS))
        heard.stop()
        two.kill()
        one.start()
        assert eventually(lambda: porch.online and porch.health().address == f"127.0.0.1:{one.port}", 20)


def test_one_broker_of_several_is_enough_at_the_start(broker: Mosquitto, client: MakeClient) -> None:
    dead = free_port()
    porch = client(dead, fallback_hosts=[f"127.0.0.1:{dead}", f"127.0.0.1:{broker.port}"])
    assert becomes(porch, Link.ONLINE)
    assert porch.health().address == f"127.0.0.1:{broker.port}"
