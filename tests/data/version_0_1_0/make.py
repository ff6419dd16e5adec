"""Makes ``folders.tar.xz``: what edge 0.1.0 (commit 44a9412) left on a device and at a hub.

Run it with the code and the tests' rigs of that commit before all others on the path of Python:
    PYTHONPATH=OLD:OLD/tests python make.py
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from edge.api.custom.projects import Projects
from edge.api.state import ApiState
from edge.collection.collections import Collections
from edge.collection.faces import NewFace
from edge.collection.users import Users
from edge.outbox.outbox import Outbox
from edge.review.doubt import Doubt, Nearest
from edge.review.queue import ReviewQueue
from edge.review.strangers import Stranger
from edge.settings import Settings
from edge.settings.serving import Review, Strangers
from edge.sync import erasures
from edge.sync.ledger import Ledger
from edge.types import Box, Queued
from rigs.events import ALICE, an_event
from rigs.release_simulator import Fleet, some_faces
from rigs.review_faces import CROP, SPACE, look

from edge.hub import databases
from edge.hub.publishing.draft import changing
from edge.hub.store import Arrived, Document, Store
from edge.mqtt.messages import WireEvent, event_json, parse

MADE = 1_790_000_000.0
BOX = Box(0.1, 0.1, 0.5, 0.5)


def doubt(person: int, subject: str, reason: str = "uncertain") -> Doubt:
    nearest = (Nearest(subject, "f", 0.55),)
    return Doubt(reason, MADE, "door", f"1-{person}", "face", "staff", SPACE, BOX, 0.9, 0.8, subject, nearest,
                 look(person, 3), CROP)  # fmt: skip


def device(state: Path, fleet: Fleet) -> None:
    collections = Collections(state, Settings().collection, maintain=False)
    staff = collections.create("staff")
    for number, name in enumerate(("alice", "bob", "carol")):
        faces = [NewFace(look(number, k), name, f"{number}{k}" * 32, BOX, 0.9, 0.8, name) for k in range(3)]
        staff.add([NewFace(f.vector, f.subject, f.image_sha256[:64], f.box, 0.9, 0.8, f.subject) for f in faces], SPACE)
    users = Users(collections.store, "staff", staff.number)
    users.create("u-alice")
    users.associate("u-alice", [face.face_id for face in staff.faces(subject="alice")], 0.0)
    staff.delete_subject("carol")
    collections.close()
    queue = ReviewQueue(state, Review(enabled=True, crops=True, days=3650))
    queue.put([doubt(0, "bob"), doubt(1, "alice"), doubt(5, "bob")])
    queue.answer(queue.doubts()[0], "rejected", "bob")
    stranger = Stranger(0, 1, "staff", "face", SPACE, MADE, MADE + 60, 3, 0.7, np.stack([look(6), look(6, 1)]))
    queue.strangers.put([stranger], Strangers(enabled=True, days=3650))
    queue.close()
    outbox = Outbox(state / "outbox.sqlite", Settings().outbox)
    outbox.put([an_event("new", "3-1"), an_event("update", "3-1", identity=ALICE), an_event("new", "3-2")])
    outbox.close()
    api = ApiState(state)
    api.tag("arn:aws:rekognition:local:000000000000:collection/staff", {"team": "door"})
    api.close()
    projects = Projects(state)
    projects.create("helmets")
    projects.close()
    fleet.sync(state)
    ledger = Ledger(state / "sync")
    ledger.put({"good": "r1", "boots": None})
    ledger.close()
    erasures.erase(state, "staff", "carol")


def hub(folder: Path) -> None:
    store = Store(databases.connect("", folder))
    arrived = []
    for seq, kind in enumerate(("new", "update", "update", "end"), 1):
        body = event_json("porch", Queued(seq, 3, seq, seq - 1, an_event(kind, "3-1", identity=ALICE)), with_after=True)
        arrived.append(Arrived("porch", 3, seq, seq - 1, body.decode(), parse(WireEvent, body)))
    store.add(arrived, [Document("porch", "status", '{"online":true,"session":4,"reason":"","v":1}', MADE)])
    store.add([Arrived("porch", 3, 9, 8, arrived[0].body.replace('"seq":1', '"seq":9'), arrived[0].event)])
    store.database.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        fleet = Fleet(top / "repository")
        fleet.publish(fleet.release("r1", fleet.segment(some_faces(8))))
        with mock.patch("edge.release_trial.attempt"):
            device(top / "state", fleet)
        fleet.publish(fleet.release("r2", fleet.segment(some_faces(8)), fleet.segment(some_faces(2, 5))))
        with changing(top / "repository/private") as draft:
            draft.use("staff", "face")
        fleet.close()
        hub(top / "hub")
        for leftover in [*top.rglob("*-shm"), *top.rglob("lock")]:
            leftover.unlink()
        target = Path(__file__).with_name("folders.tar.xz")
        with tarfile.open(target, "w:xz") as archive:
            for folder in ("state", "repository", "hub"):
                archive.add(top / folder, folder)
        shutil.rmtree(top / "state")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
