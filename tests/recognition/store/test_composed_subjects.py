"""Names that an older version stored decomposed (macOS) are one subject with the composed name, found by either."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.settings.vision import CollectionSettings
from edge.core.storage import keys
from edge.core.storage import vault as vaults
from edge.core.types import Space
from edge.recognition.store import face_rows
from edge.recognition.store.collections import COMPOSED, Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.users import Users

NAME = "Żaneta Müller"
OLD = unicodedata.normalize("NFD", NAME)
Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]


@pytest.fixture(params=["plain", "encrypted"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "encrypted":
        keys.use(keys.new_key())
        vaults.write_state(tmp_path, next(iter(keys.known())), changing=False)
    yield tmp_path
    keys.use("")


def opened(folder: Path) -> Collections:
    return Collections(folder, CollectionSettings(), maintain=False)


def as_an_older_version_stored_them(folder: Path, vectors: NDArray[np.float32], faces: Faces, space: Space) -> None:
    """Two faces of the decomposed name, of which one belongs to a user, and one of the composed name."""
    with opened(folder) as collections:
        staff = collections.create("staff")
        added = staff.add(faces(vectors, NAME), space)
        users = Users(collections.store, "staff", staff.number)
        users.create("u1")
        users.associate("u1", [added[0].face_id], 0.0)
        with collections.store.writing() as db:
            for face in added[:2]:
                data = db.vault.seal(
                    vectors[added.index(face)].tobytes(), face_rows.VECTOR, staff.number, face.face_id, OLD
                )
                values = (db.vault.name(OLD), data, face.face_id)
                db.execute("UPDATE faces SET subject = ?, vector = ? WHERE face_id = ?", values)
            db.execute("DELETE FROM meta WHERE key = ?", (COMPOSED,))


def test_both_forms_are_one_subject_from_the_first_start_on(
    folder: Path, unit: Units, faces: Faces, space: Space
) -> None:
    vectors = unit(3)
    as_an_older_version_stored_them(folder, vectors, faces, space)
    for _ in range(2):
        with opened(folder) as collections:
            staff = collections.get("staff")
            assert staff.subjects() == {NAME: 3}
            assert [row[0].subject for row in staff.search(vectors, limit=1)] == [NAME] * 3
            assert len(staff.faces(subject=OLD)) == len(staff.faces(subject=NAME)) == 3
            assert len(Users(collections.store, "staff", staff.number).owners(f.face_id for f in staff.faces())) == 1


def test_either_form_deletes_every_face(folder: Path, unit: Units, faces: Faces, space: Space) -> None:
    as_an_older_version_stored_them(folder, unit(3), faces, space)
    with opened(folder) as collections:
        assert len(collections.get("staff").delete_subject(OLD)) == 3
        assert collections.get("staff").count == 0
