from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.errors import ConflictError, InputError, NotFoundError, SpaceError
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
from edge.recognition.store import annoy_index
from edge.recognition.store import index_manager as upkeep
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]


def test_a_face_is_found_by_the_search_after_it_was_added(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    vectors = unit(10)
    added = staff.add(faces(vectors), space)
    matches = staff.search(vectors[:3], limit=2)
    assert [row[0].subject for row in matches] == ["s0", "s1", "s2"]
    assert [row[0].face_id for row in matches] == [face.face_id for face in added[:3]]
    assert all(len(row) == 2 and row[0].similarity == pytest.approx(1, abs=1e-5) for row in matches)
    assert matches[0][1].similarity == pytest.approx(float(np.sort(vectors[0] @ vectors.T)[-2]), abs=1e-5)


def test_the_same_picture_twice_adds_nothing(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    first = staff.add(faces(unit(5)), space)
    assert staff.add(faces(unit(5)), space) == first
    assert staff.add(faces(unit(5)) * 2, space) == first * 2
    assert staff.count == 5


def test_a_face_that_is_there_keeps_its_subject(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    staff.add(faces(unit(1), "alice"), space)
    assert staff.add(faces(unit(1), "bob"), space)[0].subject == "alice"
    assert staff.subjects() == {"alice": 1}


def test_another_place_picture_or_external_id_is_another_face(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    new = faces(unit(1))[0]
    others = [
        new,
        dataclasses.replace(new, box=Box(0.102, 0.2, 0.3, 0.4)),
        dataclasses.replace(new, image_sha256="ff" * 32),
        dataclasses.replace(new, external_image_id="porch:1"),
    ]
    assert len({face.face_id for face in staff.add(others, space)}) == 4
    barely = dataclasses.replace(new, box=Box(0.10004, 0.2, 0.3, 0.4))
    assert staff.add([barely], space)[0].face_id == staff.add([new], space)[0].face_id
    assert staff.count == 4


def test_face_ids_are_the_same_on_every_device_for_ever(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    assert staff.add(faces(unit(1)), space)[0].face_id == "3853e85d-b894-587e-b3fc-0a4a1d0e35e5"


def test_the_same_face_has_the_same_id_in_two_collections_and_another_in_another_space(
    collections: Collections, unit: Units, faces: Faces, space: Space
) -> None:
    names = ("staff", "guests", "other")
    spaces = (space, space, dataclasses.replace(space, model="6b" * 32))
    ids = [
        collections.create(name).add(faces(unit(1)), one)[0].face_id for name, one in zip(names, spaces, strict=True)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_what_was_stored_comes_back_whole(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    new = dataclasses.replace(faces(unit(1))[0], external_image_id="a:1", box=Box(-0.1, 0, 1.05, 1))
    added = staff.add([new], space)[0]
    assert staff.face(added.face_id) == added
    assert staff.faces() == [added]
    assert (added.subject, added.external_image_id, added.box) == ("s0", "a:1", new.box)
    assert (added.confidence, added.quality, added.origin, added.collection) == (0.9, 0.8, "device", "staff")
    assert abs(added.created - time.time()) < 100
    np.testing.assert_array_equal(staff.vectors([added.face_id]), unit(1))


def test_a_deleted_face_is_never_found_again_and_may_be_enrolled_again(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    added = staff.add(faces(unit(10)), space)
    ids = [face.face_id for face in added]
    assert staff.delete_faces([ids[3], "nobody", ids[3], ids[5]]) == [ids[3], ids[5]]
    assert staff.delete_faces([ids[3]]) == []
    assert {match.face_id for match in staff.search(unit(10)[3:4], 100)[0]} == set(ids) - {ids[3], ids[5]}
    with pytest.raises(NotFoundError):
        staff.face(ids[3])
    assert staff.add(faces(unit(10)), space)[3].face_id == ids[3]
    assert staff.search(unit(10)[3:4], 1)[0][0].face_id == ids[3]


def test_deleting_a_subject_takes_all_its_faces_and_no_other(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    alice = staff.add(faces(unit(3), "alice"), space)
    staff.add(faces(unit(2, seed=1), "bob", start=10), space)
    assert staff.delete_subject("alice") == [face.face_id for face in alice]
    assert staff.subjects() == {"bob": 2}
    assert {match.subject for match in staff.search(unit(1), 10)[0]} == {"bob"}


def test_pages_follow_the_order_of_enrollment_and_survive_deletes(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    ids = [face.face_id for face in staff.add(faces(unit(10)), space)]
    first = [face.face_id for face in staff.faces(limit=4)]
    staff.delete_faces([ids[3], ids[4]])
    second = [face.face_id for face in staff.faces(after=first[-1], limit=4)]
    assert (first, second) == (ids[:4], ids[5:9])
    assert [face.face_id for face in staff.faces(after=ids[8])] == [ids[9]]
    assert [face.subject for face in staff.faces(subject="s7")] == ["s7"]
    with pytest.raises(NotFoundError):
        staff.faces(after="nobody")


def test_embeddings_of_another_space_never_meet(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    staff.add(faces(unit(1)), space)
    other = dataclasses.replace(space, runtime="tflite-runtime")
    for call in (
        lambda: staff.add(faces(unit(1, seed=1), start=5), other),
        lambda: staff.search(unit(1), space=other),
        lambda: staff.check_space(other),
    ):
        with pytest.raises(SpaceError) as refused:
            call()
        assert space.fingerprint in refused.value.message
        assert other.fingerprint in refused.value.message
        assert "enroll the pictures again" in refused.value.hint
    assert staff.count == 1


def test_an_emptied_collection_takes_another_space(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    added = staff.add(faces(unit(3)), space)
    staff.delete_faces([face.face_id for face in added])
    other = dataclasses.replace(space, model="77" * 32, dimensions=8)
    staff.check_space(other)
    staff.add(faces(unit(2, dimensions=8)), other)
    assert staff.space == other.fingerprint
    assert staff.search(unit(2, dimensions=8), 1)[1][0].subject == "s1"
    with pytest.raises(InputError, match=r"shape \(k, 8\)"):
        staff.search(unit(1))


@pytest.mark.parametrize("bad", ["zero", "nan", "dimensions", "long", "subject", "box"])
def test_what_cannot_be_a_face_is_refused_and_its_companions_with_it(
    staff: Collection, unit: Units, faces: Faces, space: Space, bad: str
) -> None:
    new = faces(unit(3))
    value = {
        "zero": {"vector": np.zeros(32, np.float32)},
        "nan": {"vector": np.full(32, np.nan, np.float32)},
        "dimensions": {"vector": unit(1, dimensions=31)[0]},
        "long": {"vector": unit(1)[0] * 2},
        "subject": {"subject": "../x"},
        "box": {"box": Box(0, 0, float("nan"), 1)},
    }[bad]
    new[1] = dataclasses.replace(new[1], **value)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        staff.add(new, space)
    assert staff.count == 0
    assert staff.faces() == []


def test_a_search_of_nothing_and_of_an_empty_collection_is_empty(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    assert staff.search(unit(2)) == [[], []]
    assert staff.add([], space) == []
    staff.add(faces(unit(2)), space)
    assert staff.search(unit(0)) == []
    with pytest.raises(InputError):
        staff.search(unit(1), limit=0)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "é", "a" * 256, "a\n"])
def test_collection_names_follow_the_rule(collections: Collections, name: str) -> None:
    with pytest.raises(InputError):
        collections.create(name)
    assert collections.names() == []


def test_collections_are_made_found_and_deleted(
    collections: Collections, unit: Units, faces: Faces, space: Space
) -> None:
    for name in ("b", "a.b-c_D", "..."):
        collections.create(name)
    assert collections.names() == ["...", "a.b-c_D", "b"]
    with pytest.raises(ConflictError):
        collections.create("b")
    kept = collections.get("b")
    kept.add(faces(unit(3)), space)
    collections.delete("b")
    for call in (lambda: collections.get("b"), lambda: collections.delete("b"), lambda: kept.faces()):
        with pytest.raises(NotFoundError):
            call()
    assert kept.search(unit(1)) == [[]]
    with pytest.raises(NotFoundError):
        kept.add(faces(unit(1)), space)


def test_a_collection_that_was_deleted_and_made_again_is_followed(
    tmp_path: Path, unit: Units, faces: Faces, space: Space
) -> None:
    with Collections(tmp_path, CollectionSettings()) as daemon, Collections(tmp_path, CollectionSettings()) as other:
        watching = daemon.create("staff")
        watching.add(faces(unit(5)), space)
        other.delete("staff")
        assert watching.search(unit(1)) == [[]]
        other.create("staff").add(faces(unit(1, seed=3), "new"), space)
        assert [match.subject for match in watching.search(unit(1), 10)[0]] == ["new"]


def test_a_running_process_sees_what_another_one_enrolls_and_deletes(
    tmp_path: Path, unit: Units, faces: Faces, space: Space
) -> None:
    code = (
        "import sys, pathlib, numpy as np\n"
        "from edge.recognition.store.collections import Collections\n"
        "from edge.recognition.store.face_rows import NewFace\n"
        "from edge.core.settings.vision import CollectionSettings\n"
        "from edge.core.types import Box, Space\n"
        "with Collections(pathlib.Path(sys.argv[1]), CollectionSettings()) as opened:\n"
        "    staff = opened.get('staff')\n"
        "    staff.delete_subject('s0')\n"
        "    vector = np.eye(32, dtype=np.float32)[0]\n"
        "    staff.add([NewFace(vector, 'visitor', 'ab' * 32, Box(0, 0, 1, 1))], Space('5a' * 32, 'litert', 1, 32))\n"
    )
    with Collections(tmp_path, CollectionSettings()) as daemon:
        staff = daemon.create("staff")
        staff.add(faces(unit(3)), space)
        assert staff.count == 3
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        query = np.eye(32, dtype=np.float32)[:1]
        assert staff.search(query, 1)[0][0].subject == "visitor"
        assert {match.subject for match in staff.search(query, 10)[0]} == {"visitor", "s1", "s2"}


def test_a_search_that_finds_nothing_new_reads_no_faces(
    staff: Collection, unit: Units, faces: Faces, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff.add(faces(unit(50)), space)
    read: list[int] = []
    real = upkeep.views.pieces

    def counting(*arguments: object) -> object:
        for piece in real(*arguments):  # type: ignore[arg-type]
            read.append(len(piece[0]))
            yield piece

    monkeypatch.setattr(upkeep.views, "pieces", counting)
    for _ in range(5):
        staff.search(unit(2), 3)
    assert read == []
    staff.add(faces(unit(1, seed=9), start=900), space)
    staff.search(unit(2), 3)
    assert sum(read) == 1


def test_an_index_is_built_in_the_background_when_the_collection_outgrows_exact_search(
    tmp_path: Path, unit: Units, faces: Faces, space: Space
) -> None:
    vectors = unit(800)
    with Collections(tmp_path, CollectionSettings(exact_limit=10_000)) as opened:
        staff = opened.create("staff")
        staff.add(faces(vectors[:300]), space)
        assert staff.state.kind == "exact"
        staff.add(faces(vectors[300:], start=300), space)
        assert staff.search(vectors[700:701], 1)[0][0].subject == "s700"
        wait_for(lambda: staff.state.kind == "annoy")
        assert (staff.state.tail, staff.count) == (0, 800)
        ids = [face.face_id for face in staff.faces(limit=800)]
        staff.delete_faces(ids[:60])
        assert staff.state.gone == 60
        staff.add(faces(unit(10, seed=4), start=5000), space)
        assert staff.state.tail == 10
        staff.delete_faces(ids[60:100])
        wait_for(lambda: staff.state.gone == 0 and staff.state.tail == 0)
        assert staff.count == 710
        assert staff.search(unit(10, seed=4)[:1], 1)[0][0].subject == "s5000"
        staff.delete_faces(ids[100:720])
        wait_for(lambda: staff.state.kind == "exact")
        assert {match.subject for match in staff.search(vectors[:1], 100)[0]} == {
            *(f"s{i}" for i in range(720, 800)),
            *(f"s{i}" for i in range(5000, 5010)),
        }


def test_where_annoy_could_not_be_compiled_every_face_is_compared_and_the_state_says_so(
    tmp_path: Path, unit: Units, faces: Faces, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annoy_index, "installed", lambda: False)
    vectors = unit(400)
    with Collections(tmp_path, CollectionSettings(exact_limit=10_000)) as opened:
        staff = opened.create("staff")
        staff.add(faces(vectors[:300]), space)
        staff.rebuild()
        assert staff.state.trouble == ""

        staff.add(faces(vectors[300:], start=300), space)
        staff.rebuild()
        assert (staff.state.kind, staff.state.trouble) == ("exact", annoy_index.MISSING)
        assert staff.search(vectors[350:351])[0][0].subject == "s350"


def test_an_index_of_another_process_is_taken_over_and_not_built_twice(
    tmp_path: Path, unit: Units, faces: Faces, space: Space
) -> None:
    settings = CollectionSettings(index="annoy")
    with (
        Collections(tmp_path, settings, maintain=False) as daemon,
        Collections(tmp_path, settings, maintain=False) as other,
    ):
        watching = daemon.create("staff")
        other.get("staff").add(faces(unit(300)), space)
        assert (watching.count, watching.state.kind) == (300, "exact")
        other.get("staff").rebuild()
        built = {path.name for path in (tmp_path / "indexes").iterdir()}
        assert watching.upkeep()
        assert watching.state.kind == "annoy"
        assert {path.name for path in (tmp_path / "indexes").iterdir()} == built


def test_an_index_of_a_restored_older_database_is_not_used(
    tmp_path: Path, unit: Units, faces: Faces, space: Space
) -> None:
    settings = CollectionSettings(index="annoy")
    with Collections(tmp_path, settings, maintain=False) as opened:
        opened.create("staff").add(faces(unit(300)), space)
    backup = (tmp_path / "collections.sqlite").read_bytes()
    with Collections(tmp_path, settings, maintain=False) as opened:
        staff = opened.get("staff")
        staff.add(faces(unit(10, seed=1), start=400), space)
        staff.rebuild()
    (tmp_path / "collections.sqlite").write_bytes(backup)
    with Collections(tmp_path, settings, maintain=False) as opened:
        staff = opened.get("staff")
        assert staff.count == 300
        assert "newer than the database" in staff.state.trouble
        assert {match.subject for match in staff.search(unit(1), 400)[0]} == {f"s{i}" for i in range(300)}


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)
