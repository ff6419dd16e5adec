"""FaceDetail: common members, and the requested attributes, computed by the model of ``api.attribute_model``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes

if TYPE_CHECKING:
    from edge.api.rekognition.shapes import DetectedFace
    from edge.api.rekognition.vision import Vision
    from edge.core.settings.services import ApiSettings
    from edge.core.types import Picture
    from edge.inference.face_attributes import FaceAttributes

Member = Callable[["DetectedFace", "FaceAttributes"], Any]


def asked_attributes(names: Iterable[str], settings: ApiSettings) -> frozenset[str]:
    """The requested attributes that are configured; ``ALL`` means all of ``api.attributes``."""
    asked = set(names)
    chosen = frozenset(settings.attributes)
    return chosen if "ALL" in asked else chosen & asked


def face_details(
    vision: Vision, picture: Picture, faces: Sequence[DetectedFace], attributes: frozenset[str]
) -> list[dict[str, Any]]:
    """A FaceDetail for each face, in order; the model runs only where attributes are requested. Raises ModelError."""
    if not attributes:
        return [shapes.face_detail(seen) for seen in faces]
    model = vision.attribute_model()
    return [_described(seen, model.attributes(picture, seen.detection), attributes) for seen in faces]


def _described(seen: DetectedFace, found: FaceAttributes, attributes: frozenset[str]) -> dict[str, Any]:
    detail = shapes.face_detail(seen)
    for name in sorted(attributes):
        member, value_of = MEMBERS[name]
        value = value_of(seen, found)
        if value is not None:
            detail[member] = value
    return detail


def _truth(member: str) -> tuple[str, Member]:
    def value_of(_: DetectedFace, found: FaceAttributes) -> dict[str, Any] | None:
        value = found.values.get(member)
        return None if value is None else {"Value": value.value, "Confidence": shapes.percent(value.probability)}

    return member, value_of


def _gender(_: DetectedFace, found: FaceAttributes) -> dict[str, Any] | None:
    value = found.values.get("Gender")
    if value is None:
        return None
    return {"Value": "Male" if value.value else "Female", "Confidence": shapes.percent(value.probability)}


def _age(_: DetectedFace, found: FaceAttributes) -> dict[str, int]:
    low, high = found.age
    return {"Low": low, "High": high}


def _emotions(_: DetectedFace, found: FaceAttributes) -> list[dict[str, Any]]:
    return [{"Type": name, "Confidence": shapes.percent(share)} for name, share in found.emotions.items()]


def _landmarks(seen: DetectedFace, found: FaceAttributes) -> list[dict[str, Any]]:
    """The detector's five landmarks, where present, then those of the attribute model."""
    own = {name: found.landmarks[name] for name in found.landmarks}
    own |= dict(zip(shapes.LANDMARKS, seen.detection.landmarks, strict=False))
    return [{"Type": name, "X": place.x, "Y": place.y} for name, place in own.items()]


def _eye_direction(seen: DetectedFace, found: FaceAttributes) -> dict[str, float]:
    """Gaze direction in degrees: the head pose plus the rotation of the eyes."""
    yaw, pitch = seen.quality.yaw + found.eyes.yaw, seen.quality.pitch + found.eyes.pitch
    return {
        "Yaw": shapes.degrees(yaw),
        "Pitch": shapes.degrees(pitch),
        "Confidence": shapes.percent(found.eyes.probability),
    }


MEMBERS: dict[str, tuple[str, Member]] = {
    "AGE_RANGE": ("AgeRange", _age),
    "BEARD": _truth("Beard"),
    "EMOTIONS": ("Emotions", _emotions),
    "EYE_DIRECTION": ("EyeDirection", _eye_direction),
    "EYEGLASSES": _truth("Eyeglasses"),
    "EYES_OPEN": _truth("EyesOpen"),
    "FACE_OCCLUDED": _truth("FaceOccluded"),
    "GENDER": ("Gender", _gender),
    "LANDMARKS": ("Landmarks", _landmarks),
    "MOUTH_OPEN": _truth("MouthOpen"),
    "MUSTACHE": _truth("Mustache"),
    "SMILE": _truth("Smile"),
    "SUNGLASSES": _truth("Sunglasses"),
}
"""attribute of ``api.attributes`` (Rekognition's names, and LANDMARKS) -> (member of FaceDetail, its value)"""
