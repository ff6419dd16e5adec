from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CollectionSettings, ModelSettings
from edge.core.types import Space
from edge.recognition import extraction as finder
from edge.recognition.enrollment import enroll_images, planned
from edge.recognition.store import audit
from edge.recognition.store import index_builder as building
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]


def test_look_alikes_outliers_and_doubles_are_found(staff: Collection, unit: Units, faces: Faces, space: Space) -> None:
    random = np.random.default_rng(3)
    people = np.linalg.qr(random.standard_normal((32, 32)))[0].astype(np.float32)
    alice = building.turned(people[[0, 0, 0]], 0.8, random)
    bob = building.turned(people[[1, 1, 1]], 0.8, random)
    twin = building.turned(bob[:1], 0.7, random)
    double = building.turned(alice[:1], 0.999, random)
    staff.add(faces(alice, "alice"), space)
    staff.add(faces(bob, "bob", start=10), space)
    staff.add(faces(twin, "twin of bob", start=20), space)
    again = staff.add(faces(double, "alice", start=30), space)[0]
    wrong = staff.add(faces(building.turned(people[1:2], 0.8, random), "alice", start=40), space)[0]

    found = audit.audit(staff, similar=99.3)

    assert (found.faces, found.subjects, found.compared) == (9, 3, 9)
    assert {(pair.subject, pair.other_subject) for pair in found.confusable} <= {
        ("alice", "bob"), ("bob", "alice"), ("bob", "twin of bob"), ("twin of bob", "bob"),
    }  # fmt: skip
    assert any("twin of bob" in (pair.subject, pair.other_subject) for pair in found.confusable)
    assert found.highest == found.confusable[0].likeness == max(pair.likeness for pair in found.confusable)
    assert [face.face_id for face in found.outliers if face.subject == "alice"] == [wrong.face_id]
    assert next(face.nearest for face in found.outliers if face.face_id == wrong.face_id) == "bob"
    assert [again.face_id in (pair.face_id, pair.other_face_id) for pair in found.duplicates] == [True]
    assert found.duplicates[0].similarity == pytest.approx(0.999, abs=1e-3)
    assert found.recall == 1.0


def test_an_empty_collection_has_nothing_doubtful(staff: Collection) -> None:
    found = audit.audit(staff)
    assert (found.faces, found.highest, found.recall, found.confusable) == (0, None, None, ())


def test_a_large_collection_is_sampled_and_says_so(
    staff: Collection, unit: Units, faces: Faces, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SAMPLE", 40)
    monkeypatch.setattr(audit, "NUMBERS", 1000)
    staff.add(faces(unit(300)), space)
    found = audit.audit(staff, similar=0.0)
    assert (found.faces, found.compared) == (300, 40)
    assert found.confusable
    assert found.duplicates == ()


def test_a_weak_index_is_noticed(
    staff: Collection, unit: Units, faces: Faces, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff.add(faces(unit(200)), space)
    monkeypatch.setattr(Collection, "search", lambda self, vectors, limit: [[] for _ in vectors])
    assert audit.audit(staff).recall == 0.0


@pytest.mark.long
def test_a_wrong_picture_and_a_double_are_found_among_real_ones(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "lfw_dev"
    names = json.loads((folder / "split.json").read_text())["gallery_ids"][20:28]
    people = {name: sorted((folder / name).glob("*.jpg")) for name in names}
    for name, paths in people.items():
        (tmp_path / "people" / name).mkdir(parents=True)
        for number, path in enumerate(paths[:4]):
            (tmp_path / "people" / name / f"{number}.jpg").symlink_to(path)
    (tmp_path / "people" / names[0] / "wrong.jpg").symlink_to(people[names[1]][5])
    double = pictures.to_rgb(pictures.read(people[names[2]][0]))
    (tmp_path / "people" / names[2] / "double.jpg").write_bytes(pictures.encode_jpeg(double, 60))
    looks = finder.load(Settings(models=ModelSettings(check=False)), tmp_path, "face")
    with Collections(tmp_path, CollectionSettings()) as collections:
        made = collections.create("real")
        outcomes = {one.path.name: one.face for one in enroll_images(planned(tmp_path / "people", None), looks, made)}
        found = audit.audit(made, looks.embedder.scorer)
    wrong, again = outcomes["wrong.jpg"], outcomes["double.jpg"]
    assert wrong is not None
    assert again is not None
    assert (found.outliers[0].face_id, found.outliers[0].nearest) == (wrong.face_id, names[1])
    assert wrong.face_id in (found.confusable[0].face_id, found.confusable[0].other_face_id)
    assert [again.face_id in (pair.face_id, pair.other_face_id) for pair in found.duplicates] == [True]
