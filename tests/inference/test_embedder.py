"""Detections in, unit vectors out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import ModelSettings
from edge.core.types import Box, Detection, Picture, Space
from edge.inference.embedder import Embedder
from edge.inference.interpreter import Interpreter
from edge.inference.load import load_detector, load_embedder
from edge.inference.preprocess import VERSION

RED_AND_BLUE = np.zeros((40, 80, 3), np.uint8)
RED_AND_BLUE[:, :40, 0] = 200
RED_AND_BLUE[:, 40:, 2] = 100
PICTURE = Picture(RED_AND_BLUE, "rgb", 80, 40)
RED = Detection("thing", 0.9, Box(0.05, 0.1, 0.45, 0.9))
BLUE = Detection("thing", 0.9, Box(0.55, 0.1, 0.95, 0.9))


@pytest.fixture
def colors(tiny: Any) -> Embedder:
    model = tiny.embedder()
    return Embedder(model, Interpreter(model.path))


def test_each_detection_has_its_own_unit_vector_in_order(colors: Embedder) -> None:
    blue, red = colors.embed(PICTURE, [BLUE, RED])

    assert blue.vector.tolist() == pytest.approx([0, 0, 1])
    assert red.vector.tolist() == pytest.approx([1, 0, 0])
    assert red.vector.dtype == np.float32
    assert colors.embed(PICTURE, []) == []


def test_the_space_tells_model_runtime_and_preprocessing(colors: Embedder) -> None:
    assert colors.space == Space(colors.model.sha256, "litert", VERSION, 3)
    assert colors.embed(PICTURE, [RED])[0].space == colors.space


def test_assessed_first_or_not_an_embedding_is_the_same(colors: Embedder) -> None:
    assessed = colors.assess(PICTURE, RED)
    after = colors.embed(PICTURE, [RED])[0]
    other = Picture(np.ascontiguousarray(RED_AND_BLUE[:, ::-1]), "rgb", 80, 40)
    colors.assess(other, RED)

    assert after.quality == assessed
    assert colors.embed(PICTURE, [RED])[0].vector.tolist() == after.vector.tolist()
    assert colors.embed(other, [RED])[0].vector.tolist() == pytest.approx([0, 0, 1])


def test_a_zero_embedding_is_a_model_error_and_not_a_vector(colors: Embedder) -> None:
    black = Picture(np.zeros((40, 80, 3), np.uint8), "rgb", 80, 40)

    with pytest.raises(ModelError, match="zero or not finite"):
        colors.embed(black, [RED])


@pytest.mark.parametrize("answer", [[[np.nan, 0, 1]], [[np.inf, 0, 1]], [[0, 0, 0]]])
def test_an_embedding_that_is_not_finite_is_a_model_error(tiny: Any, answer: Any) -> None:
    model = tiny.embedder(tiny.always(8, 8, {"out": answer}))

    with pytest.raises(ModelError, match="zero or not finite"):
        Embedder(model, Interpreter(model.path)).embed(PICTURE, [RED])


def test_a_card_that_lies_about_the_dimensions_is_a_model_error(tiny: Any) -> None:
    model = tiny.embedder(embedding={"dimensions": 128})

    with pytest.raises(ModelError, match="128 dimensions, got 3"):
        Embedder(model, Interpreter(model.path)).embed(PICTURE, [RED])


def test_a_detector_is_no_embedder(tiny: Any) -> None:
    model = tiny.detector()

    with pytest.raises(ModelError, match="expected an embedder, got a detector"):
        Embedder(model, Interpreter(model.path))


def test_a_box_outside_the_picture_is_embedded_as_black_or_refused_but_never_breaks(colors: Embedder) -> None:
    half = colors.embed(PICTURE, [Detection("thing", 0.9, Box(-0.2, 0.1, 0.2, 0.9))])

    assert half[0].vector.tolist() == pytest.approx([1, 0, 0])
    assert half[0].quality.reason != ""
    with pytest.raises(ModelError):
        colors.embed(PICTURE, [Detection("thing", 0.9, Box(2.0, 2.0, 3.0, 3.0))])


def test_a_still_is_the_mean_with_its_mirror_image_where_the_card_says_so(tmp_path: Path) -> None:
    """The shipped embedder tells a picture from its mirror image; averaged, they are one."""
    shipped = load_embedder("edge-face-embedder-1", ModelSettings(), tmp_path)
    shape = shipped.card.embedding
    assert shape is not None
    model, rgb = shipped.model, np.random.default_rng(3).integers(0, 255, (112, 112, 3), np.uint8)
    left, right = (Picture(np.ascontiguousarray(rows), "rgb", 112, 112) for rows in (rgb, rgb[:, ::-1]))
    whole = [Detection("face", 0.9, Box(0.0, 0.0, 1.0, 1.0))]

    for mirror in (True, False):
        card = replace(model.card, embedding=replace(shape, mirror=mirror, margin=0.0))
        embedder = Embedder(replace(model, card=card), Interpreter(model.path))
        still = [embedder.embed(picture, whole, still=True)[0].vector for picture in (left, right)]
        frame = [embedder.embed(picture, whole)[0].vector for picture in (left, right)]
        assert np.allclose(still[0], still[1], atol=1e-6) == mirror
        assert not np.allclose(frame[0], frame[1], atol=1e-3)
        assert np.linalg.norm(still[0]) == pytest.approx(1)
        mean = frame[0] + frame[1] if mirror else frame[0]
        assert still[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


@pytest.fixture
def faces(settings: ModelSettings, shared_data: Path, tmp_path: Path) -> Any:
    detector = load_detector("ulffd-landmark-320", settings, tmp_path)

    def found(name: str) -> tuple[Picture, Detection]:
        picture = pictures.read(shared_data / "lfw_dev" / name)
        return picture, min(
            detector.detect(picture), key=lambda d: abs(d.box.center.x - 0.5) + abs(d.box.center.y - 0.5)
        )

    return found


def people(shared_data: Path, count: int) -> list[list[str]]:
    folders = sorted(f for f in (shared_data / "lfw_dev").iterdir() if f.is_dir() and len(list(f.glob("*.jpg"))) >= 4)
    return [[f"{folder.name}/{file.name}" for file in sorted(folder.glob("*.jpg"))[:2]] for folder in folders[:count]]


@pytest.mark.parametrize("name", ["mobilefacenet-112-int8", "mobilefacenet-112-siriusai"])
def test_80_and_the_calibration_tell_people_apart(
    name: str, settings: ModelSettings, faces: Any, shared_data: Path, tmp_path: Path
) -> None:
    embedder = load_embedder(name, settings, tmp_path)
    pairs = np.array(
        [
            [embedder.embed(*(lambda p, d: (p, [d]))(*faces(file)))[0].vector for file in two]
            for two in people(shared_data, 12)
        ]
    )

    cosines = pairs[:, 0] @ pairs[:, 1].T
    same, different = np.diag(cosines), cosines[~np.eye(len(cosines), dtype=bool)]

    threshold = embedder.scorer.typical_cosine(80)
    assert (same > threshold).mean() > 0.9
    assert (different < threshold).all()


def test_both_runtimes_give_nearly_the_same_embedding(
    settings: ModelSettings, faces: Any, shared_data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tflite_runtime")
    picture, face = faces(people(shared_data, 1)[0][0])
    runtimes = ("litert", "tflite-runtime")

    embedders = [
        load_embedder("mobilefacenet-112-int8", settings.model_copy(update={"runtime": runtime}), tmp_path)
        for runtime in runtimes
    ]
    one, other = (embedder.embed(picture, [face])[0] for embedder in embedders)

    assert float(one.vector @ other.vector) > 0.97
    assert one.space != other.space


def test_landmarks_put_the_eyes_where_the_model_expects_them(
    settings: ModelSettings, faces: Any, shared_data: Path, tmp_path: Path
) -> None:
    embedder = load_embedder("mobilefacenet-112-int8", settings, tmp_path)
    picture, face = faces(people(shared_data, 1)[0][0])
    detector = load_detector("ulffd-landmark-320", settings, tmp_path)

    crop = embedder.crop(picture, face)

    again = detector.detect(Picture(np.pad(crop, ((40, 40), (60, 60), (0, 0))), "rgb", 232, 192))
    assert again
    eye = again[0].landmarks[0]
    assert (eye.x * 232 - 60, eye.y * 192 - 40) == pytest.approx((38.3, 51.7), abs=6)
