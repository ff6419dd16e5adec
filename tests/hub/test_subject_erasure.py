"""``edge hub forget`` and the page erase the same: collections, pending enrollments, events and review questions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rigs.events import ALICE, NOW, an_event
from rigs.fleet_page import served_hub
from rigs.review_faces import BOX, CROP, SPACE, look

from edge.cli.main import edge
from edge.core.settings import template as config_file
from edge.core.settings.messaging import HubSettings
from edge.core.settings.schema import Settings
from edge.core.types import Queued
from edge.hub import databases, queries
from edge.hub.publishing.enrollments import PendingEnrollments
from edge.hub.publishing.publisher import ReleasePublisher
from edge.hub.review.store import FleetQuestions
from edge.hub.store import Arrived, EventStore
from edge.mqtt.messages import WireEvent, event_json, parse
from edge.recognition.enrollment_export import EnrollmentPage
from edge.recognition.review.sharing import ReceivedLook, SharedLook
from edge.recognition.store.face_rows import NewFace, from_new

Forget = Callable[[str], dict[str, int]]


def face(person: int, name: str) -> NewFace:
    return NewFace(look(person), name, f"{person}".ljust(64, "0"), BOX)


def put_events(folder: Path) -> None:
    body = event_json("porch", Queued(1, 3, 1, 0, an_event("new", identity=ALICE, time=NOW - 5)))
    with closing(databases.connect("", folder)) as database:
        EventStore(database).add([Arrived("porch", 3, 1, 0, body.decode(), parse(WireEvent, body))])


def put_question(folder: Path) -> None:
    asked = SharedLook(
        1, 1, time.time() - 5, "uncertain", "door", "face", "staff", "", SPACE.fingerprint, "alice", "", 0.8, 0.7, 80.0,
        (), (), 16, len(CROP),
    )  # fmt: skip
    with closing(FleetQuestions(folder, HubSettings())) as questions:
        questions.take("porch", [ReceivedLook(asked, look(0), CROP)])


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """The state of a hub in which alice is everywhere, and bob in a collection."""
    pytest.importorskip("tuf", reason="needs the extra rekognition-edge[hub]")
    desk = ReleasePublisher(tmp_path / "hub", Settings())
    desk.repository.init()
    with desk.collections() as collections:
        collections.create("staff").add([face(0, "alice"), face(1, "bob")], SPACE)
    pulled = from_new("staff", SPACE.fingerprint, face(2, "alice")), look(2)
    with closing(PendingEnrollments(desk.private)) as waiting:
        waiting.take("porch", "", EnrollmentPage("staff", [pulled], SPACE.fingerprint, "x", False))
    put_events(tmp_path)
    put_question(tmp_path)
    return tmp_path


def command(folder: Path, *arguments: str) -> Result:
    values = {"state": str(folder), "hub": {"repository": str(folder / "hub")}}
    (folder / "edge.toml").write_text(config_file.written(values))
    return CliRunner().invoke(edge, ["--config", str(folder / "edge.toml"), "hub", "forget", *arguments])


def left(folder: Path) -> tuple[dict[str, int], int, list[str | None], int]:
    """Subjects of the collection, pending faces, subjects of events, and questions."""
    desk = ReleasePublisher(folder / "hub", Settings())
    with (
        desk.collections() as collections, closing(PendingEnrollments(desk.private)) as waiting,
        closing(databases.connect("", folder)) as database, closing(FleetQuestions(folder, HubSettings())) as questions,
    ):  # fmt: skip
        events = [row.subject for row in queries.events(database, queries.EventQuery())]
        return collections.get("staff").subjects(), len(waiting.waiting()), events, len(questions.looks())


def test_the_command_erases_everything_at_the_hub_and_says_what(hub: Path) -> None:
    done = command(hub, "alice", "--json")
    assert json.loads(done.stdout) == {"collections": {"staff": 1}, "enrollments": 1, "events": 1, "questions": 1}
    assert left(hub) == ({"bob": 1}, 0, [None], 0)
    assert command(hub, "alice").exit_code == 3


def test_the_page_erases_the_same(hub: Path) -> None:
    with served_hub(hub) as served:
        status, said = served.post("/page/people/forget", {"subject": "alice"})
    assert (status, said) == (200, {"ok": True, "faces": 2, "events": 1, "questions": 1})
    assert left(hub) == ({"bob": 1}, 0, [None], 0)


def test_the_command_says_in_words_what_was_erased(hub: Path) -> None:
    assert command(hub, "alice").stdout.splitlines() == [
        "staff: 1 faces erased; publish and roll out to erase them on the devices",
        "pending enrollments: 1 changed", "stored events: 1 changed", "review questions: 1 changed",
    ]  # fmt: skip


def test_a_hub_that_only_stores_events_forgets_as_well(tmp_path: Path) -> None:
    put_events(tmp_path)
    gone = json.loads(command(tmp_path, "alice", "--json").stdout)
    assert (gone["collections"], gone["events"]) == ({}, 1)


def test_where_there_is_no_hub_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    assert "edge hub init" in getattr(command(tmp_path, "alice").exception, "hint", "")
