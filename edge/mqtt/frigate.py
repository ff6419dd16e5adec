"""Events in Frigate's format, for flows and blueprints made for Frigate. Live only, at most once.

``<prefix>/events``: ``{type, before, after}``. ``<prefix>/<camera>/<label>``: number of present tracks, on change.
``<prefix>/available``: ``online``, ``stopped`` or ``offline``. ``<prefix>/<camera>/<label>/snapshot``: a JPEG.
Boxes are in pixels of the camera's main stream, as in Frigate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.core.settings.schema import Settings
from edge.core.types import Event, IdentityState


@dataclass(frozen=True, slots=True)
class FrigateMessage:
    """Something to publish."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(slots=True)
class _Story:
    """Published state of a track."""

    published: dict[str, Any]
    entered: list[str] = field(default_factory=list)
    top_score: float = 0.0


class Translator:
    """Converts events, in order, to Frigate's messages. Not thread-safe."""

    def __init__(self, prefix: str, sizes: Mapping[str, tuple[int, int]], snapshots: frozenset[str]) -> None:
        """``sizes``: camera -> width and height in pixels; ``snapshots``: cameras whose pictures are published."""
        self._prefix, self._sizes, self._snapshots = prefix, sizes, snapshots
        self._stories: dict[tuple[str, str], _Story] = {}
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def available(self) -> str:
        return f"{self._prefix}/available"

    def messages(self, event: Event) -> list[FrigateMessage]:
        """Messages of an event."""
        key = (event.camera, event.track)
        story = self._stories.get(key)
        if event.type == "end" and story is None:
            return []
        kind = event.type if story or event.type == "end" else "new"
        story = self._stories.setdefault(key, _Story({}))
        before = story.published
        story.top_score = max(story.top_score, event.score)
        story.entered += [zone for zone in event.zones if zone not in story.entered]
        after = self._document(event, story)
        story.published = after
        if event.type == "end":
            del self._stories[key]
        found = [
            FrigateMessage(f"{self._prefix}/events", _json({"type": kind, "before": before or after, "after": after}))
        ]
        return found + self._changed_counts(event)

    def snapshot(self, camera: str, label: str, jpeg: bytes) -> list[FrigateMessage]:
        """The picture of a new track."""
        topic = snapshot_topic(self._prefix, camera, label)
        return [FrigateMessage(topic, jpeg, retained=True)] if topic else []

    def erase(self, subject: str) -> None:
        """Erase a subject: earlier messages are not repeated with the name."""
        for story in list(self._stories.values()):
            if (story.published.get("sub_label") or [None])[0] == subject:
                story.published = {**story.published, "sub_label": None}

    def _document(self, event: Event, story: _Story) -> dict[str, Any]:
        width, height = self._sizes.get(event.camera, (1, 1))
        box = event.box.clipped()
        pixels = [
            round(box.left * width),
            round(box.top * height),
            round(box.right * width),
            round(box.bottom * height),
        ]
        area = (pixels[2] - pixels[0]) * (pixels[3] - pixels[1])
        who = event.identity
        known = who.state is IdentityState.KNOWN and who.subject is not None
        score = round(event.score, 4)
        return {
            "id": f"{event.started:.6f}-{re.sub('[^a-z0-9]', '', event.track.lower())}",
            "camera": event.camera,
            "frame_time": event.time,
            "snapshot": {
                "frame_time": event.time, "box": pixels, "area": area, "region": [0, 0, width, height],
                "score": score, "attributes": [],
            },
            "label": event.label,
            "sub_label": [who.subject, round(who.similarity or 0.0, 4)] if known else None,
            "top_score": round(story.top_score, 4),
            "false_positive": False,
            "start_time": event.started,
            "end_time": event.ended if event.type == "end" else None,
            "score": score,
            "computed_score": score,
            "box": pixels,
            "area": area,
            "ratio": round((pixels[2] - pixels[0]) / max(1, pixels[3] - pixels[1]), 2),
            "region": [0, 0, width, height],
            "active": True,
            "stationary": False,
            "motionless_count": 0,
            "position_changes": 0,
            "current_zones": list(event.zones),
            "entered_zones": list(story.entered),
            "has_clip": False,
            "has_snapshot": event.camera in self._snapshots,
            "attributes": {},
            "current_attributes": [],
            "current_estimated_speed": 0,
            "average_estimated_speed": 0,
            "velocity_angle": 0,
            "path_data": [],
            "recognized_license_plate": None,
        }  # fmt: skip

    def _changed_counts(self, event: Event) -> list[FrigateMessage]:
        labels = [str(one.published["label"]) for (camera, _), one in self._stories.items() if camera == event.camera]
        found = []
        for name, count in ((event.label, labels.count(event.label)), ("all", len(labels))):
            if self._counts.get((event.camera, name), 0) != count:
                self._counts[event.camera, name] = count
                if topic := label_topic(self._prefix, event.camera, name):
                    found.append(FrigateMessage(topic, str(count).encode()))
        return found


def label_topic(prefix: str, camera: str, label: str) -> str:
    """Empty where the label cannot be a level of a topic."""
    return f"{prefix}/{camera}/{label}" if re.fullmatch(r"[\w .-]{1,64}", label) else ""


def snapshot_topic(prefix: str, camera: str, label: str) -> str:
    """Empty where the label cannot be a level of a topic."""
    topic = label_topic(prefix, camera, label)
    return f"{topic}/snapshot" if topic else ""


def snapshot_topics(settings: Settings) -> set[str]:
    """Topics with possibly retained pictures of the cameras."""
    shown = [camera for camera in settings.cameras if camera.enabled and camera.snapshots]
    pairs = [(camera.name, label) for camera in shown for label in settings.labels_of(camera)]
    return {snapshot_topic(settings.frigate.prefix, *pair) for pair in pairs} - {""}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
