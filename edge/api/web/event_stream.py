"""Event stream for browsers (server-sent events), with the most recent events for new connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

from edge.core.subjects import nameless
from edge.core.types import Event
from edge.mqtt.messages import event_document

RECENT = 200
"""events kept for a newly opened page"""
LISTENERS = 16
"""browsers connected at the same time"""
LOOK = 0.25
"""seconds between two checks for new events, while a browser is connected"""
HEARTBEAT = 15.0
"""seconds without events after which a comment is sent, so that a lost connection is detected"""


class EventStream:
    """``listen`` is called on the inference thread; ``stream`` runs on the endpoint's loop."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, Event]] = deque(maxlen=RECENT)
        self._last = 0
        self._listeners = 0
        self._closed = False

    @property
    def full(self) -> bool:
        return self._listeners >= LISTENERS

    def listen(self, events: Sequence[Event]) -> None:
        for event in events:
            self._last += 1
            self._recent.append((self._last, event))

    def erase(self, subject: str) -> None:
        """Remove an erased subject's name from the kept events."""
        for place, (number, event) in enumerate(self._recent):
            if (changed := nameless(event, subject)) is not None:
                self._recent[place] = number, changed

    def close(self) -> None:
        """End all streams."""
        self._closed = True

    async def stream(self, after: int) -> AsyncIterator[str]:
        """Kept events after number ``after``, then new events as they arrive."""
        if after > self._last:
            after = 0  # the daemon was restarted
        self._listeners += 1
        spoke = time.monotonic()
        try:
            yield "retry: 2000\n\n"
            while not self._closed:
                if self._last > after:
                    for number, event in list(self._recent):
                        if number > after:
                            after = number
                            yield f"id: {number}\ndata: {json.dumps(event_document(event))}\n\n"
                    spoke = time.monotonic()
                elif time.monotonic() - spoke > HEARTBEAT:
                    spoke = time.monotonic()
                    yield ": still here\n\n"
                await asyncio.sleep(LOOK)
        finally:
            self._listeners -= 1
