"""Two real daemons ask about the faces that they saw; the page of a real hub answers for both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rigs.fleet_page import ServedHub, served_hub
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.settings_files import EMBEDDER
from rigs.sharing_device import KEY, write_key
from rigs.waiting import eventually

from edge.core.settings import template as config_file
from edge.core.settings.vision import CollectionSettings
from edge.hub import databases
from edge.hub.erasure import review_questions
from edge.hub.ingest import Ingest
from edge.hub.review.store import FleetQuestions
from edge.hub.store import EventStore
from edge.mqtt.command_auth import public_text
from edge.recognition.store.collections import Collections

SLOW = {"realtime": True, "loop": True, "fps": 2.0}


@dataclass
class World:
    hub: ServedHub
    devices: list[Running]
    file: Path

    def edge(self, *words: str) -> Any:
        command = [sys.executable, "-m", "edge", "--config", str(self.file), "hub", "review", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def questions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.hub.get("/page/review")["questions"]
        return found

    def shared(self) -> dict[str, Any] | None:
        """A question of both devices."""
        return next((one for one in self.questions() if one["devices"] == 2), None)

    def mentioned(self, device: str) -> set[str]:
        """Names in the hub's copies of a device's questions."""
        with closing(FleetQuestions(self.hub.folder, self.hub.settings.hub)) as questions:
            looks = [one.look for one in questions.looks() if one.device == device]
        return {near.subject for look in looks for near in look.nearest}

    def numbers(self, device: str) -> set[int]:
        """Ids of a device's questions at the hub."""
        with closing(FleetQuestions(self.hub.folder, self.hub.settings.hub)) as questions:
            return {one.look.id for one in questions.looks() if one.device == device}


@pytest.fixture
def world(tmp_path: Path, broker: Mosquitto) -> Iterator[World]:
    mqtt = {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0, "stats_seconds": 1.0}
    hub_section = {"key": str(write_key(tmp_path)), "repository": str(tmp_path / "hub"), "page_port": 0}
    values = {"mqtt": mqtt, "hub": hub_section}
    with served_hub(tmp_path, **values) as hub:
        store = EventStore(databases.connect("", tmp_path))
        ingest = Ingest(hub.settings.mqtt, hub.settings.hub, store, questions=review_questions(hub.settings, tmp_path))
        ingest.start()
        one = World(hub, [], tmp_path / "hub.toml")
        camera = {"name": "door", "source": "synthetic"}
        label = {"face": {"embedder": EMBEDDER, "collection": "faces"}}
        one.file.write_text(
            config_file.written({"state": str(tmp_path), **values, "cameras": [camera], "labels": label})
        )
        for name in ("porch", "hall"):
            device = Running(tmp_path / name, None, SLOW)
            device.settings |= {
                "device": {"name": name}, "mqtt": mqtt, "review": {"enabled": True, "crops": True, "audit": 1},
                "commands": {"keys": [public_text(KEY)], "review_key": one.edge("key", name)["review_key"]},
            }  # fmt: skip
            device.config()
            device.start()
            one.devices.append(device)
        yield one
        for device in one.devices:
            device.close()
        ingest.stop()


def subjects(device: Running) -> dict[str, int]:
    with Collections(device.folder / "state", CollectionSettings(), maintain=False) as collections:
        return collections.get("faces").subjects() if "faces" in collections else {}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_answer_on_the_hubs_page_names_a_face_on_two_devices(world: World) -> None:
    assert eventually(world.shared, 300), [device.log for device in world.devices]
    asked = world.shared()
    assert asked is not None
    picture = f"/page/review/{asked['looks'][0]['id']}/picture.jpg"
    assert world.hub.ask("GET", picture)[2].startswith(b"\xff\xd8\xff")
    answers = [{"id": asked["id"], "answer": "new", "subject": "grace"}]
    assert world.hub.post("/page/review/answers", {"answers": answers})[0] == 200
    for device in world.devices:
        assert eventually(lambda device=device: subjects(device) == {"grace": subjects(device)["grace"]}, 120)
        assert eventually(
            lambda device=device: any(event["identity"].get("subject") == "grace" for event in device.events), 240
        ), device.log

    # erased on a device: the hub's copies of its questions lose the name, and do not get it again
    porch = world.devices[0]
    assert eventually(lambda: "grace" in world.mentioned("porch"), 240), "a sample of known tracks is asked about"
    assert porch.edge("forget", "grace", "--yes").returncode == 0
    assert eventually(lambda: "grace" not in world.mentioned("porch"), 60)

    # answered by the hub's command, and on the device itself
    assert eventually(lambda: world.numbers("hall"), 120)
    (other, *_) = (row["number"] for row in world.edge("list") if "hall" in row["devices"])
    assert world.edge("answer", str(other), "--discard")["left"] == []
    assert eventually(lambda: world.numbers("porch"), 240)
    numbers = world.numbers("porch")
    porch.edge("review", "answer", *map(str, numbers), "--discard")
    assert eventually(lambda: not world.numbers("porch") & numbers, 60)
    assert "grace" not in world.mentioned("porch")
