"""A device's review queue behind the real command service, over a real broker: no camera, no model."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rigs.review_faces import BOX, CROP, SPACE, look

from edge.core.settings.messaging import MqttSettings
from edge.core.settings.schema import Settings
from edge.daemon.remote_commands import CommandContext, RemoteCommands
from edge.daemon.shared_review import SharedReview
from edge.inference.pool import ModelPool
from edge.mqtt.client import MqttClient
from edge.mqtt.command_auth import public_text
from edge.mqtt.sealed_box import key_of
from edge.mqtt.topics import Topics
from edge.recognition.review.question import Nearest, ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MATCH = 0.7
"""cosine from which two looks are one face"""


@dataclass
class SharingDevice:
    """A device that shares its questions with the hub of ``KEY``."""

    name: str
    queue: ReviewQueue
    staff: Collection
    shared: SharedReview

    def enroll(self, **people: int) -> None:
        """Name -> number of a made-up person, with two looks each."""
        self.staff.add(
            [
                NewFace(look(person, n), name, f"{self.name}{person}{n}".encode().hex().ljust(64, "0"), BOX)
                for name, person in people.items()
                for n in (0, 1)
            ],
            SPACE,
        )

    def ask(
        self, vector: np.ndarray, subject: str | None = None, quality: float = 0.8, crop: bytes = CROP, **more: Any
    ) -> int:
        """A doubtful look is put into the queue; its id."""
        self.queue.put([self.question(vector, subject, quality, crop, **more)])
        return self.queue.pending(1)[0].id

    def question(
        self, vector: np.ndarray, subject: str | None = None, quality: float = 0.8, crop: bytes = CROP, **more: Any
    ) -> ReviewQuestion:
        """About a look at the door."""
        found = self.staff.search(vector[np.newaxis], 5)[0] if self.staff.count else []
        nearest = tuple(Nearest(match.name, match.face_id, match.similarity, 90.0) for match in found)
        where = ("door", "1-1", "face", "staff", SPACE, BOX)
        values = {"match": MATCH, **more}
        return ReviewQuestion("uncertain", time.time(), *where, 0.9, quality, subject, nearest, vector, crop, **values)


@contextmanager
def sharing_device(folder: Path, name: str, port: int, *, shares: bool = True) -> Iterator[SharingDevice]:
    """A device named ``name`` at the broker on ``port``."""
    key = key_of(KEY, name, "review") if shares else ""
    settings = Settings.model_validate(
        {
            "device": {"name": name},
            "mqtt": {"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3},
            "commands": {"keys": [public_text(KEY)], "review_key": key},
            "review": {"enabled": True, "crops": True},
        }
    )
    state = folder / name
    with ExitStack() as stack:
        collections = stack.enter_context(Collections(state, settings.collection, maintain=False))
        queue = stack.enter_context(ReviewQueue(state, settings.review))
        shared = SharedReview(settings, state, collections)
        stack.callback(shared.close)
        topics = Topics(name)
        client = MqttClient(settings.mqtt, name)
        commands = RemoteCommands(client, topics)
        nothing: Any = None
        commands.start(
            CommandContext(
                settings, state, collections, nothing, nothing, nothing, nothing, nothing, nothing,
                ModelPool(settings.models, state, threads=1), shared if shares else None,
            )
        )  # fmt: skip
        stack.callback(client.stop)
        stack.callback(commands.stop)
        client.start()
        yield SharingDevice(name, queue, collections.create("staff"), shared)


def mqtt(port: int) -> MqttSettings:
    return MqttSettings.model_validate({"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3})


def write_key(folder: Path) -> Path:
    """The file of ``KEY``, as ``edge hub key`` writes it."""
    path = folder / "hub.key"
    path.write_bytes(base64.b64encode(KEY.private_bytes_raw()) + b"\n")
    return path
