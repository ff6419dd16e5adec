"""Tags of collections and stream processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.api.rekognition.call import resource_of
from edge.api.rekognition.errors import ApiError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call


def tag_resource(call: Call) -> dict[str, Any]:
    call.service.store.tag(_existing(call), call["Tags"])
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    call.service.store.untag(_existing(call), call["TagKeys"])
    return {}


def list_tags_for_resource(call: Call) -> dict[str, Any]:
    return {"Tags": call.service.store.tags(_existing(call))}


def _existing(call: Call) -> str:
    """The resource of the ARN, which must exist. Raises ApiError."""
    resource = resource_of(call["ResourceArn"])
    kind, _, name = resource.partition("/")
    here = name in call.service.collections.names() if kind == "collection" else call.service.processors.knows(name)
    if not here:
        raise ApiError("ResourceNotFoundException", "The resource of this ARN does not exist.")
    return resource
