"""Quantized models are kept only if they say the same as their originals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.cli.main import edge
from edge.core.errors import InputError, ModelError
from edge.core.settings.vision import ModelSettings
from edge.inference.load import load_detector
from edge.inference.model import find, folders, opened
from edge.inference.onboarding import quantization


@pytest.fixture
def settings(shared_models: Path) -> ModelSettings:
    return ModelSettings(path=(shared_models,), threads=1, check=False)


@pytest.fixture
def search(settings: ModelSettings, tmp_path: Path) -> list[Path]:
    return folders(settings, tmp_path / "state")


@pytest.fixture
def people(shared_data: Path) -> list[Path]:
    near = quantization.pictures_in(shared_data / "face_pairs", 8)
    return [*near, *sorted((shared_data / "stills").glob("crowd_*.jpg"))]


def test_pictures_are_drawn_by_chance_but_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for i in range(20):
        (tmp_path / "deep" / f"{i:02}.JPG").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("no picture")

    some = quantization.pictures_in(tmp_path, 5)

    assert len(quantization.pictures_in(tmp_path, 100)) == 20
    assert len(some) == 5
    assert some == quantization.pictures_in(tmp_path, 5)
    with pytest.raises(InputError, match="no picture"):
        quantization.pictures_in(tmp_path / "absent", 5)


def test_the_gate_lets_a_good_quantization_through_and_stops_a_degraded_one(
    settings: ModelSettings, search: list[Path], people: list[Path], shared_models: Path
) -> None:
    original, good = find("rfb-320-float", search), find("rfb-320", search)
    bad = opened(replace(good.card, sha256=""), shared_models / "neg_degraded_face_slim320_int8.tflite")

    fine = quantization.compare(original, good, people, settings)
    lost = quantization.compare(original, bad, people, settings)

    assert fine.passes()
    assert not lost.passes()
    assert lost.figures()["recall"] < 0.6


def test_two_kinds_cannot_be_compared(settings: ModelSettings, search: list[Path]) -> None:
    with pytest.raises(ModelError, match="detector, embedder"):
        quantization.compare(find("rfb-320", search), find("mobilefacenet-112-int8", search), [], settings)


def test_a_model_that_is_quantized_already_is_refused(
    settings: ModelSettings, search: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="expected a float model, got an input of int8"):
        quantization.quantize(find("rfb-320", search), [], settings, tmp_path / "out.tflite")

    assert not (tmp_path / "out.tflite").exists()


def test_pictures_that_show_nothing_are_refused(settings: ModelSettings, search: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_quantizer")
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((64, 64, 3), 128, np.uint8))
    finder = load_detector("ulffd-landmark-320", settings, tmp_path)

    with pytest.raises(ModelError, match="no calibration input"):
        quantization.quantize(
            find("mobilefacenet-112-float", search), [tmp_path / "gray.png"], settings, tmp_path / "out.tflite", finder
        )


def run(shared_models: Path, *arguments: str) -> dict[str, object]:
    environment = {"EDGE_MODELS__PATH": json.dumps([str(shared_models)])}
    ran = CliRunner(env=environment).invoke(
        edge, ["models", "quantize", "--json", *arguments], catch_exceptions=False, standalone_mode=False
    )
    answer: dict[str, object] = json.loads(ran.stdout)
    return answer


def test_a_float_detector_becomes_an_int8_one_that_is_installed(
    shared_models: Path, shared_data: Path, settings: ModelSettings, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_quantizer")

    answer = run(shared_models, "rfb-320-float", "--calibrate", str(shared_data / "face_pairs"), "--name", "mine")

    state = tmp_path / "state" / "edge"
    model = find("mine", folders(settings, state))
    assert model.path.stat().st_size < 500_000
    assert answer["installed"] == str(model.path)
    assert model.card.provenance["quantized_from"] == find("rfb-320-float", folders(settings, state)).sha256
    assert "beside the float model" in model.card.accuracy


def test_a_quantization_that_lost_its_quality_is_not_installed(
    shared_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_quantizer")
    from edge.inference.onboarding.comparison import EmbeddingAgreement

    monkeypatch.setattr(EmbeddingAgreement, "LOWEST_MEAN", 0.95)
    for i in range(12):  # almost black: the ranges that are calibrated are too narrow
        noise = np.random.default_rng(i).integers(0, 20, (112, 112, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{i}.png"), noise)

    with pytest.raises(ModelError, match="lost its quality") as caught:
        run(shared_models, "mobilefacenet-112-float", "--calibrate", str(tmp_path))

    assert "--calibrate" in caught.value.hint
    assert not list((tmp_path / "state").rglob("*.tflite"))
