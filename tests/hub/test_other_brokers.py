"""The same device and the same ingest at a broker that is not mosquitto, and speaks 3.1.1 only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rigs.device import Device
from rigs.events import an_event
from rigs.nats import Nats
from rigs.waiting import eventually

from edge.core.settings.messaging import HubSettings, MqttSettings
from edge.hub import databases
from edge.hub import queries as reading
from edge.hub.ingest import Ingest
from edge.hub.store import EventStore
from edge.mqtt import delivery
from edge.mqtt.client import MqttClient
from edge.mqtt.subscriptions import Incoming


def test_everything_arrives_through_nats_also_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RESEND", (1.0, 4.0))
    with Nats(tmp_path / "nats") as broker:
        mqtt = MqttSettings(host="127.0.0.1", port=broker.port, reconnect_seconds=0.3, acknowledge="hub")
        ingest = Ingest(mqtt, HubSettings(), EventStore(databases.connect("", tmp_path)))
        ingest.start()
        porch = Device.make(mqtt, tmp_path, "porch")
        porch.start()
        assert eventually(lambda: porch.client.online and ingest.client.online, 30)
        assert porch.client.health().version == "3.1.1"
        for number in range(300):
            porch.outbox.put([an_event("new", track=str(number))])
            if number == 150:
                broker.kill()
                broker.start()
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 60)
        porch.outbox.put([an_event("end", track="0")])
        assert eventually(lambda: porch.outbox.stats().waiting == 0, 60)
        heard: list[Incoming] = []
        late = MqttClient(mqtt, "late")
        late.subscribe("edge/v1/+/up/status", heard.append)
        late.start()
        assert eventually(lambda: heard and heard[-1].retained, 20)
        assert json.loads(heard[-1].payload)["online"] is True
        for part in (porch, ingest, late):
            part.stop()
    database = databases.connect("", tmp_path)
    assert len(list(reading.events(database, reading.EventQuery()))) == 301
    database.close()
