"""Stored video: faces, faces of a collection, persons, celebrities and labels over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.images import unreadable
from edge.api.rekognition.operations.celebrities import celebrities
from edge.api.rekognition.operations.labels import MODEL_VERSION
from edge.api.rekognition.operations.own_labels import MODERATION_VERSION, check_moderation
from edge.core.errors import NotFoundError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.videos.store import Job, Order, VideoFinding

PAGE = 1000
GAP = 450
"""longest gap in milliseconds between two findings of a label in one segment: two frames"""


def start_face_search(call: Call) -> dict[str, Any]:
    call.service.faces.collection(call["CollectionId"])
    return start(call)


def start_face_detection(call: Call) -> dict[str, Any]:
    return start(call)


def start_label_detection(call: Call) -> dict[str, Any]:
    return start(call)


def start_person_tracking(call: Call) -> dict[str, Any]:
    call.service.vision.must_know("person")
    return start(call)


def start_celebrity_recognition(call: Call) -> dict[str, Any]:
    celebrities(call.service.settings, call.service.faces)
    return start(call)


def start_content_moderation(call: Call) -> dict[str, Any]:
    check_moderation(call.service.settings)
    return start(call)


def get_person_tracking(call: Call) -> dict[str, Any]:
    order: Order = "name" if call.get("SortBy") == "INDEX" else "time"
    return page(call, "StartPersonTracking", "Persons", order)


def get_celebrity_recognition(call: Call) -> dict[str, Any]:
    order: Order = "name" if call.get("SortBy") == "ID" else "time"
    return page(call, "StartCelebrityRecognition", "Celebrities", order)


def get_content_moderation(call: Call) -> dict[str, Any]:
    sort, aggregate = call.get("SortBy", "TIMESTAMP"), call.get("AggregateBy", "TIMESTAMPS")
    operation, member = "StartContentModeration", "ModerationLabels"
    if aggregate == "SEGMENTS":
        answer = _segments(call, operation, member, "ModerationLabel", sort)
    else:
        answer = page(call, operation, member, "name" if sort == "NAME" else "time")
    asked = {"SortBy": sort, "AggregateBy": aggregate}
    return {**answer, "ModerationModelVersion": MODERATION_VERSION, "GetRequestMetadata": asked}


def get_face_search(call: Call) -> dict[str, Any]:
    order: Order = "name" if call.get("SortBy") == "INDEX" else "time"
    return page(call, "StartFaceSearch", "Persons", order)


def get_face_detection(call: Call) -> dict[str, Any]:
    return page(call, "StartFaceDetection", "Faces", "time")


def get_label_detection(call: Call) -> dict[str, Any]:
    sort, aggregate = call.get("SortBy", "TIMESTAMP"), call.get("AggregateBy", "TIMESTAMPS")
    if aggregate == "SEGMENTS":
        answer = _segments(call, "StartLabelDetection", "Labels", "Label", sort)
    else:
        answer = page(call, "StartLabelDetection", "Labels", "name" if sort == "NAME" else "time")
    asked = {"SortBy": sort, "AggregateBy": aggregate}
    return {**answer, "LabelModelVersion": MODEL_VERSION, "GetRequestMetadata": asked}


def start(call: Call) -> dict[str, Any]:
    """Start a job for the request's video. Raises ApiError."""
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


def job_of(call: Call, operation: str) -> Job:
    """The job of a request's JobId. Raises ApiError where it does not exist or belongs to another operation."""
    job = call.service.videos.store.get(call["JobId"])
    if job is None or job.operation != operation:
        raise ApiError("ResourceNotFoundException", "Could not find JobId")
    return job


def about(job: Job) -> dict[str, Any]:
    """Members of a job that every Get operation returns."""
    answer: dict[str, Any] = {"JobStatus": job.status, "JobId": job.id, "Video": job.request["Video"]}
    if job.message:
        answer["StatusMessage"] = job.message
    if job.request.get("JobTag"):
        answer["JobTag"] = job.request["JobTag"]
    if job.status == "SUCCEEDED":
        answer["VideoMetadata"] = job.metadata
    return answer


def page(call: Call, operation: str, member: str, order: Order) -> dict[str, Any]:
    """One page of the findings of a job. Raises ApiError."""
    job = job_of(call, operation)
    if job.status != "SUCCEEDED":
        return about(job)
    first, size = call.offset(), min(PAGE, call.get("MaxResults", PAGE))
    found = call.service.videos.store.findings(job.id, order, first, size + 1)
    return cut(call, about(job), member, [one.document for one in found], first, size)


def _segments(call: Call, operation: str, member: str, label: str, sort: str) -> dict[str, Any]:
    """Segments of a label, from its first to its last finding without a gap. ``label``: its name in a finding."""
    job = job_of(call, operation)
    if job.status != "SUCCEEDED":
        return about(job)
    segments: list[dict[str, Any]] = []
    latest: VideoFinding | None = None
    for one in call.service.videos.store.findings(job.id, "name", 0, -1):
        if latest and latest.name == one.name and one.time - latest.time <= GAP:
            segment = segments[-1]
            segment["EndTimestampMillis"] = one.time
            highest = max(segment[label]["Confidence"], one.document[label]["Confidence"])
            segment[label]["Confidence"] = highest
        else:
            segments.append(_segment(one, label))
        latest = one
    for segment in segments:
        segment["DurationMillis"] = segment["EndTimestampMillis"] - segment["StartTimestampMillis"]
    if sort == "TIMESTAMP":
        segments.sort(key=lambda one: one["Timestamp"])
    first, size = call.offset(), min(PAGE, call.get("MaxResults", PAGE))
    return cut(call, about(job), member, segments[first : first + size + 1], first, size)


def _segment(one: VideoFinding, label: str) -> dict[str, Any]:
    found = dict(one.document[label])
    if "Instances" in found:
        found["Instances"] = []
    return {"Timestamp": one.time, "StartTimestampMillis": one.time, "EndTimestampMillis": one.time, label: found}


def cut(
    call: Call, answer: dict[str, Any], member: str, found: list[dict[str, Any]], start: int, size: int
) -> dict[str, Any]:
    """``answer`` with one page of ``found``, which begins at ``start`` and may hold one more than ``size``."""
    answer[member] = found[:size]
    if len(found) > size:
        answer["NextToken"] = call.next_token(str(start + size))
    return answer
