"""Models that an owner adds are installed whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import ConflictError, ModelError
from edge.core.settings.vision import ModelSettings
from edge.core.types import Picture
from edge.inference.card import parse_card
from edge.inference.model import find, folders
from edge.inference.onboarding import library as model_library
from edge.inference.onboarding.card_proposal import Hints

CARD = parse_card(
    {
        "name": "mine",
        "kind": "embedder",
        "file": "model.tflite",
        "licence": "MIT",
        "input": {"width": 8, "height": 8},
        "embedding": {"dimensions": 3},
    },
    "test",
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def source(tmp_path: Path, content: bytes = b"one") -> Path:
    path = tmp_path / "source.tflite"
    path.write_bytes(content)
    return path


def installed(state: Path) -> list[str]:
    return sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.is_file())


def test_an_installed_model_is_found_by_its_name(tmp_path: Path, state: Path) -> None:
    model_library.install(source(tmp_path), CARD, state)

    found = find("mine", folders(ModelSettings(), state))
    assert found.path == state / "models" / "mine" / "model.tflite"
    assert installed(state) == ["models/mine/card.toml", "models/mine/model.tflite"]


def test_a_name_that_is_taken_is_refused_and_the_old_model_stays(tmp_path: Path, state: Path) -> None:
    model_library.install(source(tmp_path, b"one"), CARD, state)

    with pytest.raises(ConflictError, match="'mine' is installed already"):
        model_library.install(source(tmp_path, b"two"), CARD, state)

    assert find("mine", folders(ModelSettings(), state)).path.read_bytes() == b"one"


def test_a_replaced_model_leaves_nothing_of_the_old_one(tmp_path: Path, state: Path) -> None:
    model_library.install(source(tmp_path, b"one"), CARD, state)

    model_library.install(source(tmp_path, b"two"), CARD, state, overwrite=True)

    assert find("mine", folders(ModelSettings(), state)).path.read_bytes() == b"two"
    assert len(installed(state)) == 2


def test_a_file_that_is_not_what_its_card_says_is_not_installed(tmp_path: Path, state: Path) -> None:
    with pytest.raises(ModelError, match="sha256"):
        model_library.install(source(tmp_path), replace(CARD, sha256="0" * 64), state)

    assert installed(state) == []


def test_a_stop_before_the_card_is_written_leaves_no_model(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_library.install(source(tmp_path, b"one"), CARD, state)
    monkeypatch.setattr(model_library, "dumps", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        model_library.install(source(tmp_path, b"two"), CARD, state, overwrite=True)

    assert find("mine", folders(ModelSettings(), state)).path.read_bytes() == b"one"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\0\0\0TFL3" + b"\xff" * 100])
def test_hostile_files_are_refused_before_anything_is_proposed(tmp_path: Path, state: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"source\.tflite"):
        model_library.tried(source(tmp_path, content), ModelSettings(), [state / "models"], Hints())

    assert not state.exists()


def test_a_shared_detector_is_tried_shown_and_installed(
    shared_models: Path, shared_data: Path, state: Path, tmp_path: Path
) -> None:
    from edge.core.imaging import image as pictures

    path = source(tmp_path, (shared_models / "face_rfb320_int8.tflite").read_bytes() + b"\0")
    search = folders(ModelSettings(), state)

    found = model_library.tried(path, ModelSettings(), search, Hints(name="faces"))
    model = model_library.install(path, found.card, state)
    picture = pictures.read(shared_data / "face_pairs" / "couple.jpg")
    pixels, seen = model_library.shown(model, ModelSettings(), picture)

    assert found.known is None
    assert [d.label for d in seen] == ["face", "face"]
    assert pixels.shape == pictures.to_rgb(picture).shape
    assert (pixels != pictures.to_rgb(picture)).any()


def test_a_file_whose_digest_a_card_knows_gets_that_card(shared_models: Path, state: Path) -> None:
    path = shared_models / "face_rfb320_int8.tflite"

    found = model_library.tried(path, ModelSettings(), folders(ModelSettings(), state), Hints(name="other"))

    assert found.known is not None
    assert (found.card.name, found.card.licence) == ("other", "MIT")


def test_open_questions_are_an_error_that_names_the_options(tmp_path: Path, state: Path, shared_models: Path) -> None:
    path = source(tmp_path, (shared_models / "emb_mobilefacenet_112_float32.tflite").read_bytes() + b"\0")

    found = model_library.tried(path, ModelSettings(), [state], Hints())

    with pytest.raises(ModelError, match="--mean and --std") as caught:
        assert found.card
    assert "127.5 127.5" in caught.value.hint


def test_an_embedder_is_shown_as_the_crop_it_gets(shared_models: Path, state: Path, settings_with: Any) -> None:
    model = find("mobilefacenet-112-int8", folders(settings_with, state))
    picture = Picture(np.full((100, 200, 3), 90, np.uint8), "rgb", 200, 100)

    pixels, _ = model_library.shown(model, settings_with, picture)

    assert pixels.shape == (112, 112, 3)


@pytest.fixture
def settings_with(shared_models: Path) -> ModelSettings:
    return ModelSettings(path=(shared_models,), threads=1)
