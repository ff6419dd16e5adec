"""Faces of a collection: index, list, delete, search."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.face_details import asked_attributes, face_details
from edge.api.rekognition.quality_filter import UnindexedFace, best_of, sort_out
from edge.api.rekognition.search import (
    DEFAULT_MATCHES,
    largest_face,
    vector_of,
)
from edge.api.rekognition.vision import MOST_FACES

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.shapes import DetectedFace
    from edge.core.types import Embedding, Face, Picture
    from edge.recognition.store.collection import Collection

DEFAULT_PAGE = 1000


def index_faces(call: Call) -> dict[str, Any]:
    """Index the faces of an image; they are searchable when this returns."""
    collection = call.service.faces.collection(call["CollectionId"])
    data, picture = call.service.image(call["Image"])
    passed, refused = sort_out(call.service.vision.faces(picture), call.get("QualityFilter", "AUTO"))
    chosen, surplus = best_of(passed, min(call.get("MaxFaces", MOST_FACES), MOST_FACES))
    attributes = asked_attributes(call.get("DetectionAttributes", ()), call.service.settings.api)
    details = face_details(call.service.vision, picture, chosen, attributes)
    faces = _stored(call, collection, hashlib.sha256(data).hexdigest(), picture, chosen)
    version = call.service.faces.version(collection)
    known = call.service.faces.faces_by_id(collection, [face.face_id for face in faces])
    return {
        "FaceRecords": [
            {"Face": known.get(face.face_id, shapes.face(face, version)), "FaceDetail": detail}
            for face, detail in zip(faces, details, strict=True)
        ],
        "UnindexedFaces": [unindexed(one) for one in (*refused, *surplus)],
        "FaceModelVersion": version,
    }


def list_faces(call: Call) -> dict[str, Any]:
    collection = call.service.faces.collection(call["CollectionId"])
    limit = call.get("MaxResults") or DEFAULT_PAGE
    page, following = call.service.faces.users(collection).faces(
        after=call.offset(), limit=limit, user_id=call.get("UserId"), face_ids=call.get("FaceIds")
    )
    version = call.service.faces.version(collection)
    answer: dict[str, Any] = {
        "Faces": [shapes.face(face, version, user_id) for face, user_id in page],
        "FaceModelVersion": version,
    }
    if following is not None:
        answer["NextToken"] = call.next_token(str(following))
    return answer


def delete_faces(call: Call) -> dict[str, Any]:
    """Delete faces; a face that cannot be deleted is listed with its reason instead of failing the call.

    ``DeletedFaces`` may be empty, although the service model declares a minimum of 1: programs read its length.
    """
    collection = call.service.faces.collection(call["CollectionId"])
    asked = list(dict.fromkeys(call["FaceIds"]))
    deleted, owners = call.service.faces.users(collection).delete_untied(asked)
    kept = [face_id for face_id in asked if face_id not in deleted]
    return {
        "DeletedFaces": deleted,
        "UnsuccessfulFaceDeletions": [_undeleted(one, owners.get(one)) for one in kept],
    }


def search_faces(call: Call) -> dict[str, Any]:
    collection = call.service.faces.collection(call["CollectionId"])
    face_id = call["FaceId"]
    vector = vector_of(collection, face_id)
    return {
        "SearchedFaceId": face_id,
        "FaceMatches": call.service.faces.matches(collection, vector, *_asked(call), but=face_id),
        "FaceModelVersion": call.service.faces.version(collection),
    }


def search_faces_by_image(call: Call) -> dict[str, Any]:
    collection = call.service.faces.collection(call["CollectionId"])
    _, picture = call.service.image(call["Image"])
    seen = largest_face(call, picture)
    (embedding,) = call.service.vision.embed(picture, [seen], still=True)
    collection.check_space(call.service.vision.space)
    return {
        "SearchedFaceBoundingBox": shapes.box(seen.detection.box),
        "SearchedFaceConfidence": shapes.percent(seen.detection.score),
        "FaceMatches": call.service.faces.matches(collection, embedding.vector, *_asked(call)),
        "FaceModelVersion": call.service.faces.version(collection),
    }


def unindexed(one: UnindexedFace) -> dict[str, Any]:
    return {"Reasons": list(one.reasons), "FaceDetail": shapes.face_detail(one.seen)}


def _stored(
    call: Call, collection: Collection, digest: str, picture: Picture, chosen: list[DetectedFace]
) -> list[Face]:
    from edge.recognition.enrollment import Enroller

    if not chosen:
        return []
    collection.check_space(call.service.vision.space)
    most = call.service.settings.api.max_faces
    if collection.count + len(chosen) > most:
        raise ApiError("ServiceQuotaExceededException", f"A collection on this device has at most {most} faces.")
    embeddings = call.service.vision.embed(picture, chosen, still=True)
    new = [_new_face(call, digest, seen, one) for seen, one in zip(chosen, embeddings, strict=True)]
    return Enroller(collection).add_indexed(new, call.service.vision.space)


def _new_face(call: Call, digest: str, seen: DetectedFace, embedding: Embedding) -> Any:
    from edge.recognition.store.face_rows import NewFace

    name = call.get("ExternalImageId")
    return NewFace(
        vector=embedding.vector,
        subject=name,
        image_sha256=digest,
        box=seen.detection.box,
        confidence=seen.detection.score,
        quality=embedding.quality.score,
        external_image_id=name,
    )


def _asked(call: Call) -> tuple[int, float]:
    """MaxFaces and FaceMatchThreshold."""
    return call.get("MaxFaces", DEFAULT_MATCHES), call.get("FaceMatchThreshold", None)


def _undeleted(face_id: str, owner: str | None) -> dict[str, Any]:
    if owner is None:
        return {"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]}
    return {"FaceId": face_id, "UserId": owner, "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}
