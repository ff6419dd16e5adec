"""Segments of stored videos: shots between cuts, and black frames. Other technical cues are not supported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge.api.rekognition.operations import videos

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.videos.store import Job, VideoFinding

CONFIDENCE = 95.0
"""of a cut: precision of the cut detector; for black frames, the pixel threshold decides"""
MODEL_VERSION = "1.0"
PAGE = 1000


def start_segment_detection(call: Call) -> dict[str, Any]:
    return videos.start(call)


def get_segment_detection(call: Call) -> dict[str, Any]:
    job = videos.job_of(call, "StartSegmentDetection")
    answer = videos.about(job)
    wanted = job.request["SegmentTypes"]
    if job.status != "SUCCEEDED":
        return answer
    found = call.service.videos.store.findings(job.id, "time", 0, -1)
    segments = _lowest(job, [*_shots(job, found), *_black(job, found)])
    segments = [one for one in segments if one["Type"] in wanted]
    segments.sort(key=lambda one: (one["StartTimestampMillis"], one["Type"]))
    start, size = call.offset(), min(PAGE, call.get("MaxResults", PAGE))
    about = {
        **answer,
        "VideoMetadata": [answer["VideoMetadata"]],
        "AudioMetadata": [],
        "SelectedSegmentTypes": [{"Type": one, "ModelVersion": MODEL_VERSION} for one in dict.fromkeys(wanted)],
    }
    return videos.cut(call, about, "Segments", segments[start : start + size + 1], start, size)


def _shots(job: Job, found: Sequence[VideoFinding]) -> Iterator[dict[str, Any]]:
    starts = [0, *(one.time for one in found if one.name == "cut")]
    for index, (begin, end) in enumerate(zip(starts, [*starts[1:], job.metadata["DurationMillis"]], strict=True)):
        yield {**_place(job, begin, end), "Type": "SHOT", "ShotSegment": {"Index": index, "Confidence": CONFIDENCE}}


def _black(job: Job, found: Sequence[VideoFinding]) -> Iterator[dict[str, Any]]:
    begin: int | None = None
    changes = [one for one in found if one.name in ("black", "light")]
    for one in changes:
        if one.name == "black" and begin is None:
            begin = one.time
        elif one.name == "light" and begin is not None:
            yield _black_frames(job, begin, one.time)
            begin = None
    if begin is not None:
        yield _black_frames(job, begin, job.metadata["DurationMillis"])


def _black_frames(job: Job, begin: int, end: int) -> dict[str, Any]:
    cue = {"Type": "BlackFrames", "Confidence": CONFIDENCE}
    return {**_place(job, begin, end), "Type": "TECHNICAL_CUE", "TechnicalCueSegment": cue}


def _lowest(job: Job, segments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Segments of at least the requested confidence."""
    filters = job.request.get("Filters", {})
    lowest = {
        "SHOT": filters.get("ShotFilter", {}).get("MinSegmentConfidence", 50.0),
        "TECHNICAL_CUE": filters.get("TechnicalCueFilter", {}).get("MinSegmentConfidence", 50.0),
    }
    return [one for one in segments if lowest[one["Type"]] <= CONFIDENCE]


def _place(job: Job, begin: int, end: int) -> dict[str, Any]:
    rate = job.metadata["FrameRate"] or 25.0
    first, after = round(begin * rate / 1000), round(end * rate / 1000)
    last = max(first, after - 1)
    return {
        "StartTimestampMillis": begin,
        "EndTimestampMillis": end,
        "DurationMillis": max(0, end - begin),
        "StartTimecodeSMPTE": _timecode(first, rate),
        "EndTimecodeSMPTE": _timecode(last, rate),
        "DurationSMPTE": _timecode(last - first + 1, rate),
        "StartFrameNumber": first,
        "EndFrameNumber": last,
        "DurationFrames": last - first + 1,
    }


def _timecode(frame: int, rate: float) -> str:
    """Non-drop-frame timecode HH:MM:SS:FF."""
    whole = max(1, round(rate))
    seconds, rest = divmod(frame, whole)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{rest:02}"
