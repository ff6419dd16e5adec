"""Events that a broker bridges into a JetStream stream: stored once, whatever is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rigs.device import Device
from rigs.events import an_event
from rigs.nats import Nats
from rigs.waiting import eventually

from edge.core.settings.address import SecretAddress
from edge.core.settings.messaging import HubSettings, MqttSettings
from edge.hub import databases, jetstream
from edge.hub import queries as reading
from edge.hub.ingest import Ingest
from edge.hub.store import EventStore
from edge.mqtt import delivery

pytest.importorskip("nats")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nats]:
    monkeypatch.setattr(delivery, "RESEND", (1.0, 4.0))
    monkeypatch.setattr(jetstream, "ACK_SECONDS", 2.0)
    monkeypatch.setattr(jetstream, "RETRY", (0.1, 0.5))
    with Nats(tmp_path / "nats") as running:
        yield running


@pytest.fixture
def ingest(tmp_path: Path, server: Nats) -> Iterator[Callable[[str], Ingest]]:
    made: list[Ingest] = []

    def make(name: str = "1") -> Ingest:
        hub = HubSettings(name=name, stream=SecretAddress(f"nats://127.0.0.1:{server.client_port}/EDGE"))
        made.append(Ingest(mqtt(server), hub, EventStore(databases.connect("", tmp_path))))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def mqtt(server: Nats) -> MqttSettings:
    return MqttSettings(host="127.0.0.1", port=server.port, version="3.1.1", reconnect_seconds=0.3, acknowledge="hub")


def stored(tmp_path: Path) -> list[str]:
    database = databases.connect("", tmp_path)
    EventStore(database).prepare()
    tracks = [row.track for row in reading.events(database, reading.EventQuery())]
    database.close()
    return tracks


def test_events_of_a_stream_are_stored_once_also_when_its_server_is_killed(
    tmp_path: Path, server: Nats, ingest: Callable[..., Ingest]
) -> None:
    ingests = [ingest("1"), ingest("2")]
    porch = Device.make(mqtt(server), tmp_path, "porch")
    porch.start()
    try:
        assert eventually(lambda: porch.client.online, 30)
        for number in range(200):
            porch.outbox.put([an_event("new", track=str(number))])
            if number == 100:
                server.kill()
                server.start()
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 60)
    finally:
        porch.stop()
    assert sorted(stored(tmp_path), key=int) == [str(number) for number in range(200)]
    assert sum(one.counts.stored for one in ingests) == 200


def test_what_an_ingest_had_not_stored_goes_to_the_next(
    tmp_path: Path, server: Nats, ingest: Callable[..., Ingest], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[object] = []
    first = jetstream.JetStreamSource(
        SecretAddress(f"nats://127.0.0.1:{server.client_port}/EDGE"), "edge-hub", fetched.extend, lambda: True
    )
    first.start()
    porch = Device.make(mqtt(server), tmp_path, "porch")
    porch.start()
    try:
        assert eventually(lambda: porch.client.online, 30)
        monkeypatch.setattr(porch.delivery, "_resend", 600.0)
        porch.outbox.put([an_event("new", track=str(number)) for number in range(20)])
        assert eventually(lambda: len(fetched) >= 20, 30)
        first.stop()  # nothing acknowledged
        ingest()
        assert eventually(lambda: len(stored(tmp_path)) == 20, 30)
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 30)
    finally:
        porch.stop()
