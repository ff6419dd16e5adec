"""Celebrities: all faces of a picture are searched in the collection ``api.celebrities``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.errors import ApiError
from edge.core.errors import SettingsError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.search import FaceSearch
    from edge.api.rekognition.shapes import DetectedFace
    from edge.api.rekognition.vision import Vision
    from edge.core.settings.schema import Settings
    from edge.core.types import Picture
    from edge.recognition.store.collection import Collection

UNLISTED = {"Type": "Unlisted"}
"""KnownGender of every subject: no gender is stored, but clients read the member"""
MOST_LISTED = 100_000
"""users searched for an Id"""


@dataclass(frozen=True)
class Celebrity:
    """A recognized subject of the collection."""

    name: str
    confidence: float
    """0..100"""

    @property
    def id(self) -> str:
        return id_of(self.name)


def recognize_celebrities(call: Call) -> dict[str, Any]:
    collection = celebrities(call.service.settings, call.service.faces)
    _, picture = call.service.image(call["Image"])
    seen = call.service.vision.faces(picture)
    found = recognized(call.service.faces, call.service.vision, collection, picture, seen)
    return {
        "CelebrityFaces": [
            {
                "Urls": urls_of(call.service.settings, who.name),
                "Name": who.name,
                "Id": who.id,
                "Face": shapes.compared_face(face),
                "MatchConfidence": who.confidence,
                "KnownGender": UNLISTED,
            }
            for face, who in zip(seen, found, strict=True)
            if who is not None
        ],
        "UnrecognizedFaces": [shapes.compared_face(face) for face, who in zip(seen, found, strict=True) if who is None],
    }


def get_celebrity_info(call: Call) -> dict[str, Any]:
    collection = celebrities(call.service.settings, call.service.faces)
    users = (user.user_id for user in call.service.faces.users(collection).page(limit=MOST_LISTED))
    for name in (*collection.subjects(), *users):
        if id_of(name) == call["Id"]:
            return {"Urls": urls_of(call.service.settings, name), "Name": name, "KnownGender": UNLISTED}
    raise ApiError("ResourceNotFoundException", "Could not find the celebrity with this Id.")


def celebrities(settings: Settings, faces: FaceSearch) -> Collection:
    """The collection ``api.celebrities``. Raises SettingsError where it is not set or does not exist."""
    name = settings.api.celebrities
    if not name:
        raise SettingsError("no collection is configured for celebrities", "set api.celebrities to a collection's name")
    if name not in faces.collections:
        raise SettingsError(
            f"api.celebrities: collection {name!r} does not exist",
            "create it with CreateCollection, or 'edge enroll'",
        )
    return faces.collection(name)


def recognized(
    faces: FaceSearch, vision: Vision, collection: Collection, picture: Picture, seen: Sequence[DetectedFace]
) -> list[Celebrity | None]:
    """The celebrity of each face; None for a face without a match."""
    if not seen:
        return []
    collection.check_space(vision.space)
    return [
        _named(collection, faces.matches(collection, one.vector, 1, None))
        for one in vision.embed(picture, seen, still=True)
    ]


def urls_of(settings: Settings, name: str) -> list[str]:
    return list(settings.api.celebrity_urls.get(name, ()))


def id_of(name: str) -> str:
    """An id of letters and digits, derived from a name."""
    return base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:10].lower()


def _named(collection: Collection, matches: list[dict[str, Any]]) -> Celebrity | None:
    if not matches:
        return None
    face = matches[0]["Face"]
    subject = collection.known([face["FaceId"]])[face["FaceId"]].subject
    name = face.get("UserId") or face.get("ExternalImageId") or subject
    return Celebrity(name, matches[0]["Similarity"]) if name else None
