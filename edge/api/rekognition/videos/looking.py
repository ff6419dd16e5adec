"""Analysis of one frame for a job. Not thread-safe."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.face_details import asked_attributes, face_details
from edge.api.rekognition.operations.celebrities import celebrities, recognized, urls_of
from edge.api.rekognition.operations.labels import filtered, labels_of
from edge.api.rekognition.operations.own_labels import PERSON
from edge.api.rekognition.search import DEFAULT_MATCHES
from edge.api.rekognition.text_lines import filtered_words, text_detections
from edge.api.rekognition.videos.store import Job, VideoFinding
from edge.core.errors import InputError, SourceError
from edge.core.imaging import image as pictures
from edge.core.types import Frame
from edge.pipeline.tracking.tracker import Tracker
from edge.sources.containers import open_file
from edge.sources.scene_cuts import SceneCuts

if TYPE_CHECKING:
    from edge.api.rekognition.videos.jobs import VideoTools

FPS = 5.0
"""frames analyzed per second of video"""
ALL_FPS = {"StartSegmentDetection": 120.0}
"""operations that analyze every frame"""
LABEL_CONFIDENCE = 50.0
PERSON_SCORE = 0.3
BLACK, WHITE = 16.0, 235.0
"""luma of limited-range video"""
FULL_RANGE = 2
"""AVCOL_RANGE_JPEG of FFmpeg; other values, or none, mean limited range"""
Looks = Callable[[Frame], list[VideoFinding]]


def looks_of(job: Job, tools: VideoTools) -> Looks:
    """The analysis function of a job. Raises NotFoundError, SpaceError, ModelError."""
    return LOOKS[job.operation](job, tools)


def metadata(path: Path) -> dict[str, Any]:
    """VideoMetadata of a file. Raises InputError where it is not a video."""
    try:
        with open_file(path, str(path)) as container:
            stream = container.streams.video[0]
            seconds = (container.duration or 0) / 1_000_000
            return {
                "Codec": stream.codec_context.name,
                "DurationMillis": max(0, round(seconds * 1000)),
                "Format": container.format.long_name,
                "FrameRate": float(stream.average_rate or 0),
                "FrameHeight": stream.codec_context.height,
                "FrameWidth": stream.codec_context.width,
                "ColorRange": "FULL" if stream.codec_context.color_range == FULL_RANGE else "LIMITED",
            }
    except (SourceError, IndexError, ValueError) as error:
        raise InputError(f"{path.name}: not a readable video", "send H.264 in MP4", code="video") from error


def _faces(job: Job, tools: VideoTools) -> Looks:
    attributes = asked_attributes((job.request.get("FaceAttributes", "DEFAULT"),), tools.settings.api)

    def look(frame: Frame) -> list[VideoFinding]:
        at = milliseconds(frame)
        details = face_details(tools.vision, frame.main, tools.vision.faces(frame.main), attributes)
        return [VideoFinding(at, "", {"Timestamp": at, "Face": detail}) for detail in details]

    return look


def _search(job: Job, tools: VideoTools) -> Looks:
    """Faces with track numbers: a person keeps one number while in view."""
    collection = tools.faces.collection(job.request["CollectionId"])
    collection.check_space(tools.vision.space)
    threshold = job.request.get("FaceMatchThreshold")
    label = tools.settings.api.label
    # after a restart, continue with numbers that no track of the first run can have
    first = max(0, job.seen)
    tracker = Tracker("video", tools.settings.tracking, map(str, itertools.count(first)), {label: 0.5})

    def look(frame: Frame) -> list[VideoFinding]:
        if frame.cut:
            tracker.cut()
        at, seen = milliseconds(frame), tools.vision.faces(frame.main)
        tracks = tracker.update([one.detection for one in seen], frame.monotonic, frame.time).tracks
        found = []
        for one, embedding in zip(seen, tools.vision.embed(frame.main, seen, still=False), strict=True):
            mine = max(tracks, key=lambda track: track.box.iou(one.detection.box), default=None)
            matches = tools.faces.matches(collection, embedding.vector, DEFAULT_MATCHES, threshold)
            person: dict[str, Any] = {
                "Index": int(mine.id) if mine else 0,
                "BoundingBox": shapes.box(one.detection.box),
                "Face": shapes.face_detail(one),
            }
            document = {"Timestamp": at, "Person": person, "FaceMatches": matches}
            found.append(VideoFinding(at, f"{person['Index']:012}", document))
        return found

    return look


def _labels(job: Job, tools: VideoTools) -> Looks:
    lowest = job.request.get("MinConfidence", LABEL_CONFIDENCE) / 100
    filters = job.request.get("Settings", {}).get("GeneralLabels", {})

    def look(frame: Frame) -> list[VideoFinding]:
        at = milliseconds(frame)
        labels = labels_of(tools.vision.things(frame.main, max(0.05, lowest)), tools.taxonomy)
        return [VideoFinding(at, one["Name"], {"Timestamp": at, "Label": one}) for one in filtered(labels, filters)]

    return look


def _text(job: Job, tools: VideoTools) -> Looks:
    """Lines and words of each frame."""
    filters = job.request.get("Filters", {})

    def look(frame: Frame) -> list[VideoFinding]:
        at, picture = milliseconds(frame), frame.main
        words = filtered_words(tools.vision.words(picture), filters)
        found = text_detections(words, picture.width / picture.height)
        return [VideoFinding(at, "", {"Timestamp": at, "TextDetection": one}) for one in found]

    return look


def _persons(job: Job, tools: VideoTools) -> Looks:
    """Persons with track numbers, and their faces where visible."""
    tools.vision.must_know(PERSON)
    tracker = Tracker("video", tools.settings.tracking, map(str, itertools.count(max(0, job.seen))), {PERSON: 0.5})

    def look(frame: Frame) -> list[VideoFinding]:
        if frame.cut:
            tracker.cut()
        at = milliseconds(frame)
        seen = [one for one in tools.vision.things(frame.main, PERSON_SCORE) if one.label == PERSON]
        tracks = tracker.update(seen, frame.monotonic, frame.time).tracks
        faces = tools.vision.faces(frame.main) if seen else []
        found = []
        for track in tracks:
            if track.seen < frame.monotonic:
                continue
            person: dict[str, Any] = {"Index": int(track.id), "BoundingBox": shapes.box(track.box)}
            inside = [one for one in faces if one.detection.box.intersection(track.box) > 0.5 * one.area]
            if inside:
                person["Face"] = shapes.face_detail(inside[0])
            found.append(VideoFinding(at, f"{person['Index']:012}", {"Timestamp": at, "Person": person}))
        return found

    return look


def _celebrities(job: Job, tools: VideoTools) -> Looks:  # noqa: ARG001
    collection = celebrities(tools.settings, tools.faces)

    def look(frame: Frame) -> list[VideoFinding]:
        at, seen = milliseconds(frame), tools.vision.faces(frame.main)
        found = []
        for face, who in zip(seen, recognized(tools.faces, tools.vision, collection, frame.main, seen), strict=True):
            if who is not None:
                celebrity = {
                    "Urls": urls_of(tools.settings, who.name),
                    "Name": who.name,
                    "Id": who.id,
                    "Confidence": who.confidence,
                    "BoundingBox": shapes.box(face.detection.box),
                    "Face": shapes.face_detail(face),
                }
                found.append(VideoFinding(at, who.id, {"Timestamp": at, "Celebrity": celebrity}))
        return found

    return look


def _moderation(job: Job, tools: VideoTools) -> Looks:
    lowest = job.request.get("MinConfidence", LABEL_CONFIDENCE)

    def look(frame: Frame) -> list[VideoFinding]:
        at = milliseconds(frame)
        labels = tools.own_labels.moderation(tools.vision, frame.main, lowest)
        return [VideoFinding(at, one["Name"], {"Timestamp": at, "ModerationLabel": one}) for one in labels]

    return look


def _segments(job: Job, tools: VideoTools) -> Looks:  # noqa: ARG001
    """Starts of shots, and starts and ends of black frames."""
    cue = job.request.get("Filters", {}).get("TechnicalCueFilter", {}).get("BlackFrame", {})
    darkest = BLACK + cue.get("MaxPixelThreshold", 0.2) * (WHITE - BLACK)
    covered = cue.get("MinCoveragePercentage", 99.0) / 100
    cuts = SceneCuts()
    was_black: bool | None = None

    def look(frame: Frame) -> list[VideoFinding]:
        nonlocal was_black
        at = milliseconds(frame)
        luma = pictures.luma(frame.main, min(160, frame.main.width), min(90, frame.main.height))
        found = []
        if cuts.begins(luma, frame.video_time or 0.0) and at > 0:
            found.append(VideoFinding(at, "cut", {}))
        is_black = float((luma <= darkest).mean()) >= covered
        if is_black != was_black:
            found.append(VideoFinding(at, "black" if is_black else "light", {}))
        was_black = is_black
        return found

    return look


LOOKS: dict[str, Callable[[Job, VideoTools], Looks]] = {
    "StartFaceDetection": _faces,
    "StartFaceSearch": _search,
    "StartLabelDetection": _labels,
    "StartTextDetection": _text,
    "StartPersonTracking": _persons,
    "StartCelebrityRecognition": _celebrities,
    "StartContentModeration": _moderation,
    "StartSegmentDetection": _segments,
}


def milliseconds(frame: Frame) -> int:
    return round((frame.video_time or 0.0) * 1000)
