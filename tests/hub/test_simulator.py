"""The simulated fleet against a real broker: valid events, nothing lost, also over shared connections and restarts."""

from __future__ import annotations

import random
import threading

import pytest
from rigs.hub import Hub
from rigs.mosquitto import Certificates, Mosquitto
from rigs.waiting import eventually

from edge.core.errors import DeliveryError
from edge.core.settings.messaging import MqttSettings
from edge.hub import simulator
from edge.hub.simulated_events import SimulatedTracks
from edge.hub.simulator import Fleet
from edge.mqtt.messages import WireEvent, parse


def mqtt(port: int, **chosen: object) -> MqttSettings:
    return MqttSettings.model_validate({"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3} | chosen)


def test_prepared_payloads_are_events_of_tracks_that_start_update_and_end() -> None:
    tracks = SimulatedTracks("porch", 7, random.Random(1))
    events = [parse(WireEvent, tracks.event(seq, seq - 1)[1]) for seq in range(1, 400)]
    assert [one.seq for one in events] == list(range(1, 400))
    assert [one.after for one in events] == list(range(399))
    assert {(one.id, one.device, one.epoch) for one in events} == {
        (f"porch/7/{seq}", "porch", 7) for seq in range(1, 400)
    }
    assert {one.camera for one in events} == {"door", "yard"}
    present: dict[str, WireEvent] = {}
    for one in events:
        assert (one.type == "new") == (one.track not in present)
        first = present.setdefault(one.track, one)
        assert (one.identity, one.label, one.started) == (first.identity, first.label, first.started)
        assert (one.ended is not None) == (one.type == "end")
        if one.type == "end":
            del present[one.track]
    assert len(present) <= 3


@pytest.mark.parametrize("connections", [0, 3])
def test_every_event_is_acknowledged_by_the_hub(broker: Mosquitto, connections: int) -> None:
    hub = Hub(mqtt(broker.port))
    assert eventually(lambda: hub.client.online)
    figures = Fleet(mqtt(broker.port), 12, 40.0, connections=connections, connects=200.0).run(1.0)
    assert len(hub.events) == figures.events == figures.marked > 100
    assert {one.device for one in hub.events} == {f"sim-{number:05d}" for number in range(12)}
    assert (figures.lost, figures.drops) == (0, 0)
    assert broker.log.count(" as edge-sim-") == (connections or 12)
    hub.stop()


def test_a_broker_that_is_killed_loses_no_event(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "RESEND", 1.0)
    monkeypatch.setattr(simulator, "MISC_SECONDS", 0.3)
    hub = Hub(mqtt(broker.port))
    assert eventually(lambda: hub.client.online)
    killed = threading.Event()

    def kill_once(_: object) -> None:
        if not killed.is_set():
            killed.set()
            broker.restart()

    figures = Fleet(mqtt(broker.port), 8, 20.0, connects=100.0).run(3.0, 60.0, kill_once)
    assert killed.is_set()
    assert figures.drops >= 8
    assert (figures.lost, len(hub.events)) == (0, figures.events)
    hub.stop()


def test_devices_connect_over_tls_with_a_password(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tls")
    certificates = Certificates(folder / "certificates")
    with Mosquitto(folder / "broker", passwords={"fleet": "secret-word"}, tls=certificates) as broker:
        chosen = {"username": "fleet", "password": "secret-word", "tls": True, "ca": certificates.ca}
        settings = mqtt(broker.port, **chosen, host="localhost")
        hub = Hub(settings)
        assert eventually(lambda: hub.client.online)
        figures = Fleet(settings, 3, 20.0).run(1.0)
        assert figures.events == len(hub.events) > 10
        hub.stop()


def test_no_broker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "PATIENCE", 0.5)
    fleet = Fleet(mqtt(1), 2, 1.0)
    with pytest.raises(DeliveryError, match="no device could connect"):
        fleet.run(30.0)
