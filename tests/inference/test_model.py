"""Models are found by name along a search path, and only with the file that their card describes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import ModelError, NotFoundError
from edge.core.settings.vision import ModelSettings
from edge.inference.model import available, find, folders

CARD = """
name = "{name}"
kind = "embedder"
file = "{file}"
sha256 = "{sha256}"
licence = "MIT"
get = "ask for it"
[input]
width = 8
height = 8
[embedding]
dimensions = 3
"""


def put(folder: Path, name: str = "one", file: str = "one.tflite", sha256: str = "") -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "card.toml").write_text(CARD.format(name=name, file=file, sha256=sha256))
    return folder / name


def test_the_file_lies_beside_its_card(tmp_path: Path) -> None:
    (put(tmp_path) / "one.tflite").write_bytes(b"model")

    found = find("one", [tmp_path])

    assert found.path == tmp_path / "one" / "one.tflite"
    assert found.sha256 == hashlib.sha256(b"model").hexdigest()


@pytest.mark.parametrize("place", ["", "one"])
def test_the_file_may_lie_in_another_folder_of_the_path(tmp_path: Path, place: str) -> None:
    put(tmp_path / "cards")
    files = tmp_path / "files"
    (files / place).mkdir(parents=True)
    (files / place / "one.tflite").write_bytes(b"model")

    assert find("one", [files, tmp_path / "cards"]).path == files / place / "one.tflite"


def test_the_first_folder_of_the_path_counts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (put(tmp_path / name) / "one.tflite").write_bytes(name.encode())

    assert find("one", [tmp_path / "b", tmp_path / "a"]).path.parent == tmp_path / "b" / "one"
    assert [entry.folder for entry in available([tmp_path / "b", tmp_path / "a"])] == [tmp_path / "b" / "one"]


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    (put(tmp_path, sha256="0" * 64) / "one.tflite").write_bytes(b"model")

    with pytest.raises(ModelError, match="sha256 0000"):
        find("one", [tmp_path])


def test_a_card_without_its_file_says_how_to_get_it_and_is_listed_as_absent(tmp_path: Path) -> None:
    put(tmp_path)

    with pytest.raises(ModelError, match=r"one\.tflite") as caught:
        find("one", [tmp_path])

    assert caught.value.hint == "ask for it"
    assert [(entry.name, entry.path) for entry in available([tmp_path])] == [("one", None)]


@pytest.mark.parametrize("name", ["two", "../one", "", "ONE", "one/../one", "x" * 300, "\0"])
def test_an_unknown_name_says_where_the_known_ones_are_listed(tmp_path: Path, name: str) -> None:
    put(tmp_path)

    with pytest.raises(NotFoundError, match="there is no model") as caught:
        find(name, [tmp_path])

    assert caught.value.hint == "edge models list shows the models"


def test_a_name_near_a_known_one_suggests_it(tmp_path: Path) -> None:
    put(tmp_path, "edge-face-detector-1")

    with pytest.raises(NotFoundError, match="did you mean 'edge-face-detector-1'"):
        find("edge-face-detecter-1", [tmp_path])


def test_a_broken_card_does_not_hide_the_others(tmp_path: Path) -> None:
    (put(tmp_path, "good", "good.tflite") / "good.tflite").write_bytes(b"model")
    (put(tmp_path, "bad") / "card.toml").write_text("kind = ")

    entries = {entry.name: entry for entry in available([tmp_path, tmp_path / "absent"])}

    assert entries["good"].path is not None
    assert entries["bad"].card is None
    assert "card.toml" in entries["bad"].problem


def test_the_settings_folders_come_before_the_state_folders_and_the_packages(tmp_path: Path) -> None:
    path = folders(ModelSettings(path=(tmp_path / "mine",)), tmp_path / "state")

    assert path[:2] == [tmp_path / "mine", tmp_path / "state" / "models"]
    assert (path[2] / "ulffd-landmark-320" / "card.toml").is_file()


def test_every_shared_model_that_has_a_card_is_found(folders: list[Path], shared_models: Path) -> None:
    here = {entry.path.name for entry in available(folders) if entry.path and entry.path.parent == shared_models}
    wanted = {path.name for path in shared_models.glob("*.tflite") if not path.name.startswith("neg_")}

    assert here == wanted
    assert all(find(entry.name, folders).sha256 for entry in available(folders) if entry.path)


def test_a_folder_named_like_no_model_is_passed_over(tmp_path: Path, tiny: Any) -> None:
    (tmp_path / "Not A Model").mkdir()
    (tmp_path / "Not A Model" / "card.toml").write_text("x = 1")

    assert available([tmp_path]) == []
