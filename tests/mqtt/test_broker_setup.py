"""The mosquitto set-up that we ship: who gets in, what each may do, and what is seen of a refusal."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from rigs.device import Device
from rigs.events import an_event
from rigs.mosquitto import Mosquitto, program
from rigs.waiting import eventually

from edge.core.settings.messaging import HubSettings, MqttSettings
from edge.hub import databases
from edge.hub.ingest import Ingest
from edge.hub.store import EventStore

ROOT = Path(__file__).resolve().parent.parent.parent
MakeDevice = Callable[..., Device]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for arguments in (["localhost"], ["--client", "porch", "yard", "hub", "hub-commands"]):
        subprocess.run([ROOT / "scripts/make_certificates", folder, *arguments], check=True, capture_output=True)
    return folder


@pytest.fixture
def broker(tmp_path: Path, certificates: Path) -> Iterator[Mosquitto]:
    """The shipped file, with our folders and a free port."""
    program()
    one = Shipped(tmp_path / "broker", certificates=certificates)
    with one as running:
        yield running


class Shipped(Mosquitto):
    def __init__(self, folder: Path, certificates: Path) -> None:
        super().__init__(folder)
        self._certificates = certificates

    def _configuration(self) -> str:
        text = (ROOT / "config/mosquitto/edge.conf").read_text()
        acl = self.folder / "acl"
        acl.write_text((ROOT / "config/mosquitto/acl").read_text())
        acl.chmod(0o700)
        changes = {
            "listener 8883": f"listener {self.port} 127.0.0.1\nuser root",
            "/etc/mosquitto/certificates": str(self._certificates),
            "/etc/mosquitto/acl": str(acl),
            "/var/lib/mosquitto": str(self.folder),
        }
        for before, after in changes.items():
            assert before in text
            text = text.replace(before, after)
        return text


class Somebody:
    """A client with the certificate of ``name``."""

    def __init__(
        self, broker: Mosquitto, certificates: Path, name: str, *filters: str, client_id: str | None = None
    ) -> None:
        self.heard: list[str] = []
        self.refused: dict[int, bool] = {}
        chosen = f"x-{name}" if client_id is None else client_id
        self.client = paho.Client(CallbackAPIVersion.VERSION2, chosen, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set(
            str(certificates / "ca.crt"), str(certificates / f"{name}.crt"), str(certificates / f"{name}.key")
        )
        self.client.on_message = lambda _c, _d, message: self.heard.append(message.topic)
        self.client.on_publish = lambda _c, _d, mid, code, _p: self.refused.update({mid: code.is_failure})
        self.client.connect("localhost", broker.port)
        self.client.loop_start()
        assert eventually(self.client.is_connected)
        granted: list[int] = []
        self.client.on_subscribe = lambda _c, _d, mid, _codes, _p: granted.append(mid)
        for one in filters:
            self.client.subscribe(one, qos=1)
        assert eventually(lambda: len(granted) == len(filters))

    def may_write(self, topic: str) -> bool:
        mid = self.client.publish(topic, b"x", qos=1).mid
        assert eventually(lambda: mid in self.refused)
        return not self.refused[mid]

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_a_stolen_device_can_write_its_own_half_and_nothing_else(broker: Mosquitto, certificates: Path) -> None:
    thief = Somebody(broker, certificates, "porch")
    assert thief.may_write("edge/v1/porch/up/event/door")
    assert thief.may_write("homeassistant/device/porch/config")
    for topic in (
        "edge/v1/yard/up/event/door",
        "edge/v1/yard/down/cmd/restart",
        "edge/v1/porch/down/ack",
        "edge/v1/porch/down/cmd/restart",
        "edge/v1/porch/down/desired",
        "homeassistant/device/yard/config",
        "homeassistant/status",
        "$SYS/broker/load",
    ):
        assert not thief.may_write(topic), topic
    thief.stop()


def test_a_stolen_device_hears_nothing_of_others(broker: Mosquitto, certificates: Path) -> None:
    thief = Somebody(broker, certificates, "porch", "#", "edge/v1/#", "$share/edge-hub/edge/v1/+/up/event/+")
    yard, hub = Somebody(broker, certificates, "yard"), Somebody(broker, certificates, "hub", "edge/v1/+/up/#")
    assert yard.may_write("edge/v1/yard/up/event/door")
    assert hub.may_write("edge/v1/yard/down/ack")
    assert hub.may_write("edge/v1/porch/down/ack")
    assert eventually(lambda: "edge/v1/porch/down/ack" in thief.heard)
    assert set(thief.heard) == {"edge/v1/porch/down/ack"}
    assert eventually(lambda: hub.heard == ["edge/v1/yard/up/event/door"])
    assert not hub.may_write("edge/v1/yard/up/event/door")
    for one in (thief, yard, hub):
        one.stop()


@pytest.mark.parametrize("client_id", ["edge-yard", "yard", "edge-hub-1", "hub", ""])
def test_a_stolen_certificate_throws_nobody_else_out(client_id: str, broker: Mosquitto, certificates: Path) -> None:
    victims = [Somebody(broker, certificates, name) for name in ("yard", "hub")]
    ended: list[object] = []
    for victim in victims:
        victim.client.on_disconnect = lambda *arguments: ended.append(arguments[3])
    thief = Somebody(broker, certificates, "porch", client_id=client_id)
    assert thief.may_write("edge/v1/porch/up/event/door")
    for victim, topic in zip(victims, ("edge/v1/yard/up/event/door", "edge/v1/yard/down/ack"), strict=True):
        assert victim.may_write(topic)
        assert victim.client.is_connected()
    assert not ended
    for one in (thief, *victims):
        one.stop()


def test_commands_of_the_hub_have_a_certificate_of_their_own(broker: Mosquitto, certificates: Path) -> None:
    ingest = Somebody(broker, certificates, "hub")
    commands = Somebody(broker, certificates, "hub-commands", "edge/v1/+/up/rsp/+")
    assert commands.may_write("edge/v1/porch/down/cmd/ping")
    assert ingest.client.is_connected()
    for one in (ingest, commands):
        one.stop()


def test_who_has_no_certificate_of_ours_stays_out(broker: Mosquitto, certificates: Path, tmp_path: Path) -> None:
    stranger = paho.Client(CallbackAPIVersion.VERSION2, "stranger")
    stranger.tls_set(str(certificates / "ca.crt"))
    stranger.connect("localhost", broker.port)
    stranger.loop_start()
    assert eventually(lambda: "peer did not return a certificate" in broker.log)
    assert not stranger.is_connected()
    stranger.loop_stop()


def test_an_event_that_the_broker_refuses_is_seen_and_stays_in_the_outbox(
    broker: Mosquitto, certificates: Path, device: MakeDevice
) -> None:
    files = {
        "ca": certificates / "ca.crt",
        "certificate": certificates / "porch.crt",
        "key": certificates / "porch.key",
    }
    impostor = device(broker.port, "yard", host="localhost", tls=True, **files)
    impostor.outbox.put([an_event("new"), an_event("end")])
    # its birth is refused too, so it is never taken for online; nothing is lost
    assert eventually(lambda: impostor.client.health().refused >= 1)
    assert impostor.outbox.stats().waiting == 2
    impostor.stop()
    honest = device(broker.port, "porch", host="localhost", tls=True, **files)
    honest.outbox.put([an_event("new"), an_event("end")])
    assert eventually(lambda: honest.outbox.stats().waiting == 0)


def test_device_and_ingest_meet_at_it_each_with_its_certificate(
    broker: Mosquitto, certificates: Path, device: MakeDevice, tmp_path: Path
) -> None:
    def files(name: str) -> dict[str, Path]:
        names = {"ca": "ca.crt", "certificate": f"{name}.crt", "key": f"{name}.key"}
        return {setting: certificates / file for setting, file in names.items()}

    mqtt = MqttSettings.model_validate({"host": "localhost", "port": broker.port, "tls": True, **files("hub")})
    ingest = Ingest(mqtt, HubSettings(), EventStore(databases.connect("", tmp_path)))
    ingest.start()
    assert eventually(lambda: ingest.client.online)
    porch = device(broker.port, "porch", host="localhost", tls=True, acknowledge="hub", **files("porch"))
    porch.outbox.put([an_event("new"), an_event("end")])
    assert eventually(lambda: porch.outbox.stats().waiting == 0)
    assert ingest.counts.stored == 2
    ingest.stop()


def test_limits_fit_what_we_send() -> None:
    text = (ROOT / "config/mosquitto/edge.conf").read_text()
    from edge.mqtt.messages import MAX_DOCUMENT

    for name in ("message_size_limit", "max_packet_size"):
        limit = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
        assert limit
        assert int(limit[1]) > MAX_DOCUMENT + 512


@pytest.mark.parametrize("names", [["--client", "UPPER"], ["--client", "server"], ["--client", "a/b"], ["host;rm"]])
def test_names_that_are_none_get_no_certificate(tmp_path: Path, names: list[str]) -> None:
    done = subprocess.run(
        [ROOT / "scripts/make_certificates", tmp_path, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error:")
