"""A real Home Assistant core with its MQTT integration: our entities appear, and the blueprint's automation acts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.waiting import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PYTHON = os.environ.get("HOMEASSISTANT_PYTHON", "")
ROOT = Path(__file__).parents[2]
OURS = ROOT / "config/homeassistant"
INSTALL = (
    "needs the Python of an environment with Home Assistant: python3.13 -m venv ha; "
    "ha/bin/pip install homeassistant==2025.4.4 paho-mqtt==2.1.0; HOMEASSISTANT_PYTHON=ha/bin/python"
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What Home Assistant sees of a daemon that watches footage of two people."""
    if not PYTHON or not shutil.which(PYTHON):
        pytest.skip(INSTALL)
    folder = tmp_path_factory.mktemp("homeassistant")
    config = folder / "config"
    shutil.copytree(OURS / "blueprints", config / "blueprints")
    shutil.copy(OURS / "automations.yaml", config)
    (config / "configuration.yaml").touch()
    with Mosquitto(folder / "broker") as broker:
        daemon = Running(
            folder / "edge",
            camera={"loop": True, "snapshots": True},
            settings={
                "device": {"name": "porch"}, "mqtt": {"host": "127.0.0.1", "port": broker.port},
                "homeassistant": {"enabled": True},
            },
        )  # fmt: skip
        daemon.folder.mkdir()
        daemon.enroll()
        with (folder / "log").open("wb") as log:
            command = [PYTHON, str(ROOT / "tests/rigs/home_assistant.py"), str(config), str(broker.port)]
            core = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            assert eventually((config / "seen.json").exists, 120), (folder / "log").read_text()[-3000:]
            daemon.start()
            yield lambda: json.loads((config / "seen.json").read_text())
        finally:
            daemon.stop()
            core.terminate()
            core.wait(30)


def test_the_entities_of_the_page_appear(seen: Any) -> None:
    expected = {
        "binary_sensor.porch_door_occupancy", "binary_sensor.porch_door_unknown_person", "event.porch_door_recognized",
        "event.porch_door_event", "sensor.porch_door_face_count", "sensor.porch_door_last_seen",
        "image.porch_door_snapshot", "sensor.porch_door_frame_rate", "sensor.porch_events_waiting",
        "update.porch_models_and_collections",
    }  # fmt: skip
    page = (OURS / "README.md").read_text()

    assert eventually(lambda: expected <= seen()["states"].keys(), 60), sorted(seen()["states"])
    assert all(entity in page for entity in expected)
    assert eventually(lambda: seen()["states"]["sensor.porch_door_frame_rate"][0] not in ("unknown", "unavailable"), 60)


def test_an_arrival_fires_the_automation_of_the_blueprint_with_its_picture(seen: Any) -> None:
    def told() -> list[dict[str, Any]]:
        return [one for one in seen()["called"] if "message" in one]

    assert eventually(lambda: any("is at the door" in one["message"] for one in told()), 120), seen()
    first = next(one for one in told() if "is at the door" in one["message"])
    assert first["message"] in ("eileen-collins is at the door", "grace-hopper is at the door")
    assert first["data"] == {"image": "/api/image_proxy/image.porch_door_snapshot"}
    assert seen()["states"]["event.porch_door_recognized"][1]["subject"] in ("eileen-collins", "grace-hopper")
