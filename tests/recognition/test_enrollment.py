from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.errors import InputError, SettingsError, SpaceError
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CollectionSettings, ModelSettings
from edge.core.storage import files
from edge.core.types import Box, Detection, Space
from edge.recognition import enrollment as enroll
from edge.recognition import extraction as finder
from edge.recognition.enrollment import Enroller, Outcome, enroll_images, planned
from edge.recognition.extraction import FaceExtractor
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace, from_new

Units = Callable[..., np.ndarray]
DETECTOR, EMBEDDER = "ulffd-landmark-320", "mobilefacenet-112-int8"


@pytest.fixture(scope="module")
def faces(shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceExtractor:
    settings = Settings(models=ModelSettings(path=(shared_models,), check=False))
    return finder.load(settings, tmp_path_factory.mktemp("state"), "face", [DETECTOR], EMBEDDER)


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with Collections(tmp_path / "state", CollectionSettings()) as opened:
        yield opened.create("cast")


@pytest.fixture
def gallery(shared_data: Path) -> Path:
    return shared_data / "tv_cast" / "gallery"


def run(path: Path, subject: str | None, faces: FaceExtractor, collection: Collection) -> list[Outcome]:
    return list(enroll_images(planned(path, subject), faces, collection))


def test_a_folder_with_a_folder_a_subject_is_enrolled_whole_and_once(
    gallery: Path, faces: FaceExtractor, collection: Collection
) -> None:
    outcomes = run(gallery, None, faces, collection)
    assert [outcome.status for outcome in outcomes] == ["added"] * 40
    assert collection.subjects() == {path.name: 5 for path in sorted(gallery.iterdir())}
    again = run(gallery, None, faces, collection)
    assert [outcome.status for outcome in again] == ["already_there"] * 40
    assert [outcome.face for outcome in again] == [outcome.face for outcome in outcomes]
    assert collection.count == 40


def test_a_bad_picture_never_stops_the_run_and_says_why(
    gallery: Path, faces: FaceExtractor, collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    (folder / "amy" / "2024").mkdir(parents=True)
    good = (gallery / "amy" / "amy1.png").read_bytes()
    (folder / "amy" / "2024" / "z-good.png").write_bytes(good)
    (folder / "amy" / "a-empty.png").write_bytes(b"")
    (folder / "amy" / "b-cut.png").write_bytes(good[: len(good) // 2])
    (folder / "amy" / "c-text.jpg").write_text("not a picture")
    (folder / "amy" / ".hidden.png").write_bytes(good)
    cv2.imwrite(str(folder / "amy" / "d-gray.png"), np.full((300, 300, 3), 128, np.uint8))
    small = cv2.resize(cv2.imread(str(gallery / "amy" / "amy2.png")), (24, 24))
    canvas = np.full((480, 640, 3), 90, np.uint8)
    canvas[100:124, 100:124] = small
    cv2.imwrite(str(folder / "amy" / "e-small.png"), canvas)
    blurred = cv2.GaussianBlur(cv2.imread(str(gallery / "amy" / "amy3.png")), (0, 0), 9)
    cv2.imwrite(str(folder / "amy" / "f-blurred.png"), blurred)
    (folder / "loose.png").write_bytes(good)
    (folder / "bad\nname").mkdir()
    (folder / "bad\nname" / "x.png").write_bytes(good)

    outcomes = run(folder, None, faces, collection)

    reasons = {outcome.path.name: outcome.reason for outcome in outcomes}
    assert reasons.pop("e-small.png") in ("no_face", "too_small")
    assert reasons.pop("f-blurred.png") in ("no_face", "blurred")
    assert reasons == {
        "z-good.png": "", "a-empty.png": "empty", "b-cut.png": "truncated", "c-text.jpg": "unsupported",
        "d-gray.png": "no_face", "loose.png": "no_subject", "x.png": "subject",
    }  # fmt: skip
    assert all(outcome.message for outcome in outcomes if outcome.status == "skipped")
    assert collection.subjects() == {"amy": 1}


def test_one_picture_of_two_people_is_not_relabeled(
    gallery: Path, faces: FaceExtractor, collection: Collection
) -> None:
    picture = gallery / "amy" / "amy1.png"
    assert run(picture, "amy", faces, collection)[0].status == "added"
    second = run(picture, "penny", faces, collection)[0]
    assert second.status == "already_there"
    assert second.face is not None
    assert second.face.subject == "amy"


def test_the_same_picture_under_two_names_is_one_face(
    gallery: Path, faces: FaceExtractor, collection: Collection, tmp_path: Path
) -> None:
    for name in ("one.png", "two.png"):
        shutil.copy(gallery / "raj" / "raj1.png", tmp_path / name)
    assert run(tmp_path / "one.png", "raj", faces, collection)[0].status == "added"
    assert run(tmp_path / "two.png", "raj", faces, collection)[0].status == "already_there"


def test_a_group_photo_enrolls_its_largest_face_and_counts_the_others(
    shared_data: Path, faces: FaceExtractor, collection: Collection
) -> None:
    picture = shared_data / "tv_cast" / "group" / "bbt4.jpg"
    outcome = run(picture, "leonard", faces, collection)[0]
    assert (outcome.status, outcome.others) == ("added", 5)
    assert outcome.face is not None
    assert outcome.face.box is not None
    detections = faces.detect(pictures.read(picture))
    assert outcome.face.box.area == pytest.approx(max(one.box.area for one in detections))


def test_of_two_equal_faces_the_middle_one_is_meant() -> None:
    aside = Detection("face", 0.9, Box(0.0, 0.0, 0.2, 0.2))
    middle = Detection("face", 0.8, Box(0.4, 0.4, 0.6, 0.6))
    assert enroll.best([aside, middle]) is middle
    assert enroll.best([dataclasses.replace(aside, box=Box(0, 0, 0.6, 0.6)), middle]).box.right == 0.6


@pytest.mark.parametrize("subject", ["../x", "", "a" * 10_000, "a/b", "x\0"])
def test_a_subject_that_breaks_the_rule_is_refused_before_anything_is_read(tmp_path: Path, subject: str) -> None:
    with pytest.raises(InputError, match="1 to 255 characters"):
        planned(tmp_path, subject)


def test_a_file_needs_a_subject_and_a_path_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"x")
    with pytest.raises(InputError, match="no subject is given"):
        planned(tmp_path / "x.png", None)
    with pytest.raises(InputError, match="no such file"):
        planned(tmp_path / "y.png", "alice")


def test_decomposed_and_composed_folder_names_are_one_subject(tmp_path: Path) -> None:
    for number, name in enumerate(("Zo\u00eb", "Zoe\u0308")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{number}.png").write_bytes(b"x")
    assert {one.subject for one in planned(tmp_path, None)} == {"Zo\u00eb"}


def test_linked_folders_are_followed_and_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "album" / "amy").mkdir(parents=True)
    (tmp_path / "album" / "amy" / "1.png").write_bytes(b"x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "amy").symlink_to(tmp_path / "album" / "amy")
    (tmp_path / "album" / "amy" / "up").symlink_to(tmp_path / "photos")
    assert [(one.path.name, one.subject) for one in planned(tmp_path / "photos", None)] == [("1.png", "amy")]


def test_a_collection_of_another_space_is_refused_before_the_first_picture(
    gallery: Path, faces: FaceExtractor, collection: Collection
) -> None:
    run(gallery / "amy" / "amy1.png", "amy", faces, collection)
    own = faces.embedder.space
    faces.embedder.space = dataclasses.replace(own, runtime="another")
    try:
        with pytest.raises(SpaceError, match="expected embeddings of"):
            run(gallery, None, faces, collection)
    finally:
        faces.embedder.space = own
    assert collection.count == 1


def test_what_is_stored_is_what_the_models_saw(gallery: Path, faces: FaceExtractor, collection: Collection) -> None:
    picture = gallery / "howard" / "howard2.png"
    face = run(picture, "howard", faces, collection)[0].face
    assert face is not None
    read = pictures.read(picture)
    seen = faces.embed(read, faces.detect(read)[:1])[0]
    assert seen.embedding is not None
    np.testing.assert_array_equal(collection.vectors([face.face_id])[0], seen.embedding.vector)
    assert (face.box, face.confidence, face.quality) == (seen.detection.box, seen.detection.score, seen.quality.score)
    assert face.image_id
    assert files.sha256(picture) not in face.face_id


def test_a_label_that_nothing_finds_or_embeds_is_refused(shared_models: Path, tmp_path: Path) -> None:
    settings = Settings(models=ModelSettings(path=(shared_models,), check=False))
    with pytest.raises(SettingsError, match="no embedder"):
        finder.load(settings, tmp_path, "car", [DETECTOR])
    with pytest.raises(SettingsError, match="finds 'car'"):
        finder.load(settings, tmp_path, "car", [DETECTOR], EMBEDDER)


def test_a_subject_is_known_to_rekognition_programs_by_its_name(staff: Collection, space: Space, unit: Units) -> None:
    one, two, three = faces_of(unit, "alice", 3)
    assert Enroller(staff).add(one, space).face.external_image_id == "alice"
    spaced = Enroller(staff).add(dataclasses.replace(two, subject="Anne Marie"), space)
    assert spaced.face.external_image_id is None
    users = staff.users()
    users.create("alice")
    added = Enroller(staff).add(three, space)
    assert added.added
    assert users.owners([added.face.face_id]) == {added.face.face_id: "alice"}


def test_a_face_joins_the_user_and_the_external_id_of_the_subjects_other_faces(
    staff: Collection, space: Space, unit: Units
) -> None:
    one, two = faces_of(unit, "grace", 2)
    (indexed,) = Enroller(staff).add_indexed([dataclasses.replace(one, external_image_id="badge:17")], space)
    users = staff.users()
    users.create("employee-17")
    users.associate("employee-17", [indexed.face_id])
    added = Enroller(staff).add(two, space).face
    assert added.external_image_id == "badge:17"
    assert users.owners([added.face_id]) == {added.face_id: "employee-17"}


def test_a_picture_that_an_older_version_enrolled_without_an_external_id_is_not_added_again(
    staff: Collection, space: Space, unit: Units
) -> None:
    (one,) = faces_of(unit, "alice", 1)
    (old,) = staff.add([one], space)
    again = Enroller(staff).add(one, space)
    assert (again.added, again.face, staff.count) == (False, old, 1)


def test_a_face_of_another_device_keeps_its_face_id_and_gets_the_name(
    staff: Collection, space: Space, unit: Units
) -> None:
    (one,) = faces_of(unit, "alice", 1)
    face = from_new("staff", space.fingerprint, one)
    adopted = Enroller(staff).adopt(face, one.vector, space.fingerprint)
    assert (adopted.face_id, adopted.external_image_id) == (face.face_id, "alice")


def faces_of(unit: Units, subject: str, count: int) -> list[NewFace]:
    return [
        NewFace(vector, subject, f"{number:02}" * 32, Box(0.1, 0.1, 0.5, 0.5))
        for number, vector in enumerate(unit(count))
    ]
