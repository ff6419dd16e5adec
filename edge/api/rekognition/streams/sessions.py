"""Sessions of running stream processors. The models queue calls ``work`` with one frame at a time."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edge.api.rekognition import shapes
from edge.api.rekognition.streams import records
from edge.api.rekognition.streams.processor import HOME_CONFIDENCE, Processor, home_classes, looked_for
from edge.api.rekognition.streams.regions import inside
from edge.core.errors import NotFoundError
from edge.core.types import Detection

if TYPE_CHECKING:
    from edge.api.rekognition.notifications import TopicPublisher
    from edge.api.rekognition.search import FaceSearch
    from edge.api.rekognition.state_store import ApiState
    from edge.api.rekognition.vision import Vision
    from edge.core.settings.schema import Settings
    from edge.core.storage.buckets import Buckets
    from edge.core.types import Picture

log = logging.getLogger(__name__)

LOOK_AGAIN = 1.0
"""seconds for which the matches of a track's face are reused"""


@dataclass(frozen=True, slots=True)
class Shot:
    """A snapshot of a frame for a session: the pipeline goes on changing the track objects."""

    picture: Picture
    captured: float
    """seconds since the epoch"""
    things: tuple[tuple[str, Detection], ...]
    """(track, its detection in this frame)"""


@dataclass(frozen=True, slots=True)
class StreamContext:
    """Dependencies of stream processors."""

    settings: Settings
    state: Path
    """the state folder"""
    store: ApiState
    vision: Vision
    faces: FaceSearch
    buckets: Buckets
    topics: TopicPublisher


class Session(Protocol):
    """Interface of a running processor's session."""

    processor: Processor

    def work(self, shot: Shot) -> list[dict[str, Any]]:
        """The records to publish."""
        ...

    def end(self, outcome: str) -> list[dict[str, Any]]:
        """The final records of the session."""
        ...


class FaceSession:
    """Searches the faces of each frame in the processor's collection."""

    def __init__(self, processor: Processor, context: StreamContext) -> None:
        self.processor = processor
        self._context = context
        self._segments = records.Segments()
        self._known: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._last: list[list[str]] | None = None

    def work(self, shot: Shot) -> list[dict[str, Any]]:
        label = self._context.settings.api.label
        faces = [(track, thing) for track, thing in shot.things if thing.label == label]
        faces.sort(key=lambda pair: pair[1].box.area, reverse=True)
        found = self._matched(shot, faces)
        self._known = {track: entry for track, entry in self._known.items() if track in dict(shot.things)}
        if not self._wanted(found):
            return []
        moment = self._segments.at(shot.captured, time.time())
        return [records.face_record(self.processor.stream, moment, found)]

    def end(self, outcome: str) -> list[dict[str, Any]]:  # noqa: ARG002
        return []

    def _matched(
        self, shot: Shot, faces: Sequence[tuple[str, Detection]]
    ) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        vision = self._context.vision
        seen = [shapes.DetectedFace(thing, vision.embedder().assess(shot.picture, thing)) for _, thing in faces]
        now = time.monotonic()
        asked = [i for i, (track, _) in enumerate(faces) if now - self._known.get(track, (-1e9, []))[0] > LOOK_AGAIN]
        if asked:
            collection = self._context.faces.collection(self.processor.collection)
            for i, embedding in zip(
                asked, vision.embed(shot.picture, [seen[i] for i in asked], still=False), strict=True
            ):
                matches = self._context.faces.matches(
                    collection, embedding.vector, records.MATCHES, self.processor.threshold
                )
                self._known[faces[i][0]] = (now, matches)
        return [(shapes.compared_face(one), self._known[track][1]) for one, (track, _) in zip(seen, faces, strict=True)]

    def _wanted(self, found: Sequence[tuple[Any, list[dict[str, Any]]]]) -> bool:
        policy = self._context.settings.api.records
        who = sorted([match["Face"]["FaceId"] for match in matches] for _, matches in found)
        changed, self._last = who != self._last, who
        return policy == "all" or (policy == "faces" and bool(found)) or (policy == "change" and changed)


class LabelSession:
    """Reports the first detection of each class, once per session."""

    def __init__(self, processor: Processor, context: StreamContext) -> None:
        self.processor = processor
        self._context = context
        self._segments = records.Segments()
        self._seen: set[str] = set()
        self._began: float | None = None
        self._latest = 0.0
        camera = next(one for one in context.settings.cameras if one.name == processor.camera)
        self._classes = home_classes(processor, looked_for(camera, context.settings, context.state))
        tags = context.store.tags(f"streamprocessor/{processor.name}")
        self._session = records.SessionInfo(processor.session, processor.stream, tags, processor.start)

    def work(self, shot: Shot) -> list[dict[str, Any]]:
        self._began = shot.captured if self._began is None else self._began
        self._latest = shot.captured
        moment = self._segments.at(shot.captured, time.time())
        sightings = []
        for _, thing in shot.things:
            name = self._classes.get(thing.label)
            if name is not None and name not in self._seen and self._counts(thing):
                self._seen.add(name)
                sightings.append(self._sighting(name, thing, moment, shot.picture))
        return [records.label_event(self._session, sightings)] if sightings else []

    def end(self, outcome: str) -> list[dict[str, Any]]:
        seconds = self._latest - self._began if self._began is not None else 0.0
        return [records.completed(self._session, round(1000 * max(0.0, seconds)), outcome)]

    def _counts(self, thing: Detection) -> bool:
        lowest = self.processor.request["Settings"]["ConnectedHome"].get("MinConfidence", HOME_CONFIDENCE)
        regions = self.processor.request.get("RegionsOfInterest", [])
        return thing.score * 100 >= lowest and inside(thing.box, regions)

    def _sighting(self, name: str, thing: Detection, moment: records.Moment, picture: Picture) -> records.Sighting:
        place = self.processor.request["Output"]["S3Destination"]
        uris = ["", ""]
        if self._context.buckets.has(place["Bucket"]):
            parts = [part for part in place.get("KeyPrefix", "").split("/") if part not in ("", ".", "..")]
            base = "/".join((*parts, self.processor.name, self.processor.session, str(uuid.uuid4())))
            try:
                for i, (ending, data) in enumerate(_pictures(picture, thing)):
                    key = f"{base}{ending}.jpg"
                    with self._context.buckets.writing(place["Bucket"], key) as file:
                        file.write(data)
                    uris[i] = f"s3://{place['Bucket']}/{key}"
            except (NotFoundError, OSError) as error:
                log.warning("stream processor %s: pictures not stored: %s", self.processor.name, error)
        return records.Sighting(name, 100 * thing.score, thing.box, moment, *uris)


def _pictures(picture: Picture, thing: Detection) -> list[tuple[str, bytes]]:
    """The frame and the crop of the detection, as JPEG."""
    from edge.core.imaging import image as pictures

    rgb = pictures.to_rgb(picture)
    rows = _pixels(thing.box.top, thing.box.bottom, picture.height)
    columns = _pixels(thing.box.left, thing.box.right, picture.width)
    return [("", pictures.encode_jpeg(rgb)), ("_heroimage", pictures.encode_jpeg(rgb[rows, columns]))]


def _pixels(start: float, end: float, size: int) -> slice:
    """At least one pixel within 0..size."""
    first = min(size - 1, max(0, int(start * size)))
    return slice(first, max(first + 1, min(size, int(end * size))))
