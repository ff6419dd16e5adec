"""Devices on the broker, a subscriber of all topics, and a small file system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rigs.device import Device, Subscriber
from rigs.mosquitto import Mosquitto
from rigs.small_disk import small_disk

from edge.core.settings.messaging import MqttSettings

__all__ = ["small_disk"]

MakeDevice = Callable[..., Device]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[MakeDevice]:
    """Makes and starts devices; ``device(port, name="porch", **mqtt_settings)``. They are stopped at the end."""
    made: list[Device] = []

    def make(port: int, name: str = "porch", **chosen: object) -> Device:
        mqtt = MqttSettings.model_validate({"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3} | chosen)
        made.append(Device.make(mqtt, tmp_path / f"state-{len(made)}", name))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def subscriber(broker: Mosquitto) -> Iterator[Subscriber]:
    one = Subscriber(broker.port, "edge/#")
    yield one
    one.stop()
