"""Conversion to Rekognition's structures: 0..1 to 0..100, right and bottom to Width and Height."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.core.types import Box, Detection, Face, Quality

LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
"""in the order of ``Detection.landmarks``; left means the left of the picture, as in Rekognition"""
TIMES = ("Timestamp", "timestamp", "FrameOffsetInSeconds")
"""name endings of members in seconds"""
GRID = float(1 << 24)


@dataclass(frozen=True)
class DetectedFace:
    """A face in a picture, with the quality of its crop."""

    detection: Detection
    quality: Quality

    @property
    def area(self) -> float:
        return self.detection.box.area


def float32(value: Any, name: str = "") -> Any:
    """A response with every number rounded as in the service's model: floats to 32 bits, times to 64.

    Clients rely on it: such a number has few enough decimal digits for a DynamoDB table.
    """
    if isinstance(value, float):
        if name.endswith(TIMES):
            return round(value, 3)
        # numbers near zero have more digits, so they go to the next step of a fixed grid
        return float(np.float32(value)) if abs(value) >= 1 / 8192 else round(value * GRID) / GRID
    if isinstance(value, dict):
        return {key: float32(one, key) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [float32(one, name) for one in value]
    return value


def percent(share: float) -> float:
    """0..1 as 0..100, clamped."""
    return min(100.0, max(0.0, share * 100))


def box(found: Box) -> dict[str, float]:
    """Fractions of the picture; a face cut by the border keeps the part outside."""
    return {
        "Width": found.width,
        "Height": found.height,
        "Left": found.left,
        "Top": found.top,
    }


def compared_face(seen: DetectedFace) -> dict[str, Any]:
    """ComparedFace: box, confidence, landmarks, pose, quality."""
    marks = zip(LANDMARKS, seen.detection.landmarks, strict=False)
    quality = seen.quality
    return {
        "BoundingBox": box(seen.detection.box),
        "Confidence": percent(seen.detection.score),
        "Landmarks": [{"Type": kind, "X": mark.x, "Y": mark.y} for kind, mark in marks],
        "Pose": {"Roll": degrees(quality.roll), "Yaw": degrees(quality.yaw), "Pitch": degrees(quality.pitch)},
        "Quality": {"Brightness": quality.brightness, "Sharpness": quality.sharpness},
    }


face_detail = compared_face
"""members of FaceDetail, except the attributes that ``edge.api.rekognition.face_details`` adds"""


def face(found: Face, model_version: str, user_id: str | None = None) -> dict[str, Any]:
    """Face: an entry of a collection. ``Confidence`` is the detector's, never a similarity."""
    shape = {
        "FaceId": found.face_id,
        "BoundingBox": box(found.box or Box(0.0, 0.0, 0.0, 0.0)),
        "ImageId": found.image_id,
        "Confidence": percent(found.confidence),
        "IndexFacesModelVersion": model_version,
    }
    if found.external_image_id:
        shape["ExternalImageId"] = found.external_image_id
    if user_id:
        shape["UserId"] = user_id
    return shape


def degrees(angle: float) -> float:
    """-180..180."""
    return min(180.0, max(-180.0, angle))


def model_version(fingerprint: str) -> str:
    """Version string of digits and dots for an embedding space; faces of two versions cannot be compared."""
    return f"1.{int(hashlib.sha256(fingerprint.encode()).hexdigest()[:7], 16)}"
