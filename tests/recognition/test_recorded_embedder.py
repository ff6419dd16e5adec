"""A collection goes on with the embedder that made it, when the default has changed since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.settings.schema import Settings
from edge.core.settings.vision import FACE, CollectionSettings
from edge.core.types import Space
from edge.inference import model
from edge.recognition import recorded_embedder
from edge.recognition.recorded_embedder import with_recorded_embedders
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

EARLIER, LATER = "edge-face-embedder-1", "edge-face-embedder-2"
"""the default of edge 0.1.0, and one that it may become"""

Made = Callable[[str], None]


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a version whose default is another one."""
    face = FACE.model_copy(update={"embedder": LATER})
    monkeypatch.setattr(recorded_embedder, "FACE", face)
    return Settings().model_copy(update={"labels": {"face": face}})


@pytest.fixture
def made(tmp_path: Path, unit: Callable[..., NDArray[np.float32]], faces: Callable[..., list[NewFace]]) -> Made:
    def by(sha256: str) -> None:
        with Collections(tmp_path, CollectionSettings(), maintain=False) as opened:
            opened.create("faces").add(faces(unit(2, dimensions=128)), Space(sha256, "litert", 1, 128))

    return by


def embedder(settings: Settings, state: Path) -> str:
    return with_recorded_embedders(settings, state).labels["face"].embedder


def sha256(name: str) -> str:
    return model.find(name, model.folders(Settings().models, Path())).sha256


def test_faces_of_the_earlier_default_keep_it(tmp_path: Path, made: Made, later: Settings) -> None:
    made(sha256(EARLIER))
    assert embedder(later, tmp_path) == EARLIER


def test_faces_of_the_default_and_an_empty_state_folder_change_nothing(
    tmp_path: Path, made: Made, later: Settings
) -> None:
    assert with_recorded_embedders(later, tmp_path) is later
    made(sha256(LATER))
    assert with_recorded_embedders(later, tmp_path) is later


def test_an_embedder_that_is_gone_or_was_chosen_by_the_owner_is_not_replaced(
    tmp_path: Path, made: Made, later: Settings
) -> None:
    made("ab" * 32)
    assert embedder(later, tmp_path) == LATER
    chosen = Settings.model_validate({"labels": {"face": {"embedder": "mobilefacenet-112-int8"}}})
    assert embedder(chosen, tmp_path) == "mobilefacenet-112-int8"


def test_a_damaged_store_is_left_to_whoever_opens_it(tmp_path: Path, later: Settings) -> None:
    (tmp_path / "collections.sqlite").write_bytes(b"no database at all" * 100)
    assert embedder(later, tmp_path) == LATER


def test_a_state_folder_that_cannot_be_entered_changes_nothing(later: Settings) -> None:
    assert with_recorded_embedders(later, Path("a" * 300)) is later
