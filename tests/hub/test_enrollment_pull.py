"""A face enrolled on one device is recognized by another: over a real broker, a real hub and a real release."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rigs.mosquitto import Mosquitto
from rigs.release_simulator import Site
from rigs.running import ROOT, Running
from rigs.settings_files import DETECTOR, EMBEDDER
from rigs.waiting import eventually

from edge.core.settings import template as config_file
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Face
from edge.recognition.store.collections import Collections

PORTRAITS = ROOT / "edge/data/portraits"
SLOW = {"realtime": True, "loop": True, "fps": 2.0}


@dataclass
class Hub:
    """The owner's side, by the command line."""

    file: Path

    def edge(self, *words: str, code: int = 0) -> Any:
        command = [sys.executable, "-m", "edge", "--config", str(self.file), "hub", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr


@dataclass
class World:
    hub: Hub
    porch: Running
    hall: Running


@pytest.fixture
def world(tmp_path: Path, broker: Mosquitto) -> Iterator[World]:
    mqtt = {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0}
    key, repository = tmp_path / "hub.key", tmp_path / "hub"
    hub = Hub(tmp_path / "hub.toml")
    camera = {"name": "door", "source": "synthetic", "detectors": [DETECTOR]}
    values = {"state": str(tmp_path / "hub-state"), "mqtt": mqtt, "cameras": [camera],
              "hub": {"repository": str(repository), "key": str(key)},
              "labels": {"face": {"embedder": EMBEDDER, "collection": "faces"}}}  # fmt: skip
    hub.file.write_text(config_file.written(values))
    public = hub.edge("key", str(key))["public"]
    root = hub.edge("init")["root"]
    for model in (DETECTOR, EMBEDDER):
        hub.edge("add", "model", model)
    site = Site(repository / "public")
    sync = {"url": site.url, "root": root, "reserve_bytes": 0, "probation": 5.0}
    made = []
    for name in ("porch", "hall"):
        one = Running(tmp_path / name, None, SLOW)
        given = {"enrolments_key": hub.edge("enrolments", "key", "porch")["enrolments_key"]} if name == "porch" else {}
        one.settings |= {"device": {"name": name}, "mqtt": mqtt, "sync": sync, "commands": {"keys": [public]} | given}
        one.config()
        one.start()
        made.append(one)
    for one in made:
        assert eventually(lambda one=one: "watching door" in one.log, 240), one.log
    yield World(hub, *made)
    for one in made:
        one.close()
    site.close()


def faces(device: Running) -> list[Face]:
    with Collections(device.folder / "state", CollectionSettings(), maintain=False) as collections:
        return collections.get("faces").faces() if "faces" in collections else []


def knows(device: Running, subject: str) -> bool:
    return any(event["identity"].get("subject") == subject for event in device.events)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_who_is_enrolled_on_one_device_is_recognized_by_another(world: World) -> None:
    hub, porch, hall = world.hub, world.porch, world.hall
    done = porch.edge("enroll", "faces", str(PORTRAITS / "grace-hopper"), "--subject", "grace")
    assert done.returncode == 0, done.stderr
    (enrolled,) = faces(porch)

    assert "does not share its enrollments" in hub.edge("enrolments", "pull", "hall", code=1)
    assert hub.edge("enrolments", "pull", "porch")[0]["new"] == 1
    assert hub.edge("enrolments", "pull", "porch", "--again")[0] == {
        "device": "porch", "collection": "faces", "came": 1, "new": 0,
    }  # fmt: skip
    (row,) = hub.edge("enrolments", "list")
    assert (row["device"], row["subject"], row["face_id"], row["against"]) == ("porch", "grace", enrolled.face_id, "")
    assert hub.edge("enrolments", "accept", "--device", "porch") == {"accepted": 1, "left": []}
    hub.edge("enrolments", "list", code=3)
    release = hub.edge("publish")["id"]
    hub.edge("rollout", release)

    for device in (hall, porch):
        done = device.edge("sync", "--json")
        assert done.returncode == 0, done.stderr
    assert eventually(lambda: knows(hall, "grace"), 240), hall.log
    assert [(face.face_id, face.origin) for face in faces(hall)] == [(enrolled.face_id, "hub")]
    assert eventually(lambda: f"release {release} is in use" in porch.log, 240), porch.log
    assert faces(porch) == [enrolled], "the origin's own face stays as it is, and is there once"

    assert hub.edge("forget", "grace")["collections"] == {"faces": 1}
    hub.edge("rollout", hub.edge("publish")["id"])
    for device in (hall, porch):
        assert device.edge("sync").returncode == 0
    assert eventually(lambda: faces(hall) == faces(porch) == [], 240)
