"""What the owner may take over of a device's enrolments, and what is held back."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.errors import NotFoundError
from edge.core.settings.schema import Settings
from edge.core.types import Box, Face
from edge.hub.erasure import publisher
from edge.hub.publishing import draft as drafts
from edge.hub.publishing.enrollments import FILE, PendingEnrollments, accept, judge
from edge.hub.publishing.publisher import ReleasePublisher
from edge.recognition.enrollment_export import EnrollmentPage
from edge.recognition.store.face_rows import NewFace, from_new
from edge.releases.manifest import ErasedSubject, ShippedCollection, subject_digest

SPACE, D = "ab" * 8 + "/litert/p1/8", 8


def unit(number: int) -> NDArray[np.float32]:
    vector = np.zeros(D, np.float32)
    vector[number] = 1.0
    return vector


def entry(subject: str, vector: NDArray[np.float32], name: str = "") -> tuple[Face, NDArray[np.float32]]:
    sha256 = hashlib.sha256((name or subject).encode()).hexdigest()
    return from_new("faces", SPACE, NewFace(vector, subject, sha256, Box(0, 0, 1, 1), 0.9, 0.8)), vector


def a_page(*entries: tuple[Face, NDArray[np.float32]], space: str = SPACE) -> EnrollmentPage:
    return EnrollmentPage("faces", list(entries), space, "x", more=False)


@pytest.fixture
def desk(tmp_path: Path) -> ReleasePublisher:
    desk = ReleasePublisher(tmp_path / "hub", Settings())
    desk.repository.init()
    return desk


@pytest.fixture
def waiting(desk: ReleasePublisher) -> Iterator[PendingEnrollments]:
    with closing(PendingEnrollments(desk.private)) as one:
        yield one


def subjects(desk: ReleasePublisher) -> dict[str, int]:
    with desk.collections() as collections:
        return collections.get("faces").subjects() if "faces" in collections else {}


def test_what_is_accepted_is_in_the_next_release_once_and_waits_no_more(
    desk: ReleasePublisher, waiting: PendingEnrollments
) -> None:
    page = a_page(entry("alice", unit(0)), entry("bob", unit(1)))
    assert waiting.take("porch", "", page) == 2
    assert accept(desk, waiting, waiting.waiting(), "face") == []
    assert waiting.waiting() == []
    # the same faces from another device, and from the same one again: decided is decided, and once is once
    assert waiting.take("porch", "", page) == 0
    assert waiting.take("hall", "", page) == 2
    assert accept(desk, waiting, waiting.waiting(), "face") == []
    assert subjects(desk) == {"alice": 1, "bob": 1}
    published = desk.publish(dry=True).release
    assert (published.labels, published.collections[0].count) == ({"face": "faces"}, 2)
    assert waiting.place("porch", "") == "x"


def test_another_s_face_under_a_name_is_held_back_until_it_is_forced(
    desk: ReleasePublisher, waiting: PendingEnrollments
) -> None:
    waiting.take("porch", "", a_page(entry("alice", unit(0)), entry("bob", unit(1))))
    accept(desk, waiting, waiting.waiting(), "face")
    waiting.take("hall", "", a_page(entry("alice", unit(1), "forged")))
    (one,) = waiting.waiting()
    (judged,) = judge(desk, [one], "face")
    assert "nothing like alice" in judged.harm
    assert accept(desk, waiting, [one], "face") == [judged]
    assert subjects(desk) == {"alice": 1, "bob": 1}
    assert accept(desk, waiting, [one], "face", force=True) == []
    assert subjects(desk) == {"alice": 2, "bob": 1}


def test_whom_the_fleet_has_forgotten_since_does_not_come_back_not_even_by_force(
    desk: ReleasePublisher, waiting: PendingEnrollments
) -> None:
    draft = desk.draft()
    stone = ErasedSubject(subject_digest("faces", "alice"), time.time() + 10)
    draft.put(ShippedCollection("faces", SPACE, D, forgotten=(stone,)))
    drafts.write(desk.private, draft)
    face, vector = entry("alice", unit(0))
    later = replace(face, face_id="0" * 8 + face.face_id[8:], created=stone.time + 1)
    waiting.take("porch", "", a_page((face, vector), (later, vector)))
    (left,) = accept(desk, waiting, waiting.waiting(), "face", force=True)
    assert "erased" in left.harm
    assert left.one.face.face_id == face.face_id
    assert subjects(desk) == {"alice": 1}


def test_of_another_embedder_nothing_is_taken(desk: ReleasePublisher, waiting: PendingEnrollments) -> None:
    waiting.take("porch", "", a_page(entry("alice", unit(0))))
    accept(desk, waiting, waiting.waiting(), "face")
    waiting.take("hall", "", a_page(entry("bob", unit(1)), space="cd" * 8 + "/litert/p1/8"))
    (left,) = accept(desk, waiting, waiting.waiting(), "face")
    assert "its embedding space is" in left.harm


def test_what_was_dropped_or_forgotten_leaves_neither_name_nor_embedding(
    desk: ReleasePublisher, waiting: PendingEnrollments
) -> None:
    vector = np.random.default_rng(3).standard_normal(D).astype(np.float32)
    vector /= np.linalg.norm(vector)
    waiting.take("porch", "", a_page(entry("a visitor", vector), entry("somebody", unit(2))))
    waiting.decide([one.number for one in waiting.waiting() if one.face.subject == "a visitor"], "dropped")
    assert desk.forget("somebody") == {"waiting enrolments": 1}
    assert waiting.waiting() == []
    waiting.close()
    path = desk.private / FILE
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    assert b"visitor" not in data
    assert b"somebody" not in data
    assert vector.tobytes() not in data


def test_who_is_forgotten_by_a_device_does_not_wait_for_the_fleet_either(
    desk: ReleasePublisher, waiting: PendingEnrollments, tmp_path: Path
) -> None:
    waiting.take("porch", "", a_page(entry("alice", unit(0)), entry("bob", unit(1))))
    accept(desk, waiting, waiting.waiting()[1:], "face")
    waiting.take("hall", "", a_page(entry("bob", unit(1)), entry("carol", unit(2))))
    published = publisher(Settings(), tmp_path)
    assert published is not None
    published(lambda subject: subject in ("alice", "bob"))
    assert subjects(desk) == {}
    assert [one.face.subject for one in waiting.waiting()] == ["carol"]


def test_who_is_forgotten_while_a_release_is_proved_stays_forgotten(
    desk: ReleasePublisher, waiting: PendingEnrollments
) -> None:
    waiting.take("porch", "", a_page(entry("alice", unit(0)), entry("bob", unit(1))))
    accept(desk, waiting, waiting.waiting(), "face")
    desk.publish(dry=True)
    with mock.patch("edge.hub.publishing.probes.prove"):
        desk.publish()

    def meanwhile(*_: object) -> None:
        ReleasePublisher(desk.folder, desk.settings).forget("alice")

    waiting.take("hall", "", a_page(entry("carol", unit(2))))
    accept(desk, waiting, waiting.waiting(), "face")
    with mock.patch("edge.hub.publishing.probes.prove", meanwhile):
        desk.publish()
    draft = desk.draft().collection("faces")
    assert draft is not None
    assert [one.digest for one in draft.forgotten] == [subject_digest("faces", "alice")]
    with mock.patch("edge.hub.publishing.probes.prove"):
        after = desk.publish().release
    assert (after.erasure, after.collections[0].count) == (1, 2)


def test_two_who_change_the_draft_at_once_both_have_changed_it(tmp_path: Path) -> None:
    def change(number: int) -> None:
        with drafts.changing(tmp_path) as draft:
            draft.use("faces", f"label{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(40)))
    assert len(drafts.read(tmp_path).release.labels) == 40


def test_a_label_that_is_not_set_is_refused_before_anything_is_taken(
    desk: ReleasePublisher, waiting: PendingEnrollments
) -> None:
    waiting.take("porch", "", a_page(entry("alice", unit(0))))
    with pytest.raises(NotFoundError, match="label"):
        accept(desk, waiting, waiting.waiting(), "dog")
    assert len(waiting.waiting()) == 1
