"""Tags of collections, stream processors, projects, datasets and versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.api.rekognition.call import resource_of
from edge.api.rekognition.custom import arns
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
    """The resource of the ARN. Raises ApiError where it does not exist."""
    resource = resource_of(call["ResourceArn"])
    kind, _, name = resource.partition("/")
    if not _EXISTS[kind](call, name):
        raise ApiError("ResourceNotFoundException", "The resource of this ARN does not exist.")
    return resource


def _is_project_part(call: Call, _: str) -> bool:
    """Whether the ARN is a project, dataset or version. Raises ApiError where it does not exist."""
    arn = call["ResourceArn"]
    if "/dataset/" in arn:
        arns.dataset(call, arn)
    elif "/version/" in arn:
        arns.version(call, "ResourceArn")
    else:
        arns.project(call, "ResourceArn")
    return True


_EXISTS: dict[str, Callable[[Call, str], bool]] = {
    "collection": lambda call, name: name in call.service.collections.names(),
    "streamprocessor": lambda call, name: call.service.processors.knows(name),
    "project": _is_project_part,
}
