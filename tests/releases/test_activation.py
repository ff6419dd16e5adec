from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rigs.release_simulator import SPACE, some_faces

from edge.core.errors import InputError, ReleaseError, StoreError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, CollectionSettings, LabelSettings
from edge.core.types import Face
from edge.recognition.store import segments
from edge.recognition.store.collections import Collections
from edge.releases import activation as contents
from edge.releases.manifest import ErasedSubject, Release, Segment, ShippedCollection, subject_digest
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState

OTHER = "cd" * 8 + "/litert/p1/4"


@dataclass
class Board:
    """A device's store and slots, with hand-made releases."""

    collections: Collections
    slots: ReleaseStore
    ledger: UpdateState

    def release(self, name: str, *parts: list[tuple[Face, Any]], space: str = SPACE, **changes: Any) -> Release:
        made = []
        for faces in parts:
            data = segments.pack("staff", space, faces)
            digest = hashlib.sha256(data).hexdigest()
            self.slots.blob(digest).write_bytes(data)
            made.append(Segment(digest, len(data), len(faces)))
        shipped = replace(ShippedCollection("staff", space, 4, tuple(made)), **changes)
        return Release(name, 1.79e9, collections=(shipped,))

    def use(self, release: Release) -> dict[str, str]:
        contents.remember_erasures(release, self.ledger)
        renames = contents.prepare(self.collections, release, self.slots, self.ledger)
        contents.swap(self.collections, renames)
        return renames

    def ids(self) -> set[str]:
        return {face.face_id for face in self.collections.get("staff").faces(limit=1000)}


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    slots = ReleaseStore(tmp_path)
    slots.prepare()
    collections = Collections(tmp_path, CollectionSettings(), maintain=False)
    ledger = UpdateState(slots.folder)
    yield Board(collections, slots, ledger)
    collections.close()
    ledger.close()


def enroll(board: Board, faces: list[tuple[Face, Any]]) -> None:
    own = [(replace(face, origin="device"), vector) for face, vector in faces]
    board.collections.get_or_create("staff").merge(own, SPACE, 4)


def ids(faces: list[tuple[Face, Any]]) -> set[str]:
    return {face.face_id for face, _ in faces}


def test_a_segment_reads_back_and_the_same_faces_give_the_same_bytes() -> None:
    faces = some_faces(7)
    data = segments.pack("staff", SPACE, faces)
    assert data == segments.pack("staff", SPACE, faces)
    read = segments.unpack(data, "staff", SPACE, 4, 7)
    assert [face for face, _ in read] == [face for face, _ in faces]
    assert np.array_equal([vector for _, vector in read], [vector for _, vector in faces])


@pytest.mark.parametrize(
    "wanted",
    [("other", SPACE, 4, 7), ("staff", OTHER, 4, 7), ("staff", SPACE, 8, 7), ("staff", SPACE, 4, 6)],
)
def test_a_segment_of_another_collection_space_or_count_is_refused(wanted: tuple[str, str, int, int]) -> None:
    with pytest.raises(InputError, match="segment"):
        segments.unpack(segments.pack("staff", SPACE, some_faces(7)), *wanted)


def test_a_damaged_segment_is_refused_at_every_place() -> None:
    data = segments.pack("staff", SPACE, some_faces(3))
    for cut in range(0, len(data), 7):
        with pytest.raises(InputError):
            segments.unpack(data[:cut], "staff", SPACE, 4, 3)


def test_many_faces_make_several_segments() -> None:
    faces = [(some_faces(1)[0][0], np.ones(512, np.float32) / np.sqrt(np.float32(512)))] * 3000
    assert [len(part) for part in segments.parts(faces)] == [1713, 1287]


def test_faces_of_the_hub_join_those_enrolled_here_and_leave_with_their_release(board: Board) -> None:
    local, first, second = some_faces(2, 1), some_faces(5, 2), some_faces(4, 3)
    enroll(board, local)
    board.use(board.release("r1", first))
    assert board.ids() == ids(local) | ids(first)
    board.use(board.release("r2", first, second))
    assert board.ids() == ids(local) | ids(first) | ids(second)
    board.use(board.release("r1", first))
    assert board.ids() == ids(local) | ids(first)
    contents.withdraw(board.collections)
    assert board.ids() == ids(local)


def test_a_face_that_was_enrolled_here_first_stays_the_device_s_own(board: Board) -> None:
    both = some_faces(1, 1)
    enroll(board, both)
    board.use(board.release("r1", both))
    assert board.collections.get("staff").face(both[0][0].face_id).origin == "device"
    contents.withdraw(board.collections)
    assert board.ids() == ids(both)


def test_a_tombstone_removes_a_face_whoever_enrolled_it(board: Board) -> None:
    faces = some_faces(3)
    enroll(board, faces[:1])
    gone = tuple(face.face_id for face, _ in faces[:2])
    board.use(board.release("r2", faces, tombstones=gone))
    assert board.ids() == ids(faces[2:])


def test_a_forgotten_subject_goes_under_every_face_id_and_may_come_again_later(board: Board) -> None:
    enroll(board, some_faces(2, 5, subject="alice") + some_faces(1, 6, subject="bob"))
    forgotten = ErasedSubject(subject_digest("staff", "alice"), 1.791e9)
    board.use(board.release("r2", some_faces(1, 7), forgotten=(forgotten,)))
    assert board.collections.get("staff").subjects() == {"bob": 1, "p0": 1}
    again = [(replace(face, created=1.792e9), vector) for face, vector in some_faces(1, 8, subject="alice")]
    board.use(board.release("r3", some_faces(1, 7), again, forgotten=(forgotten,)))
    assert board.collections.get("staff").subjects() == {"alice": 1, "bob": 1, "p0": 1}


