"""Search in a collection with Rekognition's thresholds: calibrated similarity scores 0..100."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge.api.rekognition import shapes
from edge.api.rekognition.errors import NO_FACES, UNKNOWN_FACE, ApiError
from edge.api.rekognition.quality_filter import sort_out
from edge.core.errors import NotFoundError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.shapes import DetectedFace
    from edge.api.rekognition.vision import Vision
    from edge.core.settings.schema import Settings
    from edge.core.types import FloatArray, Picture
    from edge.recognition.review.rejections import RejectionIndex
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.collections import Collections
    from edge.recognition.store.users import Users
    from edge.recognition.subject_search import SubjectSearch

DEFAULT_THRESHOLD = 80.0
DEFAULT_MATCHES = 100


def largest_face(call: Call, picture: Picture) -> DetectedFace:
    """The largest face that passes the QualityFilter. Raises ApiError where there is none."""
    passed, _ = sort_out(call.service.vision.faces(picture), call.get("QualityFilter", "NONE"))
    if not passed:
        raise ApiError("InvalidParameterException", NO_FACES)
    return passed[0]


class FaceSearch:
    """Search in the collections of this device. Caches users and score statistics. Thread-safe."""

    def __init__(
        self, settings: Settings, collections: Collections, vision: Vision, rejections: RejectionIndex
    ) -> None:
        self._settings, self._vision = settings, vision
        self.collections, self._rejections = collections, rejections
        self._users: dict[str, Users] = {}
        self._searches: dict[str, SubjectSearch] = {}

    def collection(self, name: str) -> Collection:
        """The collection of this name. Raises ApiError where it does not exist."""
        try:
            return self.collections.get(name)
        except NotFoundError as error:
            raise ApiError("ResourceNotFoundException", f"The collection id: {name} does not exist") from error

    def users(self, collection: Collection) -> Users:
        """The users of a collection."""
        from edge.recognition.store.users import Users

        users = self._users.get(collection.name)
        if users is None or users.number != collection.number:
            users = self._users[collection.name] = Users(self.collections.store, collection.name, collection.number)
        return users

    def version(self, collection: Collection) -> str:
        """The face model version of the collection's faces, or of future faces where it is empty."""
        space = collection.space if collection.count else None
        return shapes.model_version(space) if space else self._vision.model_version

    def matches(
        self, collection: Collection, vector: FloatArray, limit: int, threshold: float | None, but: str = ""
    ) -> list[dict[str, Any]]:
        """FaceMatches of a (dimensions,) query, best first, excluding the face ``but``.

        ``threshold``: 0..100; None: Rekognition's 80, or more in a large collection.
        """
        search = self._search(collection)
        lowest = max(DEFAULT_THRESHOLD, search.needed) if threshold is None else threshold
        found = search.faces(vector[np.newaxis], limit=limit + bool(but))[0]
        hits = [(one.face_id, one.likeness) for one in found if one.face_id != but and one.likeness >= lowest][:limit]
        known = self.faces_by_id(collection, [face_id for face_id, _ in hits])
        return [{"Similarity": value, "Face": known[face_id]} for face_id, value in hits if face_id in known]

    def faces_by_id(self, collection: Collection, face_ids: list[str]) -> dict[str, dict[str, Any]]:
        """FaceId -> Face, with its user; unknown ids are left out."""
        owners = self.users(collection).owners(face_ids)
        version = self.version(collection)
        known = collection.known(face_ids)
        return {face_id: shapes.face(face, version, owners.get(face_id)) for face_id, face in known.items()}

    def rejected(self, collection: Collection, vector: FloatArray) -> set[str]:
        """Subjects rejected in review for a (dimensions,) query: a rejected embedding is nearer than their faces."""
        rejections = self._rejections.subjects(collection.name, collection.space or "")
        away = set()
        for subject, looks in rejections.items():
            faces = collection.vectors([face.face_id for face in collection.faces(limit=-1, subject=subject)])
            if len(faces) and float((looks @ vector).max()) > float((faces @ vector).max()):
                away.add(subject)
        return away

    def _search(self, collection: Collection) -> SubjectSearch:
        from edge.recognition.identification import subject_search

        found = self._searches.get(collection.name)
        if found is None or found.collection is not collection:
            scorer, label = self._vision.scorer, self._settings.api.label
            found = subject_search(self._settings, label, scorer, collection, rejections=self._rejections)
            self._searches[collection.name] = found
        return found


def vector_of(collection: Collection, face_id: str) -> FloatArray:
    """(dimensions,) embedding of a face in the collection. Raises ApiError."""
    try:
        vector: FloatArray = collection.vectors([face_id])[0]
    except NotFoundError as error:
        raise ApiError("InvalidParameterException", UNKNOWN_FACE) from error
    return vector
