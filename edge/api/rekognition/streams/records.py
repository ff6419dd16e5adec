"""Records that stream processors publish, in Rekognition's format. No I/O."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.core.types import Box

SUBJECT = "Rekognition Stream Processing Event"
MATCHES = 5
"""MatchedFaces per face"""
MATCHED_FACE = ("BoundingBox", "FaceId", "Confidence", "ImageId", "ExternalImageId")
"""members of a Face in a record"""
SEGMENT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Position of a frame in its stream. Times in seconds since the epoch."""

    fragment: int
    """number of the segment in the session"""
    producer: float
    """capture time of the segment's first frame"""
    server: float
    """when the frame was analyzed"""
    offset: float
    """seconds from the segment's first frame to this one"""


class Segments:
    """Divides a session into segments, as a device has no Kinesis video fragments to refer to."""

    def __init__(self, first: int = 1) -> None:
        self._fragment = first - 1
        self._start: float | None = None

    def at(self, captured: float, now: float) -> Moment:
        """The position of a frame captured at ``captured``."""
        if self._start is None or not 0 <= captured - self._start < SEGMENT_SECONDS:
            self._fragment += 1
            self._start = captured
        return Moment(self._fragment, self._start, now, captured - self._start)


def face_record(stream: str, moment: Moment, faces: Sequence[tuple[dict[str, Any], list[dict[str, Any]]]]) -> Any:
    """The record of one analyzed frame. ``faces``: (ComparedFace, FaceMatches best first) of each face."""
    return {
        "InputInformation": {
            "KinesisVideo": {
                "StreamArn": stream,
                "FragmentNumber": str(moment.fragment),
                "ServerTimestamp": moment.server,
                "ProducerTimestamp": moment.producer,
                "FrameOffsetInSeconds": moment.offset,
            }
        },
        "StreamProcessorInformation": {"Status": "RUNNING"},
        "FaceSearchResponse": [
            {"DetectedFace": detected, "MatchedFaces": [_matched(match) for match in matches[:MATCHES]]}
            for detected, matches in faces
        ],
    }


def _matched(match: Mapping[str, Any]) -> dict[str, Any]:
    face = {name: match["Face"][name] for name in MATCHED_FACE if name in match["Face"]}
    return {"Similarity": match["Similarity"], "Face": face}


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One run of a label detection processor."""

    id: str
    stream: str
    tags: Mapping[str, str]
    request: Mapping[str, Any]
    """the StartStreamProcessor request"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The first detection of a class in a session."""

    name: str
    """PERSON, PET or PACKAGE"""
    confidence: float
    """0..100"""
    box: Box
    moment: Moment
    frame_uri: str = ""
    """S3 key of the stored frame; empty where none is stored"""
    crop_uri: str = ""


def label_event(session: SessionInfo, sightings: Sequence[Sighting]) -> dict[str, Any]:
    """LABEL_DETECTED; its members are in camelCase, unlike those of other records."""
    message = _message(session, "LABEL_DETECTED", {"streamArn": session.stream})
    message["labels"] = [_label(sighting) for sighting in sightings]
    return {"Subject": SUBJECT, "Message": message}


def completed(session: SessionInfo, milliseconds: int, outcome: str) -> dict[str, Any]:
    """STREAM_PROCESSING_COMPLETE at the end of a session."""
    video = {"streamArn": session.stream, "processedVideoDurationMillis": milliseconds}
    message = _message(session, "STREAM_PROCESSING_COMPLETE", video)
    message["streamProcessingResults"] = {"message": outcome}
    return {"Subject": SUBJECT, "Message": message}


def _message(session: SessionInfo, kind: str, video: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputInformation": {"kinesisVideo": video},
        "eventNamespace": {"type": kind},
        "eventId": str(uuid.uuid4()),
        "tags": dict(session.tags),
        "sessionId": session.id,
        "startStreamProcessorRequest": dict(session.request),
    }


def _label(sighting: Sighting) -> dict[str, Any]:
    box, moment = sighting.box, sighting.moment
    mapping = {
        "fragmentNumber": str(moment.fragment),
        "serverTimestamp": moment.server,
        "producerTimestamp": moment.producer,
        "frameOffsetMillis": round(moment.offset * 1000),
    }
    label: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "name": sighting.name,
        "confidence": sighting.confidence,
        "videoMapping": {"kinesisVideoMapping": mapping},
        "boundingBox": {"left": box.left, "top": box.top, "height": box.height, "width": box.width},
    }
    uris = {"frameImageUri": sighting.frame_uri, "croppedImageUri": sighting.crop_uri}
    return {**label, **{name: uri for name, uri in uris.items() if uri}}