def test_going_back_does_not_bring_back_who_was_forgotten(board: Board) -> None:
    faces = some_faces(3)
    before = board.release("r1", faces)
    board.use(before)
    board.use(board.release("r2", faces, tombstones=(faces[0][0].face_id,)))
    board.use(before)
    assert board.ids() == ids(faces[1:])


def test_another_space_takes_the_place_in_one_step_and_the_old_faces_wait_for_the_way_back(board: Board) -> None:
    local, old, new = some_faces(2, 1), some_faces(5, 2), some_faces(6, 3)
    enroll(board, local)
    first = board.release("r1", old)
    board.use(first)
    second = board.release("r2", new, space=OTHER)
    renames = contents.prepare(board.collections, second, board.slots, board.ledger)
    assert board.ids() == ids(local) | ids(old)
    assert list(renames) == ["staff"]
    contents.swap(board.collections, renames)
    assert board.collections.get("staff").space == OTHER
    assert board.ids() == ids(new)
    board.use(first)
    assert board.collections.get("staff").space == SPACE
    assert board.ids() == ids(local) | ids(old)


def test_the_way_back_from_another_space_puts_every_collection_back(board: Board) -> None:
    """One collection keeps its space and gains a face, the other changes its space."""
    first, more, other = some_faces(2, 1), some_faces(1, 2), some_faces(2, 3)
    before, after = board.release("r1", first), board.release("r2", first, more)
    doors = board.release("x", other).collections[0]
    moved = board.release("y", other, space=OTHER).collections[0]
    both = replace(before, collections=(*before.collections, _renamed(board, doors)))
    board.use(both)
    board.use(replace(after, collections=(*after.collections, _renamed(board, moved))))
    assert board.ids() == ids(first) | ids(more)
    board.use(both)
    assert board.ids() == ids(first)
    assert board.collections.get("doors").space == SPACE


def _renamed(board: Board, shipped: ShippedCollection) -> ShippedCollection:
    """The same faces as a collection of another name."""
    data = board.slots.blob(shipped.segments[0].sha256).read_bytes()
    faces = segments.unpack(data, "staff", shipped.space, 4, shipped.segments[0].count)
    data = segments.pack("doors", shipped.space, faces)
    digest = hashlib.sha256(data).hexdigest()
    board.slots.blob(digest).write_bytes(data)
    return replace(shipped, name="doors", segments=(Segment(digest, len(data), len(faces)),))


def test_it_may_be_repeated_and_a_damaged_segment_changes_nothing(board: Board) -> None:
    faces = some_faces(5)
    release = board.release("r1", faces)
    board.use(release)
    board.use(release)
    assert board.ids() == ids(faces)
    second = board.release("r2", faces, some_faces(3, 4))
    board.slots.blob(second.collections[0].segments[1].sha256).write_bytes(b"damaged")
    with pytest.raises(StoreError, match="damaged"):
        board.use(second)
    assert board.ids() == ids(faces)


def test_there_is_no_way_back_across_an_erasure(board: Board) -> None:
    faces = some_faces(2)
    for number, name in enumerate(("r1", "r2")):
        board.slots.install(replace(board.release(name, faces), erasure=number))
        board.slots.activate(name, board.slots.current)
    assert board.slots.previous == "r1"
    contents.commit(board.slots, board.ledger)
    assert board.slots.installed() == ["r2"]
    board.slots.install(board.release("r1", faces))
    board.slots.activate("r2", "r1")
    with pytest.raises(ReleaseError, match="older than an erasure"):
        contents.go_back(board.slots, board.ledger, "by hand")
    assert board.slots.current == "r2"


def test_files_that_a_sync_has_just_fetched_stay_when_the_release_before_is_committed(board: Board) -> None:
    board.slots.install(board.release("r1", some_faces(2)))
    board.slots.activate("r1", "")
    fetched = board.release("r2", some_faces(3, 4)).collections[0].segments[0].sha256
    with board.slots.locked():
        contents.commit(board.slots, board.ledger)
        assert board.slots.blob(fetched).exists()
    contents.commit(board.slots, board.ledger)
    assert not board.slots.blob(fetched).exists()


def test_going_back_remembers_what_was_bad(board: Board) -> None:
    for name in ("r1", "r2"):
        board.slots.install(board.release(name, some_faces(2)))
        board.slots.activate(name, board.slots.current)
    assert contents.go_back(board.slots, board.ledger, "too slow") == "r1"
    assert (board.slots.current, board.ledger.bad("r2")) == ("r1", "too slow")
    assert contents.go_back(board.slots, board.ledger, "also bad") == ""
    assert board.slots.current == ""


def test_a_release_replaces_models_in_cameras_and_labels_alike(tmp_path: Path) -> None:
    label, face = (LabelSettings(embedder=name, collection="staff") for name in ("old-embedder", "other"))
    door, yard = (CameraSettings(name=name, detectors=("old", "third")) for name in ("door", "yard"))
    settings = Settings(cameras=(door, yard), labels={"face": label, "cat": face, "dog": LabelSettings()})
    release = Release("r1", 1.79e9, replaces={"old": "new", "old-embedder": "new-embedder"})
    slots = ReleaseStore(tmp_path)
    slots.prepare()
    slots.install(release)
    slots.activate("r1", "")

    changed = contents.settings_of(settings, release, slots.path("r1"))

    assert [camera.detectors for camera in changed.cameras] == [("new", "third")] * 2
    assert [one.embedder for one in changed.labels.values()] == ["new-embedder", "other", ""]
    assert changed.models.path[0] == slots.path("r1") / "models"
    assert contents.in_force(settings, tmp_path) == changed
    assert contents.replaced_models(tmp_path) == release.replaces
