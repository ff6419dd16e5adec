"""``edge enroll``, ``edge search`` and ``edge collection``, run as a person runs them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.cli import main as cli
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

Run = Callable[..., "Done"]
MODELS = ["--detector", "ulffd-landmark-320", "--embedder", "mobilefacenet-112-int8"]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "edge"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The console script, in this process: a start costs seconds on a busy machine."""

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        code = cli.run([str(one) for one in arguments])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def staff(state: Path) -> Path:
    """A collection ``staff`` of four faces of two subjects."""
    space = Space("ab" * 32, "litert", 1, 8)
    with Collections(state, CollectionSettings()) as opened:
        new = [
            NewFace(vector, name, f"{i:064x}", Box(0, 0, 1, 1), 0.9, 0.8123456)
            for i, (vector, name) in enumerate(
                zip(np.eye(8, dtype=np.float32), ["alice", "alice", "bob", "🙂"], strict=False)
            )
        ]
        opened.create("staff").add(new, space)
    return state


def document(done: Done) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_collections_are_made_listed_shown_and_deleted(edge: Run, staff: Path) -> None:
    assert document(edge("collection", "create", "visitors", "--json"))["faces"] == 0
    listed = document(edge("collection", "list", "--json"))["collections"]
    assert [(one["name"], one["faces"], one["subjects"]) for one in listed] == [("staff", 4, 3), ("visitors", 0, 0)]
    shown = document(edge("collection", "show", "staff", "--faces", "--json"))
    assert shown["names"] == {"alice": 2, "bob": 1, "🙂": 1}
    assert [face["subject"] for face in shown["list"]] == ["alice", "alice", "bob", "🙂"]
    assert shown["index"]["kind"] == "exact"
    table = edge("collection", "show", "staff", "--faces").stdout.splitlines()
    assert [line.split()[1:3] for line in table[3:5]] == [["subject", "quality"], ["alice", "0.812"]]
    deleted = document(edge("collection", "delete", "staff", "--subject", "alice", "--json"))["deleted"]
    assert deleted == [face["face_id"] for face in shown["list"][:2]]
    assert edge("collection", "delete", "staff", "--subject", "alice").returncode == 3
    assert len(document(edge("collection", "delete", "staff", "--yes", "--json"))["deleted"]) == 2
    gone = edge("collection", "show", "staff")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr.splitlines()[0].startswith("error: collection 'staff' does not exist")
    assert gone.stderr.splitlines()[1].startswith("try: ")


def test_nothing_is_deleted_without_a_yes(edge: Run, staff: Path) -> None:
    assert edge("collection", "delete", "staff").returncode not in (0, 3)
    assert document(edge("collection", "show", "staff", "--json"))["faces"] == 4


def test_an_export_is_imported_under_another_name(edge: Run, staff: Path, tmp_path: Path) -> None:
    assert document(edge("collection", "export", "staff", tmp_path / "x.edge", "--json"))["count"] == 4
    copied = document(edge("collection", "import", tmp_path / "x.edge", "--name", "copy", "--json"))
    assert copied == {"collection": "copy", "read": 4, "added": 4}
    (tmp_path / "x.edge").write_bytes((tmp_path / "x.edge").read_bytes()[:-60])
    broken = edge("collection", "import", tmp_path / "x.edge", "--name", "third")
    assert broken.returncode == 1
    assert "not a complete exported collection" in broken.stderr
    assert "Traceback" not in broken.stderr
    assert [one["name"] for one in document(edge("collection", "list", "--json"))["collections"]] == ["copy", "staff"]


def test_an_audit_answers_in_words_and_in_json(edge: Run, staff: Path) -> None:
    assert document(edge("collection", "audit", "staff", "--similar", "2", "--json"))["recall"] == 1.0
    assert "4 faces of 3 subjects" in edge("collection", "audit", "staff").stdout


def test_pictures_are_enrolled_and_found_again(
    edge: Run, shared_models: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_MODELS__PATH", f'["{shared_models}"]')
    monkeypatch.setenv("EDGE_MODELS__CHECK", "false")
    gallery = shared_data / "tv_cast" / "gallery"
    enrolled = document(edge("enroll", "cast", gallery / "amy", "--subject", "amy", *MODELS, "--json"))
    assert (enrolled["added"], enrolled["skipped"], enrolled["subjects"]) == (5, 0, 1)
    assert {image["enrolled_as"] for image in enrolled["images"]} == {"amy"}
    lines = edge("enroll", "cast", gallery / "raj", "--subject", "raj", *MODELS).stdout.splitlines()
    assert lines[0].startswith("added  raj  ")
    assert lines[-2] == "cast: 5 added, 0 unchanged, 0 skipped; 10 faces of 2 subjects"
    assert lines[-1] == "cast: a stranger is named about once in 1,000 looks"

    group = shared_data / "tv_cast" / "group" / "bbt4.jpg"
    found = document(edge("search", "cast", group, gallery / "amy", *MODELS, "--json"))
    assert [Path(image["path"]).name for image in found["images"]] == [
        "bbt4.jpg",
        *(f"amy{i}.png" for i in range(1, 6)),
    ]
    first = found["images"][0]["faces"]
    assert sorted(face["subject"] for face in first if face["subject"]) == ["amy", "raj"]
    amy = next(face for face in first if face["subject"] == "amy")
    assert 80 <= amy["similarity"] <= 100
    assert amy["runner_up"] < 80
    assert (amy["state"], amy["matches"][0]["subject"]) == ("known", "amy")
    assert set(amy["box"]) == {"left", "top", "width", "height"}

    stranger = edge("search", "cast", gallery / "penny" / "penny1.png", *MODELS, "--json")
    assert stranger.returncode == 3
    assert json.loads(stranger.stdout)["images"][0]["faces"][0]["state"] == "unknown"


def test_a_bad_subject_or_path_ends_in_words(edge: Run, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    for arguments, words in (
        (["enroll", "staff", tmp_path, "--subject", "../x"], "1 to 255 characters"),
        (["enroll", "staff", tmp_path / "x.jpg"], "no subject is given"),
        (["enroll", "staff", tmp_path / "gone"], "no such file"),
        (["search", "staff", tmp_path / "x.jpg"], "does not exist"),
        (["search", "staff", tmp_path / "x.jpg", tmp_path / "gone.jpg"], "gone.jpg: there is no such file"),
    ):
        done = edge(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
        assert "\ntry: " in done.stderr
        assert "Traceback" not in done.stderr
    assert edge("search", "staff").returncode == 2
