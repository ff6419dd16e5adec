from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.core.errors import InputError, SpaceError, StoreError
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Space
from edge.recognition.store import export as portable
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.export import FACES, MANIFEST, VECTORS
from edge.recognition.store.face_rows import NewFace

Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]
Refused = (InputError, StoreError)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Collection]:
    with Collections(tmp_path / "target", CollectionSettings()) as opened:
        yield opened.create("copy")


@pytest.fixture
def exported(staff: Collection, unit: Units, faces: Faces, space: Space, tmp_path: Path) -> Path:
    new = faces(unit(12))
    new[3] = dataclasses.replace(new[3], external_image_id="a:1", subject=None)
    new[4] = dataclasses.replace(new[4], subject="Zoë 🙂")
    staff.add(new, space)
    portable.export(staff, tmp_path / "staff.edge")
    return tmp_path / "staff.edge"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_exported_comes_back_the_same(
    staff: Collection, exported: Path, target: Collection, tmp_path: Path, kind: str, unit: Units
) -> None:
    if kind == "folder":
        exported = tmp_path / "folder"
        exported.mkdir()
        portable.export(staff, exported)
        assert {path.name for path in exported.iterdir()} == {MANIFEST, FACES, VECTORS}
    assert portable.import_into(target, exported) == portable.ImportReport(12, 12)
    originals = staff.faces()
    assert target.faces() == [dataclasses.replace(face, collection="copy") for face in originals]
    ids = [face.face_id for face in originals]
    np.testing.assert_array_equal(target.vectors(ids), staff.vectors(ids))
    assert target.space == staff.space
    assert target.search(unit(1), 1)[0][0].subject == "s0"


def test_an_import_can_be_repeated_and_merges(
    exported: Path, target: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    target.add(faces(unit(2, seed=1), start=100), space)
    assert portable.import_into(target, exported).added == 12
    target.delete_subject("s0")
    assert portable.import_into(target, exported).added == 1
    assert portable.import_into(target, exported).added == 0
    assert target.count == 14


def test_an_empty_collection_can_travel(collections: Collections, target: Collection, tmp_path: Path) -> None:
    portable.export(collections.create("empty"), tmp_path / "x")
    assert portable.import_into(target, tmp_path / "x") == portable.ImportReport(0, 0)


def test_an_import_into_another_space_is_refused(
    exported: Path, target: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    target.add(faces(unit(1)), dataclasses.replace(space, preprocessing=9))
    with pytest.raises(SpaceError):
        portable.import_into(target, exported)
    assert target.count == 1


def test_an_export_that_cannot_be_written_leaves_nothing(staff: Collection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        portable.export(staff, tmp_path / "file" / "staff.edge")
    assert (tmp_path / "file").read_text() == "x"


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def sealed(files: dict[str, bytes], **manifest: Any) -> dict[str, bytes]:
    """The files with a manifest that agrees with them, and these values changed in it."""
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in (FACES, VECTORS)}
    values = {**json.loads(files[MANIFEST]), "sha256": digests, **manifest}
    return {**files, MANIFEST: json.dumps(values).encode()}


@pytest.mark.parametrize(
    "manifest",
    [
        {"format": "other"}, {"version": 2}, {"version": None}, {"count": 13}, {"count": 11}, {"count": -1},
        {"count": 1e3}, {"count": True}, {"count": 10**30},
        {"dimensions": 0}, {"dimensions": 31}, {"dimensions": 33}, {"dimensions": "32"},
        {"dimensions": 10**9}, {"space": ""}, {"space": None}, {"space": "x" * 300}, {"collection": ""},
        {"collection": 5}, {"sha256": {}}, {"sha256": None}, {"sha256": {FACES: "0", VECTORS: 1}},
        {"sha256": {FACES: "0" * 64, VECTORS: "0" * 64}},
    ],
)  # fmt: skip
def test_a_manifest_that_lies_is_refused(exported: Path, target: Collection, manifest: dict[str, Any]) -> None:
    pack(exported, sealed(parts(exported), **manifest))
    with pytest.raises(InputError) as refused:
        portable.import_into(target, exported)
    assert "not a complete exported collection" in refused.value.message
    assert target.count == 0


@pytest.mark.parametrize(
    "face",
    [
        {"face_id": "../x"}, {"face_id": None}, {"face_id": "A" * 36}, {"image_id": 7},
        {"subject": "../x"}, {"subject": 7}, {"subject": ""}, {"subject": "\ud800"}, {"external_image_id": "a b"},
        {"box": [0, 0, 1, 1]}, {"box": {"left": 0}},
        {"box": {"left": float("nan"), "top": 0, "right": 1, "bottom": 1}}, {"confidence": float("inf")},
        {"quality": 2}, {"quality": True}, {"created": -1}, {"created": 10**400},
        {"origin": "elsewhere"}, {"origin": []},
    ],
)  # fmt: skip
def test_a_face_that_breaks_a_rule_is_refused_and_no_other_is_stored(
    exported: Path, target: Collection, face: dict[str, Any]
) -> None:
    files = parts(exported)
    lines = files[FACES].splitlines()
    lines[5] = json.dumps({**json.loads(lines[5]), **face}).encode()
    pack(exported, sealed({**files, FACES: b"\n".join(lines) + b"\n"}))
    with pytest.raises(InputError):
        portable.import_into(target, exported)
    assert target.count == 0


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b"{", b"7", b"[" * 8000, b"9" * 8000, b'{"face_id": "' + b"a" * 20_000 + b'"}', b"\xff"],
)
def test_a_line_that_is_no_face_is_refused(exported: Path, target: Collection, line: bytes) -> None:
    files = parts(exported)
    lines = files[FACES].splitlines()
    pack(exported, sealed({**files, FACES: b"\n".join([*lines[:11], line]) + b"\n"}))
    with pytest.raises(InputError):
        portable.import_into(target, exported)
    assert target.count == 0


