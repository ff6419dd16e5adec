"""What edge 0.1.0 left on a device and at a hub opens, and goes on, under this version.

``tests/data/version_0_1_0/make.py`` made the folders with the code of commit 44a9412.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from unittest import mock

import pytest
from rigs.events import ALICE, an_event
from rigs.release_simulator import SPACE as RELEASE_SPACE
from rigs.release_simulator import Fleet, Site, some_faces
from rigs.review_faces import SPACE, look
from rigs.waiting import eventually

from edge.api.rekognition.custom.projects import Projects
from edge.api.rekognition.state_store import ApiState
from edge.core.settings.schema import Settings
from edge.core.types import Queued
from edge.hub import databases, queries
from edge.hub.publishing import draft as drafts
from edge.hub.publishing.keys import Keys
from edge.hub.publishing.repository import Repository
from edge.hub.store import Arrived, EventStore
from edge.mqtt.messages import WireEvent, event_json, parse
from edge.mqtt.outbox.outbox import Outbox
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.rejections import RejectionIndex
from edge.recognition.store.collections import Collections
from edge.recognition.store.users import Users
from edge.releases.manifest import subject_digest
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState

ARCHIVE = Path(__file__).parent / "data/version_0_1_0/folders.tar.xz"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folders ``state``, ``repository`` and ``hub``."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="tar")
    return tmp_path


def test_the_archive_is_small() -> None:
    assert ARCHIVE.stat().st_size < 1 << 20


def test_collections_users_and_new_faces(old: Path) -> None:
    collections = Collections(old / "state", Settings().collection, maintain=False)
    staff = collections.get("staff")
    assert staff.subjects() == {"alice": 3, "bob": 3}
    assert staff.search(look(0, 9)[None], 1, SPACE)[0][0].name == "alice"
    users = Users(collections.store, "staff", staff.number)
    assert users.get("u-alice").user_id == "u-alice"
    assert set(users.owners(face.face_id for face in staff.faces())) == {
        face.face_id for face in staff.faces(subject="alice")
    }
    assert {face.external_image_id for face in staff.faces(subject="bob")} == {"bob"}
    staff.delete_subject("bob")
    assert staff.search(look(1, 9)[None], 1, SPACE)[0][0].name == "alice"
    collections.close()


def test_questions_answers_rejections_and_strangers(old: Path) -> None:
    queue = ReviewQueue(old / "state", Settings().review.model_copy(update={"enabled": True, "days": 3650.0}))
    waiting = queue.doubts()
    assert [one.subject for one in waiting] == ["alice", "bob"]
    assert all(one.crop.startswith(b"\xff\xd8") for one in waiting)
    assert [one.answer for one in queue.answers()] == ["rejected"]
    rejections = RejectionIndex(old / "state")
    assert set(rejections.subjects("staff", SPACE.fingerprint)) == {"bob"}
    queue.answer(waiting[0], "rejected", "alice")
    assert set(rejections.subjects("staff", SPACE.fingerprint)) == {"alice", "bob"}
    assert [one.name for one in queue.strangers.all()] == ["unknown-1"]
    rejections.close()
    queue.close()


def test_events_that_wait_are_delivered_before_new_ones(old: Path) -> None:
    outbox = Outbox(old / "state/outbox.sqlite", Settings().outbox)
    waiting = [(one.event.type, one.event.track) for one in outbox.read(0, 100)]
    assert waiting[:3] == [("new", "3-1"), ("update", "3-1"), ("new", "3-2")]
    assert waiting[3:] == [("end", "3-1"), ("end", "3-2")]
    outbox.put([an_event("new", "4-1")])
    assert eventually(lambda: [one.event.track for one in outbox.read(0, 100)][-1] == "4-1")
    outbox.close()


def test_tags_and_projects(old: Path) -> None:
    api = ApiState(old / "state")
    assert api.tags("arn:aws:rekognition:local:000000000000:collection/staff") == {"team": "door"}
    api.close()
    projects = Projects(old / "state")
    assert [one.name for one in projects.projects()] == ["helmets"]
    projects.close()


def test_a_device_takes_the_next_release_of_an_old_hub_and_then_one_of_this_version(old: Path) -> None:
    folder, state = old / "repository", old / "state"
    repository = Repository(folder, Keys(folder / "keys/online", folder / "keys/offline"))
    repository.refresh()
    fleet = Fleet.__new__(Fleet)
    fleet.folder, fleet.repository, fleet.site = folder, repository, Site(repository.public)
    fleet.root = repository.public / "metadata/1.root.json"
    store = ReleaseStore(state)
    assert store.current == "r1"
    with mock.patch("edge.releases.verification.attempt"):
        assert fleet.sync(state).release == "r2"
        segment = fleet.segment(some_faces(3, 9), RELEASE_SPACE)
        fleet.publish(fleet.release("r3", segment))
        assert fleet.sync(state).release == "r3"
    assert store.manifest("r3").collections[0].count == 3
    updates = UpdateState(state / "sync")
    assert updates.get("good") == "r1"
    assert subject_digest("staff", "carol") in updates.get("erased staff")["subjects"]
    updates.close()
    fleet.close()


def test_the_draft_of_a_hub(old: Path) -> None:
    assert drafts.read(old / "repository/private").release.labels == {"face": "staff"}


def test_stored_events_stay_and_the_mark_goes_on(old: Path) -> None:
    database = databases.connect("", old / "hub")
    store = EventStore(database)
    store.prepare()
    assert len(list(queries.events(database, queries.EventQuery()))) == 5
    arrived = []
    for seq in range(4, 9):
        body = event_json("porch", Queued(seq, 3, seq, seq - 1, an_event("new", f"9-{seq}", identity=ALICE)))
        arrived.append(Arrived("porch", 3, seq, seq - 1, body.decode(), parse(WireEvent, body)))
    stored = store.add(arrived)
    assert stored.new == 4
    assert stored.marks == {("porch", 3): 9}
    assert queries.fleet(database)[0].device == "porch"
    database.close()
