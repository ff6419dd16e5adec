"""The detector's trainer: varied faces keep true labels, and a net that grows computes the same at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.core.types import Box, Detection, Picture, Point

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
POINTS = np.array([[80, 85], [118, 86], [99, 108], [83, 128], [115, 128]], np.float32)
BOX = np.array([60, 40, 138, 148], np.float32)


@pytest.fixture(autouse=True)
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (25, 0), (-40, 0), (0, 25), (30, -20)])
@pytest.mark.parametrize("number", range(5))
def test_landmarks_of_a_rotated_head_follow_its_pixels(yaw: int, pitch: int, number: int) -> None:
    from training import variation

    image = np.zeros((202, 202, 3), np.uint8)
    cv2.circle(image, POINTS[number].astype(int).tolist(), 4, (255, 255, 255), -1)
    face = variation.rotate(variation.Face(image, BOX, POINTS), np.radians(yaw), np.radians(pitch))
    rows, columns = np.nonzero(face.image[..., 0] > 100)
    assert len(rows) > 5
    assert np.hypot(columns.mean() - face.points[number, 0], rows.mean() - face.points[number, 1]) < 5


def test_a_head_rotated_by_45_degrees_is_reported_as_turned_by_its_landmarks() -> None:
    from training import variation

    from edge.inference.quality import pose

    face = variation.Face(np.zeros((202, 202, 3), np.uint8), BOX, POINTS)
    for yaw in (-45, 45):
        points = variation.rotate(face, np.radians(yaw), 0.0).points
        told = pose([Point(float(x) / 202, float(y) / 202) for x, y in points], 202, 202).yaw
        assert 38 < told * np.sign(yaw) < 75


def test_every_variation_changes_pixels_and_keeps_the_face_in_its_box() -> None:
    from training import variation

    image = np.random.default_rng(1).integers(0, 255, (202, 202, 3), np.uint8)
    for number, (step, _) in enumerate(variation.STEPS):
        face = step(variation.Face(image, BOX, POINTS), np.random.default_rng(number))
        assert (face.image != image).any(), step.__name__
        assert (face.points.mean(axis=0) > face.box[:2]).all(), step.__name__
        assert (face.points.mean(axis=0) < face.box[2:]).all(), step.__name__


def test_the_targets_of_a_mirrored_scene_are_the_mirrored_targets() -> None:
    pytest.importorskip("torch")
    from training import targets
    from training.composites import SIZE, Scene

    points = np.array([[50, 60], [70, 60], [62, 70], [52, 80], [68, 80]], np.float32)
    box = np.array([43, 45, 77, 92], np.float32)
    scene = Scene(np.zeros((240, 320, 3), np.uint8), [box], [points], [1.0], [False])
    flipped = box[[2, 1, 0, 3]]
    flipped[::2] = SIZE[0] - flipped[::2]
    swapped = points[[1, 0, 2, 4, 3]] * (-1, 1) + (SIZE[0], 0)
    mirror = Scene(scene.image, [flipped], [swapped.astype(np.float32)], [1.0], [False])
    ours, expected = targets.assign(scene).mirrored(), targets.assign(mirror)
    assert (ours.state == expected.state).all()
    assert (ours.state == 1).any()
    answering = ours.state == 1
    assert np.allclose(ours.boxes[answering], expected.boxes[answering])
    assert np.allclose(ours.points[answering], expected.points[answering])


def test_a_wider_and_deeper_net_computes_the_same_at_first() -> None:
    torch = pytest.importorskip("torch")
    from training import graph
    from training.grow import grown
    from training.torchnet import TorchNet

    torch.manual_seed(1)
    small = TorchNet(graph.detector((8, 16), (16, 24, 32), (1, 1, 1), 12)).eval()
    large = TorchNet(graph.detector((8, 16), (20, 28, 36), (2, 2, 2), 16)).eval()
    large.load_state_dict(grown(small.state_dict(), large))
    image = torch.rand(1, 3, 240, 320)
    with torch.no_grad():
        for ours, expected in zip(large(image), small(image), strict=True):
            assert torch.allclose(ours, expected, atol=1e-5)


@dataclass(frozen=True)
class Teacher:
    """Reports the same boxes in every picture."""

    found: list[Detection]
    size: tuple[int, int] = (320, 240)

    def detect(self, _picture: Picture, scores: Mapping[str, float]) -> list[Detection]:
        return [one for one in self.found if one.score >= scores["face"]]


def _face(left: float, score: float) -> Detection:
    middle = Point(left + 0.1, 0.5)
    return Detection("face", score, Box(left, 0.3, left + 0.2, 0.7), (middle,) * 5)


def test_a_box_of_both_teachers_is_a_face_and_a_box_of_one_is_uncertain() -> None:
    from training import labeling

    first: Any = Teacher([_face(0.1, 0.7), _face(0.7, 0.95)])
    second: Any = Teacher([_face(0.11, 0.6), _face(0.4, 0.9)])
    picture = Picture(np.zeros((240, 320, 3), np.uint8), "rgb", 320, 240)
    faces = labeling.label(picture, labeling.Teachers(first, second, 0))
    assert [(round(float(face.box[0]) / 320, 2), face.certain) for face in faces] == [
        (0.1, True),
        (0.7, False),
        (0.4, False),
    ]


def test_a_box_of_the_checking_detector_becomes_a_soft_label_only_in_a_portrait() -> None:
    from training.composites import LabelCheck, Scene, certainty

    check: Any = Teacher([_face(0.05, 0.75), _face(0.3, 0.75), _face(0.55, 0.75), _face(0.8, 0.4)])
    scene = Scene(np.zeros((240, 320, 3), np.uint8))
    scene.taken = [(0, 50, 90, 200), (90, 50, 170, 200)]
    scene.complete = [(90, 50, 170, 200)]
    LabelCheck(lambda: check).apply(scene)
    assert [round(float(box[0]) / 320, 2) for box in scene.boxes] == [0.05, 0.55]
    assert scene.certainty == [certainty(0.75), 0.0]
    assert 0 < certainty(0.75) < 1
    assert certainty(0.55) == 0


def test_a_soft_label_asks_for_a_part_of_the_score() -> None:
    torch = pytest.importorskip("torch")
    from training import targets
    from training.composites import Scene

    box, points = np.array([43, 45, 77, 92], np.float32), np.full((5, 2), 60, np.float32)
    image = np.zeros((240, 320, 3), np.uint8)
    centers, strides = targets.cells()
    sides = np.stack([*(centers - box[:2]).T, *(box[2:] - centers).T], axis=1) / strides[:, None]
    outputs = torch.from_numpy(sides[None]), torch.zeros(1, len(centers), 10)

    def asked(certainty: float) -> float:
        wanted = targets.assign(Scene(image, [box], [points], [certainty], [False]))
        scores = np.arange(0, 1.01, 0.05)
        losses = []
        for score in scores:
            told = torch.from_numpy(np.where(wanted.state == 1, score, 0.0).astype(np.float32))[None, :, None]
            losses.append(float(targets.loss((told, *outputs), [wanted])[0]))
        return float(scores[int(np.argmin(losses))])

    assert asked(1.0) == 1.0
    assert asked(0.5) == 0.5


def test_cells_of_a_small_face_weigh_more_than_those_of_a_large_one() -> None:
    pytest.importorskip("torch")
    from training import targets
    from training.composites import Scene

    points = [np.full((5, 2), np.nan, np.float32)] * 2
    boxes = [np.array([20, 20, 30, 32], np.float32), np.array([150, 40, 180, 76], np.float32)]
    wanted = targets.assign(Scene(np.zeros((240, 320, 3), np.uint8), boxes, points, [1.0, 1.0], [False, False]))
    small, large = ((wanted.boxes[:, 0] == box[0]) & (wanted.state == 1) for box in boxes)
    assert 0 < small.sum() < large.sum()
    assert wanted.weight[small].min() > wanted.weight[large].max()
