"""How much a crop is worth embedding, and why not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.core.types import Box, Detection, Picture, Point
from edge.inference.preprocess import TEMPLATE
from edge.inference.quality import USUAL, pose, quality

FRONTAL = tuple(Point(x / 112, y / 112) for x, y in TEMPLATE)
CROP = np.random.default_rng(1).integers(60, 200, (112, 112, 3), np.uint8)
PICTURE = Picture(np.zeros((480, 640, 3), np.uint8), "rgb", 640, 480)
GOOD = Detection("face", 0.9, Box(0.3, 0.3, 0.6, 0.7), FRONTAL)


def head(yaw: float = 0, pitch: float = 0, roll: float = 0) -> tuple[Point, ...]:
    """Landmarks of a head of average measures (mm), turned, seen from far away; degrees as in ``Pose``."""
    points = np.array([[-31, -32, 0], [31, -32, 0], [0, 0.11, 30], [-26, 33, 0], [26, 33, 0]], float)
    y, p, r = np.radians([yaw, pitch, roll])
    turn_yaw = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_pitch = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    turn_roll = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    seen = points @ (turn_roll @ turn_yaw @ turn_pitch).T
    return tuple(Point(0.5 + x / 640, 0.5 + z / 480) for x, z, _ in seen)


@pytest.mark.parametrize("angle", [-40, -20, 0, 20, 40])
@pytest.mark.parametrize("axis", ["yaw", "pitch", "roll"])
def test_the_pose_of_a_turned_head_is_told_from_its_landmarks(axis: str, angle: float) -> None:
    told = pose(head(**{axis: angle}), 640, 480)

    assert getattr(told, axis) == pytest.approx(angle, abs=4)
    assert all(abs(getattr(told, other)) < 6 for other in {"yaw", "pitch", "roll"} - {axis})


def test_landmarks_on_one_spot_count_as_turned_away() -> None:
    turned = Detection("face", 0.9, GOOD.box, (Point(0.5, 0.5),) * 5)

    assert quality(PICTURE, turned, CROP, USUAL).reason == "turned_away"


def test_a_large_sharp_frontal_face_is_worth_it() -> None:
    found = quality(PICTURE, GOOD, CROP, USUAL)

    assert found.reason == ""
    assert found.score > 0.9
    assert found.size == pytest.approx(192)
    assert found.sharpness > 90
    assert 40 < found.brightness < 60


@pytest.mark.parametrize(
    ("reason", "detection", "crop"),
    [
        ("too_small", Detection("face", 0.9, Box(0.5, 0.5, 0.52, 0.53), FRONTAL), CROP),
        ("blurred", GOOD, cv2.GaussianBlur(CROP, (0, 0), 6)),
        ("turned_away", Detection("face", 0.9, GOOD.box, head(yaw=75)), CROP),
        ("cut_off", Detection("face", 0.9, Box(-0.2, 0.3, 0.2, 0.7), FRONTAL), CROP),
        ("dark", GOOD, CROP // 12),
    ],
)
def test_each_fault_has_its_code_and_costs_quality(reason: str, detection: Detection, crop: np.ndarray) -> None:
    found = quality(PICTURE, detection, crop, USUAL)

    assert found.reason == reason
    assert found.score <= quality(PICTURE, GOOD, CROP, USUAL).score


def test_things_without_landmarks_have_no_pose() -> None:
    found = quality(PICTURE, Detection("parcel", 0.9, GOOD.box), CROP, USUAL)

    assert (found.yaw, found.pitch, found.roll) == (0, 0, 0)
    assert found.reason == ""