@pytest.mark.parametrize("value", [0.0, 3.0, float("nan"), float("inf")])
def test_an_embedding_that_is_not_a_unit_vector_is_refused(exported: Path, target: Collection, value: float) -> None:
    files = parts(exported)
    vectors = np.frombuffer(files[VECTORS], "<f4").copy()
    vectors[40] = value
    vectors[32:40] *= 2
    pack(exported, sealed({**files, VECTORS: vectors.tobytes()}))
    with pytest.raises(InputError, match="in faces 1 to 12"):
        portable.import_into(target, exported)
    assert target.count == 0


def test_parts_that_are_missing_doubled_compressed_or_longer_than_told_are_refused(
    exported: Path, target: Collection
) -> None:
    files = parts(exported)
    bad = [
        {name: data for name, data in files.items() if name != gone} for gone in (MANIFEST, FACES, VECTORS)
    ]  # fmt: skip
    bad.append(sealed({**files, VECTORS: files[VECTORS] + bytes(4)}))
    bad.append(sealed({**files, FACES: files[FACES] + files[FACES]}))
    bad.append({**files, MANIFEST: b" " * (portable.MOST_MANIFEST + 1)})
    bad.append({**files, MANIFEST: b"[" * 60_000})
    for broken in bad:
        with pytest.raises(InputError):
            portable.import_into(target, pack(exported, broken))
    with pytest.raises(InputError, match="compressed"):
        portable.import_into(target, pack(exported, files, zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match="no such file"):
        portable.import_into(target, exported.parent / "nowhere")
    assert target.count == 0
    assert portable.import_into(target, pack(exported, files)).added == 12


def test_nothing_is_unpacked_to_disk(exported: Path, target: Collection, tmp_path: Path) -> None:
    before = {path for path in tmp_path.rglob("*") if "target" not in path.parts}
    pack(exported, {**parts(exported), "../../evil": b"x", "/etc/evil": b"x"})
    assert portable.import_into(target, exported).added == 12
    assert {path for path in tmp_path.rglob("*") if "target" not in path.parts} == before


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.sampled_from(["flip", "cut", "double"]), st.integers(0, 10**9), st.integers(1, 255)),
        min_size=1,
        max_size=6,
    )
)
def test_a_mangled_file_ends_in_a_clear_error_or_the_same_faces(
    exported: Path, target: Collection, edits: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    data = bytearray(exported.read_bytes())
    for kind, place, value in edits:
        at = place % max(1, len(data))
        if kind == "flip" and data:
            data[at] ^= value
        elif kind == "cut":
            del data[at : at + value]
        else:
            data[at:at] = data[at : at + value]
    mangled = tmp_path / "mangled"
    mangled.write_bytes(bytes(data))
    try:
        done = portable.import_into(target, mangled)
    except Refused as error:
        assert error.hint  # noqa: PT017
    else:
        assert done.read == 12
    assert target.count in (0, 12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), member=st.sampled_from([MANIFEST, FACES, VECTORS, "whole"]))
def test_random_bytes_end_in_a_clear_error(
    exported: Path, target: Collection, data: bytes, member: str, tmp_path: Path
) -> None:
    path = tmp_path / "random"
    if member == "whole":
        path.write_bytes(data)
    else:
        buffer = io.BytesIO()
        files = {**parts(exported), member: data}
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in (files if member == MANIFEST else sealed(files)).items():
                archive.writestr(name, content)
        path.write_bytes(buffer.getvalue())
    with pytest.raises(Refused):
        portable.import_into(target, path)
    assert target.count == 0
