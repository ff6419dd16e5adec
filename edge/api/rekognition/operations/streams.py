"""Stream processors: create, describe, list, start, stop, update, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.streams.processor import Processor

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call

DEFAULT_PAGE = 1000
ECHOED = (
    "Input", "Output", "RoleArn", "Settings", "NotificationChannel", "KmsKeyId", "RegionsOfInterest",
    "DataSharingPreference",
)  # fmt: skip
"""members of CreateStreamProcessor that DescribeStreamProcessor returns"""


def create(call: Call) -> dict[str, Any]:
    request = {name: value for name, value in call.members.items() if name != "Tags"}
    processor = call.service.processors.create(request)
    resource = f"streamprocessor/{processor.name}"
    call.service.store.untag(resource)
    call.service.store.tag(resource, call.get("Tags", {}))
    return {"StreamProcessorArn": call.arn(resource)}


def describe(call: Call) -> dict[str, Any]:
    processor = call.service.processors.get(call["Name"])
    answer = {
        "Name": processor.name,
        "StreamProcessorArn": call.arn(f"streamprocessor/{processor.name}"),
        "Status": processor.status,
        "CreationTimestamp": processor.created,
        "LastUpdateTimestamp": processor.updated,
        **{name: processor.request[name] for name in ECHOED if name in processor.request},
    }
    if processor.message:
        answer["StatusMessage"] = processor.message
    return answer


def list_all(call: Call) -> dict[str, Any]:
    after = call.position()
    limit = call.get("MaxResults", DEFAULT_PAGE)
    found = [processor for processor in call.service.processors.all() if processor.name > after]
    answer: dict[str, Any] = {
        "StreamProcessors": [{"Name": one.name, "Status": one.status} for one in found[:limit]],
    }
    if len(found) > limit:
        answer["NextToken"] = call.next_token(found[limit - 1].name)
    return answer


def start(call: Call) -> dict[str, Any]:
    return {"SessionId": call.service.processors.start(call["Name"], call.members)}


def stop(call: Call) -> dict[str, Any]:
    call.service.processors.stop(call["Name"])
    return {}


def update(call: Call) -> dict[str, Any]:
    call.service.processors.update(call["Name"], lambda processor: _updated(call, processor))
    return {}


def delete(call: Call) -> dict[str, Any]:
    call.service.processors.delete(call["Name"])
    call.service.store.untag(f"streamprocessor/{call['Name']}")
    return {}


def _updated(call: Call, processor: Processor) -> Processor:
    """The processor with the request's members set and deleted. Raises ApiError."""
    home = call.get("SettingsForUpdate", {}).get("ConnectedHomeForUpdate")
    regions = call.get("RegionsOfInterestForUpdate")
    deleted = call.get("ParametersToDelete", [])
    if processor.searches_faces and (home is not None or regions is not None or deleted):
        raise ApiError("InvalidParameterException", "Only label detection processors have settings to update.")
    request = dict(processor.request)
    if home is not None:
        request["Settings"] = {"ConnectedHome": {**request["Settings"]["ConnectedHome"], **home}}
    if "ConnectedHomeMinConfidence" in deleted:
        kept = {key: value for key, value in request["Settings"]["ConnectedHome"].items() if key != "MinConfidence"}
        request["Settings"] = {"ConnectedHome": kept}
    if regions is not None:
        request["RegionsOfInterest"] = regions
    if "RegionsOfInterest" in deleted:
        request.pop("RegionsOfInterest", None)
    if "DataSharingPreferenceForUpdate" in call.members:
        request["DataSharingPreference"] = call["DataSharingPreferenceForUpdate"]
    return replace(processor.now(), request=request)
