from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.errors import StoreError
from edge.core.settings.vision import CollectionSettings
from edge.core.storage import files
from edge.core.types import Space
from edge.recognition.store import annoy_index as index
from edge.recognition.store import index_builder as building
from edge.recognition.store.annoy_index import IndexManifest
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.index_builder import IndexSource

Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]
D = 32


def source(vectors: NDArray[np.float32]) -> IndexSource:
    def pieces() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for start in range(0, len(vectors), 500):
            piece = vectors[start : start + 500]
            yield np.arange(start, start + len(piece), dtype=np.int64) * 3 + 1, piece

    return IndexSource("store", 1, "space", vectors.shape[1], 3 * len(vectors), 0, pieces)


@pytest.fixture
def built(tmp_path: Path, unit: Units) -> IndexManifest:
    return building.build(tmp_path, source(unit(1200)), 0.99)


def test_an_index_reaches_the_recall_that_was_asked_for(tmp_path: Path, unit: Units) -> None:
    vectors = unit(3000)
    manifest = building.build(tmp_path, source(vectors), 0.99)
    assert manifest.recall >= 0.99
    assert (manifest.count, manifest.dimensions, manifest.probes) == (3000, D, building.PROBES)
    loaded = index.load(tmp_path, manifest)
    probes = building.turned(vectors[:300], 0.6, np.random.default_rng(9))
    truth = (probes @ vectors.T).argmax(axis=1).tolist()
    right = [loaded.nearest(probe, 1)[0] == [best] for probe, best in zip(probes.tolist(), truth, strict=True)]
    assert np.mean(right) >= 0.97


def test_full_recall_is_reached_by_looking_at_everything(tmp_path: Path, unit: Units) -> None:
    assert building.build(tmp_path, source(unit(1500)), 1.0).recall == 1.0


def test_positions_lead_to_rows_and_distances_to_cosines(tmp_path: Path, built: IndexManifest, unit: Units) -> None:
    loaded = index.load(tmp_path, built)
    query = unit(1200)[77]
    positions, cosines = loaded.nearest(query.tolist(), 5)
    assert positions[0] == 77
    assert loaded.rows[positions[0]] == 77 * 3 + 1
    np.testing.assert_allclose(cosines, unit(1200)[positions] @ query, atol=1e-5)


def test_the_same_faces_make_the_same_file(tmp_path: Path, unit: Units) -> None:
    first = building.build(tmp_path / "a", source(unit(400)), 0.99)
    second = building.build(tmp_path / "b", source(unit(400)), 0.99)
    assert first.tree_sha256 == second.tree_sha256


def test_a_new_index_leaves_nothing_of_the_old_one_or_of_interrupted_builds(
    tmp_path: Path, built: IndexManifest, unit: Units
) -> None:
    loaded = index.load(tmp_path, built)
    for name in (".1-dead.annoy", "1-dead.rows", ".1-dead.rows.x7"):
        (tmp_path / name).write_bytes(b"left")
    (tmp_path / "11-other.annoy").write_bytes(b"of another collection")
    again = building.build(tmp_path, source(unit(50)), 0.99)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"1.json", again.tree_file, again.row_file, "11-other.annoy"}
    assert loaded.nearest(unit(1200)[5].tolist(), 1)[0] == [5]


@pytest.mark.parametrize("part", ["tree_file", "row_file"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "empty"])
def test_a_file_that_is_not_the_manifests_is_never_mapped(
    tmp_path: Path, built: IndexManifest, part: str, damage: str
) -> None:
    path = tmp_path / getattr(built, part)
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    elif damage == "cut":
        path.write_bytes(bytes(data[: len(data) // 2]))
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    with pytest.raises(StoreError):
        index.load(tmp_path, built)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"annoy": "0.0"}, {"machine": "vax"}, {"count": 7}, {"tree_file": "../1.annoy"},
        {"tree_file": "/etc/passwd"}, {"dimensions": 33}, {"row_sha256": "0" * 64},
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_is_refused(
    tmp_path: Path, built: IndexManifest, change: dict[str, object]
) -> None:
    with pytest.raises(StoreError):
        index.load(tmp_path, dataclasses.replace(built, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"format": 1}', "[" * 100_000, "\xff", '{"format": 1, "more": 2}']
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "1.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError):
        index.read_manifest(tmp_path, 1)


def test_a_manifest_with_a_value_of_another_type_is_refused(tmp_path: Path, built: IndexManifest) -> None:
    for field in dataclasses.fields(IndexManifest):
        values = {**dataclasses.asdict(built), field.name: None}
        (tmp_path / "1.json").write_text(json.dumps(values))
        with pytest.raises(StoreError, match=field.name):
            index.read_manifest(tmp_path, 1)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "manifest", "swapped"])
def test_a_collection_with_a_damaged_index_answers_exactly_says_why_and_builds_again(
    tmp_path: Path, damage: str, unit: Units, faces: Faces, space: Space, caplog: pytest.LogCaptureFixture
) -> None:
    vectors, settings = unit(400), CollectionSettings(index="annoy")
    with Collections(tmp_path, settings, maintain=False) as opened:
        staff = opened.create("staff")
        staff.add(faces(vectors), space)
        staff.rebuild()
        assert staff.state.kind == "annoy"
        expected = staff.search(vectors[:20], 3)
    folder = tmp_path / "indexes"
    tree = next(folder.glob("*.annoy"))
    if damage == "manifest":
        (folder / "1.json").write_text("{}")
    elif damage == "swapped":
        files.write_bytes(tree, b"x" * tree.stat().st_size)
    elif damage == "gone":
        tree.unlink()
    else:
        data = bytearray(tree.read_bytes())
        data[1000] ^= 4
        tree.write_bytes(bytes(data[:-100] if damage == "cut" else data))
    with Collections(tmp_path, settings, maintain=False) as opened:
        staff = opened.get("staff")
        found = staff.search(vectors[:20], 3)
        assert staff.state.kind == "exact"
        assert staff.state.trouble
        assert "search is exact until it is rebuilt" in caplog.text
        assert [[m.face_id for m in row] for row in found] == [[m.face_id for m in row] for row in expected]
        assert staff.upkeep()
        assert (staff.state.kind, staff.state.trouble) == ("annoy", "")
        assert [row[0].face_id for row in staff.search(vectors[:20], 3)] == [row[0].face_id for row in expected]
