"""How much a crop is worth embedding: size, sharpness, light, pose, and whether it is whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from edge.types import Box, Detection, Picture, Point, Quality

if TYPE_CHECKING:
    from edge.types import ByteArray


@dataclass(frozen=True)
class Limits:
    """What is not worth embedding."""

    size: float = 20.0
    """pixels of the shorter side of the box"""
    sharpness: float = 8.0
    """0..100"""
    brightness: float = 10.0
    """0..100"""
    yaw: float = 60.0
    """degrees to either side"""
    pitch: float = 50.0
    cut_off: float = 0.25
    """share of the box outside the frame"""


USUAL = Limits()


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees of a head.

    Yaw is positive where the nose points to the right of the image, pitch where it points up, roll where the head
    leans clockwise.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


def quality(picture: Picture, detection: Detection, crop: ByteArray, limits: Limits) -> Quality:
    """The quality of a detection whose (height, width, 3) crop is at hand."""
    box = detection.box
    face = pose(detection.landmarks, picture.width, picture.height) if len(detection.landmarks) == 5 else Pose()
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    middle = grey[
        grey.shape[0] // 8 : -(grey.shape[0] // 8) or None, grey.shape[1] // 8 : -(grey.shape[1] // 8) or None
    ]
    measured = Quality(
        score=0.0,
        size=min(box.width * picture.width, box.height * picture.height),
        sharpness=_sharpness(middle),
        brightness=cv2.mean(middle)[0] / 2.55,
        yaw=face.yaw,
        pitch=face.pitch,
        roll=face.roll,
    )
    reason = next((code for broken, code in _rules(measured, box, limits) if broken), "")
    return Quality(
        score=_score(measured, limits),
        reason=reason,
        size=measured.size,
        sharpness=measured.sharpness,
        brightness=measured.brightness,
        yaw=face.yaw,
        pitch=face.pitch,
        roll=face.roll,
    )


def pose(landmarks: Sequence[Point], width: int, height: int) -> Pose:
    """The pose of a head from its five landmarks, in a picture of ``width`` x ``height`` pixels.

    Seen from the front, the nose lies in the middle between the eyes and half way to the mouth, and stands out by
    about half the distance of the eyes; how far it is projected aside is the tangent of the angle.
    """
    left, right, nose, mouth_left, mouth_right = (complex(p.x * width, p.y * height) for p in landmarks)
    across = right - left
    if abs(across) < 1e-6:
        return Pose(yaw=90.0)
    upright = abs(across) / across  # turns the line of the eyes level
    middle = (left + right) / 2
    nose_at, mouth_at = (nose - middle) * upright, ((mouth_left + mouth_right) / 2 - middle) * upright
    aside = nose_at.real / (abs(across) / 2)
    down = nose_at.imag / mouth_at.imag - _NOSE_HEIGHT if mouth_at.imag > 1e-6 else math.inf
    return Pose(
        yaw=math.degrees(math.atan(aside)),
        pitch=math.degrees(math.atan(-down * _FACE_DEPTH)),
        roll=math.degrees(math.atan2(across.imag, across.real)),
    )


_NOSE_HEIGHT = 0.494
"""of the way from eyes to mouth, in the ArcFace template"""
_FACE_DEPTH = 65 / 30
"""millimetres from eyes to mouth over those by which a nose stands out"""
_GOOD_SIZE = 80.0
"""pixels from which size no longer matters"""
_SHARP = 250.0
"""variance of the Laplacian at sharpness 63"""


def _rules(measured: Quality, box: Box, limits: Limits) -> Iterator[tuple[bool, str]]:
    inside = box.clipped().area / box.area if box.area > 0 else 0.0
    yield measured.size < limits.size, "too_small"
    yield inside < 1 - limits.cut_off, "cut_off"
    yield abs(measured.yaw) > limits.yaw or abs(measured.pitch) > limits.pitch, "turned_away"
    yield measured.brightness < limits.brightness, "dark"
    yield measured.sharpness < limits.sharpness, "blurred"


def _sharpness(grey: cv2.typing.MatLike) -> float:
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return 100.0 * (1.0 - math.exp(-(float(deviation[0, 0]) ** 2) / _SHARP))


def _score(measured: Quality, limits: Limits) -> float:
    """0..1: the product of what size, sharpness, pose and light leave of it."""
    size = _ramp(measured.size, limits.size / 2, _GOOD_SIZE)
    sharp = _ramp(measured.sharpness, 0, 50)
    turned = math.cos(math.radians(measured.yaw)) * math.cos(math.radians(measured.pitch))
    light = _ramp(measured.brightness, 0, 25)
    return size * (0.3 + 0.7 * sharp) * max(0.0, turned) * light


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
