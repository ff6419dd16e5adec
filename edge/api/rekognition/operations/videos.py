"""Stored video: faces, faces of a collection, and labels over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.images import unreadable
from edge.api.rekognition.operations.labels import MODEL_VERSION
from edge.core.errors import NotFoundError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.videos.store import Job, Order, VideoFinding

PAGE = 1000
GAP = 450
"""milliseconds between two findings of a label that are one segment: two frames"""


def start_face_search(call: Call) -> dict[str, Any]:
    call.service.collection(call["CollectionId"])
    return _start(call)


def start_face_detection(call: Call) -> dict[str, Any]:
    return _start(call)


def start_label_detection(call: Call) -> dict[str, Any]:
    return _start(call)


def get_face_search(call: Call) -> dict[str, Any]:
    order: Order = "name" if call.get("SortBy") == "INDEX" else "time"
    return _page(call, "StartFaceSearch", "Persons", order)


def get_face_detection(call: Call) -> dict[str, Any]:
    return _page(call, "StartFaceDetection", "Faces", "time")


def get_label_detection(call: Call) -> dict[str, Any]:
    sort, aggregate = call.get("SortBy", "TIMESTAMP"), call.get("AggregateBy", "TIMESTAMPS")
    if aggregate == "SEGMENTS":
        answer = _segments(call, sort)
    else:
        answer = _page(call, "StartLabelDetection", "Labels", "name" if sort == "NAME" else "time")
    asked = {"SortBy": sort, "AggregateBy": aggregate}
    return {**answer, "LabelModelVersion": MODEL_VERSION, "GetRequestMetadata": asked}


def _start(call: Call) -> dict[str, Any]:
    from edge.api.rekognition.videos.looking import metadata

    token, request = call.get("ClientRequestToken"), dict(call.members)
    if token and (before := call.service.store.replay(call.operation, token, request)) is not None:
        return before
    place = call["Video"].get("S3Object", {})
    try:
        path = call.service.buckets.path(place.get("Bucket", ""), place.get("Name", ""))
    except (NotFoundError, OSError) as error:
        raise unreadable() from error
    job = call.service.videos.start(call.operation, request, path, metadata(path))
    answer = {"JobId": job}
    if token:
        call.service.store.remember(call.operation, token, request, answer)
    return answer


def _job(call: Call, operation: str) -> Job:
    job = call.service.videos.store.get(call["JobId"])
    if job is None or job.operation != operation:
        raise ApiError("ResourceNotFoundException", "Could not find JobId")
    return job


def _about(job: Job) -> dict[str, Any]:
    answer: dict[str, Any] = {"JobStatus": job.status, "JobId": job.id, "Video": job.request["Video"]}
    if job.message:
        answer["StatusMessage"] = job.message
    if job.request.get("JobTag"):
        answer["JobTag"] = job.request["JobTag"]
    if job.status == "SUCCEEDED":
        answer["VideoMetadata"] = job.metadata
    return answer


def _page(call: Call, operation: str, member: str, order: Order) -> dict[str, Any]:
    job = _job(call, operation)
    if job.status != "SUCCEEDED":
        return _about(job)
    start, size = call.offset(), min(PAGE, call.get("MaxResults", PAGE))
    found = call.service.videos.store.findings(job.id, order, start, size + 1)
    return _cut(call, _about(job), member, [one.document for one in found], start, size)


def _segments(call: Call, sort: str) -> dict[str, Any]:
    """A label from its first finding to its last, without a gap."""
    job = _job(call, "StartLabelDetection")
    if job.status != "SUCCEEDED":
        return _about(job)
    segments: list[dict[str, Any]] = []
    for one in call.service.videos.store.findings(job.id, "name", 0, -1):
        before = segments[-1] if segments else None
        if before and before["Label"]["Name"] == one.name and one.time - before["EndTimestampMillis"] <= GAP:
            before["EndTimestampMillis"] = one.time
            before["Label"]["Confidence"] = max(before["Label"]["Confidence"], one.document["Label"]["Confidence"])
        else:
            segments.append(_segment(one))
    for segment in segments:
        segment["DurationMillis"] = segment["EndTimestampMillis"] - segment["StartTimestampMillis"]
    if sort == "TIMESTAMP":
        segments.sort(key=lambda one: one["Timestamp"])
    start, size = call.offset(), min(PAGE, call.get("MaxResults", PAGE))
    return _cut(call, _about(job), "Labels", segments[start : start + size + 1], start, size)


def _segment(one: VideoFinding) -> dict[str, Any]:
    label = {**one.document["Label"], "Instances": []}
    return {"Timestamp": one.time, "StartTimestampMillis": one.time, "EndTimestampMillis": one.time, "Label": label}


def _cut(
    call: Call, answer: dict[str, Any], member: str, found: list[dict[str, Any]], start: int, size: int
) -> dict[str, Any]:
    answer[member] = found[:size]
    if len(found) > size:
        answer["NextToken"] = call.next_token(str(start + size))
    return answer
