"""Collections: create, describe, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError
from edge.core.errors import ConflictError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call

DEFAULT_PAGE = 1000


def create_collection(call: Call) -> dict[str, Any]:
    name = call["CollectionId"]
    resource = f"collection/{name}"
    version = call.service.vision.model_version
    try:
        call.service.collections.create(name)
    except ConflictError as error:
        raise ApiError("ResourceAlreadyExistsException", f"The collection id: {name} already exists") from error
    # drop the tags of a former collection with this name that another program deleted
    call.service.store.untag(resource)
    call.service.store.tag(resource, call.get("Tags", {}))
    return {"StatusCode": 200, "CollectionArn": call.arn(resource), "FaceModelVersion": version}


def describe_collection(call: Call) -> dict[str, Any]:
    collection = call.service.faces.collection(call["CollectionId"])
    return {
        "FaceCount": collection.count,
        "FaceModelVersion": call.service.faces.version(collection),
        "CollectionARN": call.arn(f"collection/{collection.name}"),
        "CreationTimestamp": collection.created(),
        "UserCount": call.service.faces.users(collection).count(),
    }


def list_collections(call: Call) -> dict[str, Any]:
    after = call.position()
    limit = call.get("MaxResults") or DEFAULT_PAGE
    names = [name for name in call.service.collections.names() if name > after]
    page = [call.service.faces.collection(name) for name in names[:limit]]
    answer: dict[str, Any] = {
        "CollectionIds": [collection.name for collection in page],
        "FaceModelVersions": [call.service.faces.version(collection) for collection in page],
    }
    if len(names) > limit:
        answer["NextToken"] = call.next_token(names[limit - 1])
    return answer


def delete_collection(call: Call) -> dict[str, Any]:
    collection = call.service.faces.collection(call["CollectionId"])
    call.service.collections.delete(collection.name)
    call.service.store.untag(f"collection/{collection.name}")
    call.service.processors.collection_gone(collection.name)
    return {"StatusCode": 200}
