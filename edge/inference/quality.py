"""Crop quality: size, sharpness, brightness, head pose and completeness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from edge.core.types import Box, Detection, Picture, Point, Quality

if TYPE_CHECKING:
    from edge.core.types import ByteArray


@dataclass(frozen=True)
class QualityLimits:
    """Limits beyond which a crop is not embedded."""

    size: float = 20.0
    """minimum length of the shorter side of the box, pixels"""
    sharpness: float = 8.0
    """0..100"""
    brightness: float = 10.0
    """0..100"""
    yaw: float = 60.0
    """maximum yaw to either side, degrees"""
    pitch: float = 50.0
    cut_off: float = 0.25
    """maximum share of the box outside the frame"""


USUAL = QualityLimits()


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head pose in degrees.

    Yaw is positive where the nose points to the right of the image, pitch where it points up, roll where the head
    leans clockwise.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


def quality(picture: Picture, detection: Detection, crop: ByteArray, limits: QualityLimits) -> Quality:
    """The quality of a detection with this (height, width, 3) crop."""
    box = detection.box
    face = pose(detection.landmarks, picture.width, picture.height) if len(detection.landmarks) == 5 else HeadPose()
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    middle = gray[
        gray.shape[0] // 8 : -(gray.shape[0] // 8) or None, gray.shape[1] // 8 : -(gray.shape[1] // 8) or None
    ]
    size, sharpness = min(box.width * picture.width, box.height * picture.height), _sharpness(middle)
    brightness = cv2.mean(middle)[0] / 2.55
    return Quality(
        score=_score(size, sharpness, brightness, face, limits),
        reason=_reason(size, sharpness, brightness, face, box, limits),
        size=size,
        sharpness=sharpness,
        brightness=brightness,
        yaw=face.yaw,
        pitch=face.pitch,
        roll=face.roll,
    )


def pose(landmarks: Sequence[Point], width: int, height: int) -> HeadPose:
    """The pose of a head from its five landmarks, in a picture of ``width`` x ``height`` pixels.

    In a frontal view, the nose is midway between the eyes and half way to the mouth, and protrudes by
    about half the distance of the eyes; the angle follows from its projected offset by the tangent.
    """
    left, right, nose, mouth_left, mouth_right = (complex(p.x * width, p.y * height) for p in landmarks)
    across = right - left
    if abs(across) < 1e-6:
        return HeadPose(yaw=90.0)
    upright = abs(across) / across  # rotates the line between the eyes to horizontal
    middle = (left + right) / 2
    nose_at, mouth_at = (nose - middle) * upright, ((mouth_left + mouth_right) / 2 - middle) * upright
    aside = nose_at.real / (abs(across) / 2)
    down = nose_at.imag / mouth_at.imag - _NOSE_HEIGHT if mouth_at.imag > 1e-6 else math.inf
    return HeadPose(
        yaw=math.degrees(math.atan(aside)),
        pitch=math.degrees(math.atan(-down * _FACE_DEPTH)),
        roll=math.degrees(math.atan2(across.imag, across.real)),
    )


_NOSE_HEIGHT = 0.494
"""vertical position of the nose between eyes and mouth (0..1), in the ArcFace template"""
_FACE_DEPTH = 65 / 30
"""distance from eyes to mouth divided by the protrusion of the nose"""
_GOOD_SIZE = 80.0
"""size in pixels from which the score no longer increases"""
_SHARP = 250.0
"""variance of the Laplacian at sharpness 63"""


def _reason(size: float, sharpness: float, brightness: float, face: HeadPose, box: Box, limits: QualityLimits) -> str:
    """Code of the first violated limit; empty: none."""
    inside = box.clipped().area / box.area if box.area > 0 else 0.0
    rules = (
        (size < limits.size, "too_small"),
        (inside < 1 - limits.cut_off, "cut_off"),
        (abs(face.yaw) > limits.yaw or abs(face.pitch) > limits.pitch, "turned_away"),
        (brightness < limits.brightness, "dark"),
        (sharpness < limits.sharpness, "blurred"),
    )
    return next((code for broken, code in rules if broken), "")


def _sharpness(gray: cv2.typing.MatLike) -> float:
    _, deviation = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
    return 100.0 * (1.0 - math.exp(-(float(deviation[0, 0]) ** 2) / _SHARP))


def _score(size: float, sharpness: float, brightness: float, face: HeadPose, limits: QualityLimits) -> float:
    """Score 0..1: product of the factors of size, sharpness, pose and brightness."""
    sharp = _ramp(sharpness, 0, 50)
    turned = math.cos(math.radians(face.yaw)) * math.cos(math.radians(face.pitch))
    light = _ramp(brightness, 0, 25)
    return _ramp(size, limits.size / 2, _GOOD_SIZE) * (0.3 + 0.7 * sharp) * max(0.0, turned) * light


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
