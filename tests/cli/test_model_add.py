"""``edge models add``."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from edge.cli.main import edge
from edge.cli.model_add import _asked, _labels
from edge.core.errors import InputError, ModelError
from edge.inference.onboarding.card_proposal import Hints, Proposal, Question


def add(*arguments: str) -> Any:
    return CliRunner().invoke(edge, ["models", "add", *arguments], catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def unknown(shared_models: Path, tmp_path: Path) -> Path:
    """A detector whose digest no card knows."""
    path = tmp_path / "found somewhere.tflite"
    path.write_bytes((shared_models / "det_yolov8n_coco_224_int8.tflite").read_bytes() + b"\0")
    return path


def test_a_file_is_proposed_tried_shown_and_installed(unknown: Path, shared_data: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen.png"

    answer = json.loads(
        add(
            str(unknown), "--json", "--name", "mine", "--licence", "AGPL-3.0",
            "--picture", str(shared_data / "stills" / "cat_720p.jpg"), "--annotated", str(seen),
        ).stdout
    )  # fmt: skip

    assert [found["label"] for found in answer["seen"]] == ["cat"]
    assert seen.read_bytes().startswith(b"\x89PNG")
    assert answer["card"]["decoder"]["name"] == "yolov8"
    assert Path(answer["installed"]).parent == tmp_path / "state" / "edge" / "models" / "mine"
    listed = json.loads(
        CliRunner().invoke(edge, ["models", "list", "--json"], catch_exceptions=False, standalone_mode=False).stdout
    )
    assert next(line for line in listed if line["name"] == "mine")["present"] is True


def test_a_dry_run_installs_nothing(unknown: Path, tmp_path: Path) -> None:
    ran = add(str(unknown), "--dry-run", "--labels", ",".join(f"thing {i}" for i in range(80)))

    assert 'labels = ["thing 0", "thing 1"' in ran.stdout
    assert "not installed" in ran.stdout
    assert not (tmp_path / "state").exists()


def test_what_the_file_does_not_tell_must_be_said_where_nobody_can_be_asked(
    shared_models: Path, tmp_path: Path
) -> None:
    path = tmp_path / "faces.tflite"
    path.write_bytes((shared_models / "face_ulffd_landmark_320x240_int8.tflite").read_bytes() + b"\0")

    with pytest.raises(ModelError, match="--family") as caught:
        add(str(path))

    assert "ultra-light-fast-landmark or retinaface" in caught.value.hint
    assert not (tmp_path / "state").exists()


def test_a_picture_without_a_place_for_what_was_seen_is_wrong_usage(unknown: Path, shared_data: Path) -> None:
    with pytest.raises(click.UsageError, match="go together"):
        add(str(unknown), "--picture", str(shared_data / "stills" / "cat_720p.jpg"))


@pytest.mark.parametrize(
    ("file", "content"),
    [("absent.tflite", None), ("x" * 300 + ".tflite", None), ("empty.tflite", b""), ("text.tflite", b"not a model")],
)
def test_hostile_files_are_errors_and_leave_nothing(tmp_path: Path, file: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)

    with pytest.raises(ModelError, match=file) as caught:
        add(str(tmp_path / file))

    assert caught.value.hint
    assert not (tmp_path / "state").exists()


def test_a_model_that_kills_its_process_is_an_error_and_leaves_nothing(shared_models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="crashed the validation process"):
        add(str(shared_models / "neg_crash_keyword_scrambled_8bit.tflite"))

    assert not (tmp_path / "state").exists()


def test_a_person_at_the_terminal_is_asked() -> None:
    questions = [
        Question("--family", "it fits two", ("retinaface", "blazeface")),
        Question("--labels", "its classes have no names"),
        Question("--mean and --std", "a float input", ("0 255",)),
    ]
    found: Any = SimpleNamespace(path=Path("x.tflite"), proposal=Proposal({}, [], questions))

    with CliRunner().isolation(input="blazeface\ncat, dog\n127.5\n128\n"):
        hints = _asked(found, Hints(name="mine"))

    assert hints == Hints(name="mine", family="blazeface", labels=("cat", "dog"), mean=127.5, std=128.0)


def test_labels_come_from_a_file_or_a_list(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\n\ndog\n")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")

    assert _labels(str(tmp_path / "labels.txt")) == ("cat", "n/a", "dog")
    assert _labels("cat, dog") == ("cat", "dog")
    assert _labels("") == ()
    with pytest.raises(InputError, match=r"bad\.txt"):
        _labels(str(tmp_path / "bad.txt"))
