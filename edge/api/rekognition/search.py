"""Search in a collection with Rekognition's thresholds: likeness 0..100, normalized and calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge.api.rekognition import shapes
from edge.api.rekognition.errors import NO_FACES, UNKNOWN_FACE, ApiError
from edge.api.rekognition.quality_filter import sort_out
from edge.core.errors import NotFoundError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.service import Service
    from edge.api.rekognition.shapes import DetectedFace
    from edge.core.types import FloatArray, Picture
    from edge.recognition.store.collection import Collection

DEFAULT_THRESHOLD = 80.0
DEFAULT_MATCHES = 100


def largest_face(call: Call, picture: Picture) -> DetectedFace:
    """The largest face that passes the QualityFilter. Raises ApiError where there is none."""
    passed, _ = sort_out(call.service.vision.faces(picture), call.get("QualityFilter", "NONE"))
    if not passed:
        raise ApiError("InvalidParameterException", NO_FACES)
    return passed[0]


def face_matches(
    service: Service, collection: Collection, vector: FloatArray, limit: int, threshold: float | None, but: str = ""
) -> list[dict[str, Any]]:
    """FaceMatches of a (dimensions,) query, best first, without the face ``but``.

    ``threshold``: 0..100; None: ``default_threshold``.
    """
    lowest = default_threshold(service, collection) if threshold is None else threshold
    found = service.search(collection).faces(vector[np.newaxis], limit=limit + bool(but))[0]
    hits = [(one.face_id, one.likeness) for one in found if one.face_id != but and one.likeness >= lowest][:limit]
    known = faces_by_id(service, collection, [face_id for face_id, _ in hits])
    return [{"Similarity": value, "Face": known[face_id]} for face_id, value in hits if face_id in known]


def default_threshold(service: Service, collection: Collection) -> float:
    """What a match must reach where a request does not say: Rekognition's 80, or more in a large collection."""
    return max(DEFAULT_THRESHOLD, service.search(collection).needed)


def held_away(service: Service, collection: Collection, vector: FloatArray) -> set[str]:
    """Subjects that review rejected for a (dimensions,) query: a rejected embedding is nearer than their faces."""
    anchors = service.anchors.subjects(collection.name, collection.space or "")
    away = set()
    for subject, looks in anchors.items():
        faces = collection.vectors([face.face_id for face in collection.faces(limit=-1, subject=subject)])
        if len(faces) and float((looks @ vector).max()) > float((faces @ vector).max()):
            away.add(subject)
    return away


def faces_by_id(service: Service, collection: Collection, face_ids: list[str]) -> dict[str, dict[str, Any]]:
    """FaceId -> Face, with the user that it is tied to; unknown ids are left out."""
    owners = service.users(collection).owners(face_ids)
    version = collection_version(service, collection)
    known = collection.known(face_ids)
    return {face_id: shapes.face(face, version, owners.get(face_id)) for face_id, face in known.items()}


def vector_of(collection: Collection, face_id: str) -> FloatArray:
    """(dimensions,) of a face of the collection. Raises ApiError."""
    try:
        vector: FloatArray = collection.vectors([face_id])[0]
    except NotFoundError as error:
        raise ApiError("InvalidParameterException", UNKNOWN_FACE) from error
    return vector


def collection_version(service: Service, collection: Collection) -> str:
    """The face model's version: of the faces in the collection, or of those to come."""
    space = collection.space if collection.count else None
    return shapes.model_version(space) if space else service.vision.model_version
