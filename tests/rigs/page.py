"""The status page over a real connection, without a daemon behind it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rigs.review_faces import BOX, SPACE, look

from edge.api.rekognition.endpoint import ApiServer
from edge.api.web.routes import StatusPage
from edge.core.imaging.image import encode_jpeg
from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings
from edge.core.types import Box, Event, Frame, Identity, IdentityState, Picture, Track
from edge.pipeline.health import Health
from edge.recognition.review.question import Nearest, ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

ROOT = Path(__file__).parents[2]
PORTRAIT = ROOT / "edge/data/portraits/grace-hopper/1.jpg"
MARK = {"X-Edge-Page": "1"}
ELSEWHERE = "192.0.2.7"
"""an address that another machine would ask us by"""


@dataclass
class Served:
    page: StatusPage
    port: int
    collections: Collections

    def ask(
        self, method: str, path: str, body: bytes = b"", host: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": f"{host}:{self.port}", **wanted})
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def post(self, path: str, document: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """What our own script sends, and the document that comes back."""
        status, _, body = self.ask("POST", path, json.dumps(document).encode(), **{**MARK, **headers})
        return status, json.loads(body)

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("GET", path)[2])
        return found

    def status(self, path: str, **more: Any) -> int:
        return self.ask("GET", path, **more)[0]


@contextmanager
def served(folder: Path, **sections: Any) -> Iterator[Served]:
    """The page of a state folder, of a device with one camera; ``sections`` are settings."""
    pytest.importorskip("uvicorn", reason="needs the extra rekognition-edge[api]")
    values = {
        "device": {"name": "porch"},
        "api": {"enabled": True, "port": 0},
        "mqtt": {"host": "broker.lan", "password": "hunter2-secret"},
        "cameras": [{"name": "door", "source": "rtsp://admin:sw0rdfish@192.0.2.1/stream"}],
        **sections,
    }
    settings = Settings.model_validate(values)
    with Collections(folder, settings.collection) as collections:
        page = StatusPage(settings, folder, collections, Health(["door"]))
        server = ApiServer(settings, folder, collections=collections, pages=page.routes())
        page.serve(server.service.queues["models"], server.service.models)
        server.start()
        yield Served(page, server.port, collections)
        page.close()
        server.stop()


def frame(number: int, level: int = 100) -> Frame:
    picture = Picture(np.full((90, 160, 3), level, np.uint8), "rgb", 160, 90)
    return Frame("door", number, time.monotonic(), time.time(), picture)


def track(name: str) -> Track:
    now = time.monotonic()
    identity = Identity(IdentityState.KNOWN, name, 0.9)
    box = Box(0.1, 0.2, 0.3, 0.4)
    return Track("1-1", "door", "face", box, 0.9, now, now, 0.0, 0.0, confirmed=True, identity=identity)


def event(name: str, number: int = 0) -> Event:
    identity = Identity(IdentityState.KNOWN, name, 0.9)
    return Event("new", "door", f"1-{number}", "face", 0.9, Box(0, 0, 1, 1), identity, (), 1.0, 1.0)


PEOPLE = ("alice", "bob", "carol", "dave")


def enrolled(collections: Collections, people: tuple[str, ...] = PEOPLE) -> None:
    """Two faces of each person of the collection that the page enrolls into."""
    faces = [
        NewFace(look(number, turn), name, f"{name.encode().hex()}{turn}".ljust(64, "0"), BOX)
        for number, name in enumerate(people)
        for turn in (0, 1)
    ]
    collections.get_or_create("faces").add(faces, SPACE)


def crop_of(number: int) -> bytes:
    """A picture that can be told from others by its colors."""
    pixels = np.full((96, 96, 3), (40 + 37 * number % 200, 40 + 91 * number % 200, 40 + 53 * number % 200), np.uint8)
    pixels[20:76, 28:68] = (220, 190 - 5 * number % 90, 160)
    return encode_jpeg(pixels)


def asked(folder: Path, count: int, people: tuple[str, ...] = PEOPLE, crops: bool = True, **more: Any) -> None:
    """Questions about looks that are right to confirm, oldest first, about one person after the other."""
    reasons = ("uncertain", "margin", "audit", "unmatched", "retracted")
    doubts = []
    for number in range(count):
        who = number % len(people)
        near = [
            Nearest(name, f"f-{name}", 0.8 - 0.2 * ((place - who) % len(people))) for place, name in enumerate(people)
        ]
        near.sort(key=lambda one: -one.similarity)
        values: dict[str, Any] = {
            "reason": reasons[number % 5], "time": time.time() - 1000 + number, "camera": "door",
            "track": f"1-{number // 2}", "label": "face", "collection": "faces", "space": SPACE, "box": BOX,
            "score": 0.9, "quality": 0.8, "subject": people[who], "nearest": tuple(near),
            "vector": look(who, 2 + number // len(people)), "crop": crop_of(number) if crops else b"",
        }  # fmt: skip
        doubts.append(ReviewQuestion(**{**values, **more}))
    with ReviewQueue(folder, ReviewSettings(enabled=True, crops=crops, most=100_000)) as queue:
        queue.put(doubts)
