"""What an event says, as it is written: by hand, since events are many."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edge.core.types import Box, Event, Identity
from edge.mqtt._documents import wire_labels


def event_document(event: Event) -> dict[str, Any]:
    """What an event says, without the key that the outbox gives it."""
    document: dict[str, Any] = {
        "type": event.type,
        "camera": event.camera,
        "track": event.track,
        "label": event.label[:255],
        "score": round(event.score, 4),
        "box": _box(event.box),
        "zones": list(event.zones),
        "identity": _identity(event.identity),
        "time": round(event.time, 3),
        "started": round(event.started, 3),
        "ended": None if event.ended is None else round(event.ended, 3),
        "clock": event.clock,
        "release": event.release,
    }
    if event.reason:
        document["reason"] = event.reason
    if event.video_time is not None:
        document["video_time"] = round(event.video_time, 3)
    if event.custom_labels:
        document["custom_labels"] = [asdict(one) for one in wire_labels(event.custom_labels)]
    if event.whole:
        document["whole"] = True
    return document


def _box(box: Box) -> dict[str, float]:
    sides = {"left": box.left, "top": box.top, "width": box.width, "height": box.height}
    return {name: round(value, 4) for name, value in sides.items()}


def _identity(identity: Identity) -> dict[str, Any]:
    document: dict[str, Any] = {
        "state": identity.state,
        "subject": identity.subject[:1024] if identity.subject else None,
        "similarity": _rounded(identity.similarity),
        "runner_up": _rounded(identity.runner_up),
        "face_id": identity.face_id,
        "collection": identity.collection,
    }
    return {**document, "pseudonym": identity.pseudonym} if identity.pseudonym else document


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
