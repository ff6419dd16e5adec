"""Operations on single pictures that store nothing: DetectFaces and CompareFaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge.api.rekognition import shapes
from edge.api.rekognition.errors import NO_FACES, ApiError
from edge.api.rekognition.face_details import asked_attributes, face_details
from edge.api.rekognition.quality_filter import sort_out
from edge.api.rekognition.search import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.shapes import DetectedFace
    from edge.core.types import Embedding


def detect_faces(call: Call) -> dict[str, Any]:
    """Box, landmarks, pose and quality, and the requested attributes."""
    _, picture = call.service.image(call["Image"])
    vision, attributes = call.service.vision, asked_attributes(call.get("Attributes", ()), call.service.settings.api)
    return {"FaceDetails": face_details(vision, picture, vision.faces(picture), attributes)}


def compare_faces(call: Call) -> dict[str, Any]:
    """Compare the largest face of the source with each face of the target."""
    source, (wanted,) = _embedded(call, "SourceImage", 1)
    targets, embeddings = _embedded(call, "TargetImage", None)
    threshold = call.get("SimilarityThreshold", DEFAULT_THRESHOLD)
    alike = call.service.vision.scorer.compare(wanted.vector, np.stack([one.vector for one in embeddings]))
    compared = list(zip(alike, targets, strict=True))
    compared.sort(key=lambda pair: pair[0], reverse=True)
    return {
        "SourceImageFace": {
            "BoundingBox": shapes.box(source[0].detection.box),
            "Confidence": shapes.percent(source[0].detection.score),
        },
        "FaceMatches": [
            {"Similarity": value, "Face": shapes.compared_face(seen)} for value, seen in compared if value >= threshold
        ],
        "UnmatchedFaces": [shapes.compared_face(seen) for value, seen in compared if value < threshold],
    }


def _embedded(call: Call, member: str, most: int | None) -> tuple[list[DetectedFace], list[Embedding]]:
    """The ``most`` largest faces of an image and their embeddings. Raises ApiError where there are no faces."""
    _, picture = call.service.image(call[member])
    passed, _ = sort_out(call.service.vision.faces(picture), call.get("QualityFilter", "NONE"))
    if not passed:
        raise ApiError("InvalidParameterException", NO_FACES)
    return passed[:most], call.service.vision.embed(picture, passed[:most], still=True)
