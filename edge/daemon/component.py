"""Base class of the daemon's optional components."""

from __future__ import annotations

from collections.abc import Sequence

from edge.core.types import Event
from edge.pipeline.frame_result import FrameResult


class Component:
    """One part of the daemon. A component overrides what it needs; every method does nothing by default.

    ``start``, ``tick`` and ``close`` are called on the main thread, ``on_frame`` and ``erase`` on the inference thread,
    ``on_events`` on the inference thread or on the thread that closes a camera. None may block for long but ``close``.
    """

    def start(self) -> None:
        """Start, before the cameras are opened."""

    def tick(self, now: float, /) -> None:
        """Called periodically; ``now``: monotonic seconds."""

    def on_frame(self, result: FrameResult) -> None:
        """Receive the result of a processed frame."""

    def on_events(self, events: Sequence[Event]) -> None:
        """Receive events that the outbox has taken over."""

    def erase(self, subject: str) -> None:
        """Remove a subject from memory, between two frames."""

    def close(self) -> None:
        """End; called once, after the cameras have been closed unless the component alone is restarted."""
