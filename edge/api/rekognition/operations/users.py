"""Users: named persons with one combined vector of their faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.quality_filter import UnindexedFace, sort_out
from edge.api.rekognition.search import DEFAULT_THRESHOLD, vector_of
from edge.core.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.core.types import FloatArray
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.users import UserChange, UserMatch, UserRefusal

DEFAULT_PAGE = 500
DEFAULT_USERS = 100
ASSOCIATION_THRESHOLD = 75.0
MOST_FACES = 100
MARGIN = 8
"""users searched in addition to those requested, as some may be rejected"""
FULL = "A user has at most 100 faces."


def create_user(call: Call) -> dict[str, Any]:
    return _once(call, _create)


def delete_user(call: Call) -> dict[str, Any]:
    return _once(call, _delete)


def associate_faces(call: Call) -> dict[str, Any]:
    return _once(call, _associate)


def disassociate_faces(call: Call) -> dict[str, Any]:
    return _once(call, _disassociate)


def list_users(call: Call) -> dict[str, Any]:
    users = call.service.faces.users(call.service.faces.collection(call["CollectionId"]))
    limit = call.get("MaxResults", DEFAULT_PAGE)
    page = users.page(after=call.offset(), limit=limit + 1)
    answer: dict[str, Any] = {
        "Users": [{"UserId": user.user_id, "UserStatus": user.status} for user in page[:limit]],
    }
    if len(page) > limit:
        answer["NextToken"] = call.next_token(str(page[limit - 1].row))
    return answer


def search_users(call: Call) -> dict[str, Any]:
    """Search by a user's vector, or by a face of the collection; the user of the query is not among the matches."""
    collection = call.service.faces.collection(call["CollectionId"])
    users = call.service.faces.users(collection)
    answer: dict[str, Any] = {"FaceModelVersion": call.service.faces.version(collection)}
    user_id = call.get("UserId", "")
    if user_id:
        vector = _found(call, lambda: users.vector(user_id))
        answer["SearchedUser"] = {"UserId": user_id}
    else:
        vector = vector_of(collection, call["FaceId"])
        answer["SearchedFace"] = {"FaceId": call["FaceId"]}
    answer["UserMatches"] = [] if vector is None else _matches(call, collection, vector, but=user_id)
    return answer


def search_users_by_image(call: Call) -> dict[str, Any]:
    """Search by an image; without a valid face the result is empty, unlike SearchFacesByImage."""
    collection = call.service.faces.collection(call["CollectionId"])
    _, picture = call.service.image(call["Image"])
    passed, refused = sort_out(call.service.vision.faces(picture), call.get("QualityFilter", "NONE"))
    others = [*(UnindexedFace(seen, ("FACE_NOT_LARGEST",)) for seen in passed[1:]), *refused]
    answer: dict[str, Any] = {
        "UserMatches": [],
        "UnsearchedFaces": [
            {"FaceDetails": shapes.face_detail(one.seen), "Reasons": list(one.reasons)} for one in others
        ],
        "FaceModelVersion": call.service.faces.version(collection),
    }
    if passed:
        collection.check_space(call.service.vision.space)
        (embedding,) = call.service.vision.embed(picture, passed[:1], still=True)
        answer["SearchedFace"] = {"FaceDetail": shapes.face_detail(passed[0])}
        answer["UserMatches"] = _matches(call, collection, embedding.vector)
    return answer


def _create(call: Call) -> dict[str, Any]:
    users = call.service.faces.users(call.service.faces.collection(call["CollectionId"]))
    try:
        users.create(call["UserId"])
    except ConflictError as error:
        raise ApiError("ConflictException", f"The user id: {call['UserId']} already exists") from error
    return {}


def _delete(call: Call) -> dict[str, Any]:
    users = call.service.faces.users(call.service.faces.collection(call["CollectionId"]))
    _found(call, lambda: users.delete(call["UserId"]))
    return {}


def _associate(call: Call) -> dict[str, Any]:
    users = call.service.faces.users(call.service.faces.collection(call["CollectionId"]))
    lowest, scorer = call.get("UserMatchThreshold", ASSOCIATION_THRESHOLD), call.service.vision.scorer
    change = _found(call, lambda: users.associate(call["UserId"], call["FaceIds"], lowest, scorer))
    if not change.done and any(one.reason == "FULL" for one in change.refused):
        raise ApiError("ServiceQuotaExceededException", FULL)
    return {
        "AssociatedFaces": [{"FaceId": face_id} for face_id in change.done],
        "UnsuccessfulFaceAssociations": [_unsuccessful(one) for one in change.refused],
        "UserStatus": change.user.status,
    }


def _disassociate(call: Call) -> dict[str, Any]:
    users = call.service.faces.users(call.service.faces.collection(call["CollectionId"]))
    change: UserChange = _found(call, lambda: users.disassociate(call["UserId"], call["FaceIds"]))
    return {
        "DisassociatedFaces": [{"FaceId": face_id} for face_id in change.done],
        "UnsuccessfulFaceDisassociations": [_unsuccessful(one) for one in change.refused],
        "UserStatus": change.user.status,
    }


def _once(call: Call, operate: Callable[[Call], dict[str, Any]]) -> dict[str, Any]:
    """Run once per ClientRequestToken; a repeat returns the first response."""
    token = call.get("ClientRequestToken")
    if token is None:
        return operate(call)
    request = {name: value for name, value in call.members.items() if name != "ClientRequestToken"}
    answer = call.service.store.replay(call.operation, token, request)
    if answer is None:
        answer = operate(call)
        call.service.store.remember(call.operation, token, request, answer)
    return answer


def _found(call: Call, look: Callable[[], Any]) -> Any:
    try:
        return look()
    except NotFoundError as error:
        raise ApiError("ResourceNotFoundException", f"The user id: {call['UserId']} does not exist") from error


def _matches(call: Call, collection: Collection, vector: FloatArray, but: str = "") -> list[dict[str, Any]]:
    limit = call.get("MaxUsers", DEFAULT_USERS)
    threshold = call.get("UserMatchThreshold", DEFAULT_THRESHOLD)
    found = call.service.faces.users(collection).search(vector, limit + bool(but) + MARGIN, call.service.vision.scorer)
    found = _not_held_away(call, collection, vector, found)
    hits = [(one.user_id, one.likeness) for one in found if one.user_id != but]
    return [
        {"Similarity": value, "User": {"UserId": user_id, "UserStatus": "ACTIVE"}}
        for user_id, value in hits[:limit]
        if value >= threshold
    ]


def _not_held_away(call: Call, collection: Collection, vector: FloatArray, found: list[UserMatch]) -> list[UserMatch]:
    """The matches without users of subjects that review rejected for this embedding."""
    away = call.service.faces.rejected(collection, vector)
    if not away:
        return found
    users = call.service.faces.users(collection)

    def subjects(user_id: str) -> set[str | None]:
        faces, _ = users.faces(user_id=user_id, limit=MOST_FACES)
        return {face.subject for face, _ in faces}

    return [one for one in found if not away & {one.user_id, *subjects(one.user_id)}]


def _unsuccessful(one: UserRefusal) -> dict[str, Any]:
    """UnsuccessfulFaceAssociation; Rekognition has no Reason for a full user, so that the list is empty."""
    answer: dict[str, Any] = {"FaceId": one.face_id, "Reasons": [] if one.reason == "FULL" else [one.reason]}
    if one.user_id is not None:
        answer["UserId"] = one.user_id
    if one.likeness is not None:
        answer["Confidence"] = one.likeness
    return answer
