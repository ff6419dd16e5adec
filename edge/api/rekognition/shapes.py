"""Our words as Rekognition's structures: 0..100 for 0..1, Width and Height for right and bottom."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from edge.core.types import Box, Detection, Face, Quality

LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
"""in the order of ``Detection.landmarks``; Rekognition's left is the picture's left as well"""


@dataclass(frozen=True)
class DetectedFace:
    """A face in a picture, with what its crop is worth."""

    detection: Detection
    quality: Quality

    @property
    def area(self) -> float:
        return self.detection.box.area


def percent(share: float) -> float:
    """0..100 of 0..1, never past its ends."""
    return round(min(100.0, max(0.0, share * 100)), 4)


def box(found: Box) -> dict[str, float]:
    """Ratios of the picture; a face cut by the border keeps what lies outside."""
    return {
        "Width": round(found.width, 6),
        "Height": round(found.height, 6),
        "Left": round(found.left, 6),
        "Top": round(found.top, 6),
    }


def compared_face(seen: DetectedFace) -> dict[str, Any]:
    """ComparedFace: box, confidence, landmarks, pose, quality."""
    marks = zip(LANDMARKS, seen.detection.landmarks, strict=False)
    quality = seen.quality
    return {
        "BoundingBox": box(seen.detection.box),
        "Confidence": percent(seen.detection.score),
        "Landmarks": [{"Type": kind, "X": round(mark.x, 6), "Y": round(mark.y, 6)} for kind, mark in marks],
        "Pose": {"Roll": degrees(quality.roll), "Yaw": degrees(quality.yaw), "Pitch": degrees(quality.pitch)},
        "Quality": {"Brightness": round(quality.brightness, 4), "Sharpness": round(quality.sharpness, 4)},
    }


face_detail = compared_face
"""FaceDetail holds more attributes, but those no loaded model can tell are left out, not invented."""


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
    return round(min(180.0, max(-180.0, angle)), 4)


def model_version(fingerprint: str) -> str:
    """Digits and dots that stand for an embedding space: faces of two versions cannot be compared."""
    return f"1.{int(hashlib.sha256(fingerprint.encode()).hexdigest()[:7], 16)}"
