"""Decoders against slow, plain readings of the same tensors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core import plugins as registry
from edge.core.errors import ModelError
from edge.inference.card import Decoder, Priors, parse_card, read_card
from edge.inference.decoders import blazeface, prior_box_faces, ssd, yolov8

CARDS = Path(__file__).resolve().parents[3] / "models"
RANDOM = np.random.default_rng(5)


def spec(name: str) -> Decoder:
    decoder = read_card(CARDS / name / "card.toml").decoder
    assert decoder is not None
    return decoder


def floats(*shape: int, low: float = -1, high: float = 1) -> Any:
    return RANDOM.uniform(low, high, shape).astype(np.float32)


def test_the_priors_of_the_landmark_model_equal_the_anchors_it_was_published_with(shared_models: Path) -> None:
    card = spec("ulffd-landmark-320")

    computed = prior_box_faces.priors(card.priors, card.width, card.height)

    assert np.allclose(computed, np.load(shared_models / "face_ulffd_anchors.npy"), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "count"),
    [("rfb-320", 4420), ("ulffd-landmark-320", 3160), ("blazeface-short", 896), ("blazeface-full", 2304)],
)
def test_priors_are_as_many_as_the_model_has_anchors(name: str, count: int) -> None:
    card = spec(name)

    assert prior_box_faces.priors(card.priors, card.width, card.height).shape == (count, 4)


def test_ssd_gives_the_counted_rows_from_the_score_on() -> None:
    boxes = np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0.5, 0.5, 0.6, 0.6]], np.float32)
    outputs = [boxes, np.array([7, 1, 2], np.float32), np.array([0.9, 0.3, 0.8], np.float32)]

    found = ssd.decode([*outputs, np.array([2], np.float32)], spec("ssd-mobilenet-v1-coco"), 0.5)

    assert found.boxes.tolist() == [pytest.approx([0.2, 0.1, 0.4, 0.3])]
    assert found.classes.tolist() == [7]
    assert found.landmarks is None


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("units", ["fraction", "pixel"])
def test_yolov8_reads_each_anchor_as_its_best_class(transposed: bool, units: str) -> None:
    card = Decoder("yolov8", ("#0",), ("a", "b", "c"), options={"units": units}, width=100, height=50)
    head = floats(7, 40, low=0)
    outputs = [head.T if transposed else head]

    found = yolov8.decode(outputs, card, 0.8)

    sides = (100, 50, 100, 50) if units == "pixel" else (1, 1, 1, 1)
    wanted = []
    for x, y, w, h, *scores in head.T.tolist():
        if max(scores) >= 0.8:
            box = [v / s for v, s in zip((x - w / 2, y - h / 2, x + w / 2, y + h / 2), sides, strict=True)]
            wanted.append((scores.index(max(scores)), max(scores), box))
    assert 0 < len(wanted) < 40
    assert found.classes.tolist() == [w[0] for w in wanted]
    assert found.scores.tolist() == pytest.approx([w[1] for w in wanted])
    assert np.allclose(found.boxes, [w[2] for w in wanted], atol=1e-6)


@pytest.mark.parametrize("scores", ["logit", "probability"])
@pytest.mark.parametrize("landmarks", [False, True])
def test_prior_box_faces_are_offsets_from_their_priors(scores: Any, landmarks: bool) -> None:
    maps = (Priors(16, ((20.0, 30.0), (40.0, 50.0))),)
    names = ("boxes", "scores", "points")[: 3 if landmarks else 2]
    card = Decoder("prior_box_faces", names, ("face",), priors=maps, scores=scores, width=64, height=48)
    offsets, points = floats(24, 4), floats(24, 10)
    face = floats(24, low=0)
    stored = np.stack([np.zeros(24), np.log(face / (1 - face))] if scores == "logit" else [1 - face, face], 1)

    outputs = [offsets, stored.astype(np.float32), points][: len(names)]
    found = prior_box_faces.decode(outputs, card, 0.6)

    wanted = [
        plain_prior_box(row, anchor, points[row], offsets[row]) for row in range(24) if face[row] >= 0.6
        for anchor in [plain_prior(row)]
    ]  # fmt: skip
    assert 0 < len(wanted) < 24
    assert np.allclose(found.boxes, [box for box, _ in wanted], atol=1e-6)
    assert np.allclose(found.scores, face[face >= 0.6], atol=1e-5)
    if landmarks:
        assert found.landmarks is not None
        assert np.allclose(found.landmarks, [five for _, five in wanted], atol=1e-6)
    else:
        assert found.landmarks is None


def plain_prior(row: int) -> tuple[float, float, float, float]:
    cell, size = divmod(row, 2)
    y, x = divmod(cell, 4)
    width, height = ((20, 30), (40, 50))[size]
    return (x + 0.5) * 16 / 64, (y + 0.5) * 16 / 48, width / 64, height / 48


def plain_prior_box(row: int, anchor: Any, points: Any, offset: Any) -> tuple[list[float], list[list[float]]]:
    x, y, width, height = anchor
    center_x, center_y = x + offset[0] * 0.1 * width, y + offset[1] * 0.1 * height
    half_width, half_height = width * math.exp(offset[2] * 0.2) / 2, height * math.exp(offset[3] * 0.2) / 2
    box = [center_x - half_width, center_y - half_height, center_x + half_width, center_y + half_height]
    return box, [[x + points[i] * 0.1 * width, y + points[i + 1] * 0.1 * height] for i in range(0, 10, 2)]


def test_blazeface_keypoints_become_our_landmarks_with_a_derived_mouth() -> None:
    card = spec("blazeface-short")
    regressors = np.zeros((896, 16), np.float32)
    regressors[0] = [12.8, 0, 64, 32, *[-10, -10], *[10, -10], *[0, 0], *[0, 10], *[-20, 0], *[20, 0]]
    logits = np.full((896, 1), -50, np.float32)
    logits[0] = 2.0

    found = blazeface.decode([regressors, logits], card, 0.5)

    left = top = 4 / 128  # the center of the first cell
    assert found.boxes.tolist() == [pytest.approx([left + 0.1 - 0.25, top - 0.125, left + 0.1 + 0.25, top + 0.125])]
    assert found.scores.tolist() == [pytest.approx(1 / (1 + math.exp(-2)))]
    assert found.landmarks is not None
    eye_left, eye_right, nose, mouth_left, mouth_right = (found.landmarks[0] - (left, top)) * 128
    assert eye_left.tolist() == pytest.approx([-10, -10])
    assert eye_right.tolist() == pytest.approx([10, -10])
    assert nose.tolist() == pytest.approx([0, 0], abs=1e-4)
    assert mouth_left.tolist() == pytest.approx([-0.414 * 20, 10], abs=1e-4)
    assert mouth_right.tolist() == pytest.approx([0.414 * 20, 10], abs=1e-4)


@pytest.mark.parametrize("name", ["rfb-320", "blazeface-short", "yolov8n-224", "ssd-mobilenet-v1-coco"])
@pytest.mark.parametrize("min_score", [0.0, 1.0])
def test_scores_of_nought_and_one_are_thresholds_like_any_other(name: str, min_score: float) -> None:
    shapes = {
        "rfb-320": [(4420, 4), (4420, 2)],
        "blazeface-short": [(896, 16), (896, 1)],
        "yolov8n-224": [(84, 1029)],
        "ssd-mobilenet-v1-coco": [(10, 4), (10,), (10,), (1,)],
    }[name]
    card = spec(name)
    decode = registry.load("decoder", registry.DECODERS, card.name)

    found = decode([floats(*shape, low=0.1, high=0.9) for shape in shapes], card, min_score)

    assert len(found.boxes) == len(found.scores) == len(found.classes)
    assert np.isfinite(found.boxes).all()


@pytest.mark.parametrize("name", ["rfb-320", "blazeface-short", "yolov8n-224", "ssd-mobilenet-v1-coco"])
@pytest.mark.parametrize("shapes", [[(5, 4)], [(5, 4), (5, 2)], [(5,), (5,), (5,), (5,)], [(3, 3, 3), (5, 2)], []])
def test_tensors_of_another_model_are_a_model_error(name: str, shapes: list[tuple[int, ...]]) -> None:
    card = spec(name)
    decode = registry.load("decoder", registry.DECODERS, card.name)

    with pytest.raises(ModelError, match=f"decoder {card.name}"):
        decode([floats(*shape) for shape in shapes], card, 0.5)


def test_an_unknown_decoder_lists_the_known_ones(tiny: Any) -> None:
    from edge.inference.detector import Detector
    from edge.inference.interpreter import Interpreter

    model = tiny.detector(decoder={**tiny.detector_card()["decoder"], "name": "magic"})

    with pytest.raises(
        Exception, match="blazeface, prior_box_faces, ssd_postprocessed, text_regions, yolov8, or module:attribute"
    ):
        Detector(model, Interpreter(model.path))
    assert parse_card(tiny.detector_card(), "x").decoder is not None
