"""Devices that wait for the hub's mark, and ingests that store into one SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rigs.device import Device
from rigs.mosquitto import Mosquitto
from rigs.waiting import eventually

from edge.core.settings.messaging import HubSettings, MqttSettings
from edge.hub import databases
from edge.hub import queries as reading
from edge.hub.ingest import Ingest
from edge.hub.store import EventStore

MakeDevice = Callable[..., Device]
MakeIngest = Callable[..., Ingest]


def mqtt(port: int, **chosen: object) -> MqttSettings:
    return MqttSettings.model_validate({"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3} | chosen)


@pytest.fixture
def device(tmp_path: Path, broker: Mosquitto) -> Iterator[MakeDevice]:
    made: list[Device] = []

    def make(name: str = "porch", **chosen: object) -> Device:
        made.append(Device.make(mqtt(broker.port, acknowledge="hub", **chosen), tmp_path / f"state-{len(made)}", name))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def ingest(tmp_path: Path, broker: Mosquitto) -> Iterator[MakeIngest]:
    made: list[Ingest] = []

    def make(name: str = "1", database: str = "", **chosen: object) -> Ingest:
        store = EventStore(databases.connect(database, tmp_path))
        made.append(Ingest(mqtt(broker.port, **chosen), HubSettings(name=name, session_seconds=0), store))
        made[-1].start()
        assert eventually(lambda: made[-1].client.online)
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Callable[[], list[reading.Row]]]:
    """Everything that is in the hub's file now."""
    database = databases.connect("", tmp_path)
    EventStore(database).prepare()
    yield lambda: list(reading.events(database, reading.EventQuery()))
    database.close()
