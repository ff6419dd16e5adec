"""The doctor and the broker: the running daemon's own connection is asked, and without one it connects as a daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rigs.device import Subscriber
from rigs.mosquitto import ACL, Mosquitto, free_port
from rigs.waiting import eventually

from edge.cli.doctor.broker import broker as look
from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.settings.loader import Loaded
from edge.core.settings.schema import Settings
from edge.daemon.control import BROKER, Control
from edge.mqtt.access_check import check_access
from edge.mqtt.client import MqttClient, of_device
from edge.mqtt.topics import Topics

TOPICS = Topics("porch")


def context(tmp_path: Path, port: int, daemon: int | None = None, **mqtt: object) -> DoctorContext:
    values = {"device": {"name": "porch"}, "mqtt": {"host": "127.0.0.1", "port": port, **mqtt}}
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    return DoctorContext(Loaded(Settings.model_validate(values), None, {}, {}, {}, {}), state, daemon, seconds=4.0)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def daemon_on(stack: ExitStack, patient: DoctorContext) -> MqttClient:
    """The parts of a daemon that the doctor asks."""
    client = of_device(patient.settings.mqtt, "porch", 1)
    control = Control(patient.state, {BROKER: lambda _: check_access(client, TOPICS, 4.0).document()})
    control.start()
    stack.callback(control.stop)
    client.start()
    stack.callback(client.stop)
    return client


def told(findings: list[Finding]) -> list[tuple[Level, str]]:
    return [(one.level, one.what) for one in findings]


def test_a_running_daemon_keeps_its_connection_and_answers_for_it(tmp_path: Path, stack: ExitStack) -> None:
    server = stack.enter_context(Mosquitto(tmp_path / "broker", passwords={"porch": "s"}, acl=ACL))
    patient = context(tmp_path, server.port, os.getpid(), username="porch", password="s")
    client = daemon_on(stack, patient)
    assert eventually(lambda: client.online)
    connections = server.log.count("New client connected")
    findings = told(list(look(patient)))
    assert findings == [
        (Level.OK, f"the daemon is online at 127.0.0.1:{server.port} (MQTT 5)"),
        (Level.OK, "the access list limits this device to its own topics"),
    ]
    assert server.log.count("New client connected") == connections
    assert (client.connects, client.health().refused) == (1, 0)


def test_what_a_running_daemon_cannot_reach_is_told_in_its_own_words(tmp_path: Path, stack: ExitStack) -> None:
    patient = context(tmp_path, 1, os.getpid())
    client = daemon_on(stack, patient)
    assert eventually(lambda: client.health().link == "unreachable")
    (finding,) = look(patient)
    assert (finding.level, finding.try_) == (
        Level.ERROR,
        "check mqtt.host, mqtt.port and mqtt.tls, and that the broker runs",
    )
    assert "the daemon's link to 127.0.0.1:1 is unreachable" in finding.what


def test_without_a_daemon_the_doctor_has_its_client_id_and_loses_no_command_that_waits(
    tmp_path: Path, broker: Mosquitto
) -> None:
    patient = context(tmp_path, broker.port)
    came: list[bytes] = []
    for number in range(2):
        with ExitStack() as stack:
            client = of_device(patient.settings.mqtt, "porch", number)
            client.subscribe(TOPICS.desired, lambda message: came.append(message.payload))
            client.start()
            stack.callback(client.stop)
            if number:
                assert eventually(lambda: came == [b"later"])
                break
            assert eventually(lambda: "SUBACK to edge-porch" in broker.log)
            assert eventually(lambda client=client: client.online)
        with ExitStack() as stack:
            other = Subscriber(broker.port, TOPICS.status)
            stack.callback(other.stop)
            other.client.publish(TOPICS.desired, b"later", qos=1).wait_for_publish(5)
            findings = list(look(patient))
        assert (Level.OK, f"127.0.0.1:{broker.port} accepts the connection (MQTT 5)") in told(findings)
    assert broker.log.count("as edge-porch") >= 3


def test_one_broker_of_a_cluster_that_is_down_is_a_warning_and_the_next_is_checked(
    tmp_path: Path, stack: ExitStack
) -> None:
    server = stack.enter_context(Mosquitto(tmp_path / "broker"))
    dead = free_port()
    findings = list(look(context(tmp_path, dead, fallback_hosts=[f"127.0.0.1:{server.port}"])))
    assert told(findings)[:2] == [
        (Level.WARNING, f"the broker at 127.0.0.1:{dead} is unreachable: nothing listens on that port"),
        (Level.OK, f"127.0.0.1:{server.port} accepts the connection (MQTT 5)"),
    ]
