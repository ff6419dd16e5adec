"""Events as a policy would make them."""

from __future__ import annotations

import time
from typing import Any

from edge.core.types import Box, Event, EventType, Identity, IdentityState

NOW = round(time.time(), 2)
ALICE = Identity(IdentityState.KNOWN, "alice", 0.8312345, 0.31, "face-1", "staff")


def an_event(kind: EventType, track: str = "7-1", camera: str = "door", **changes: Any) -> Event:
    values: dict[str, Any] = {
        "type": kind,
        "camera": camera,
        "track": track,
        "label": "face",
        "score": 0.93,
        "box": Box(0.41, 0.22, 0.53, 0.44),
        "identity": Identity(),
        "zones": ("mat",),
        "time": NOW,
        "started": NOW - 0.32,
        "ended": NOW if kind == "end" else None,
    }
    return Event(**(values | changes))
