"""Latest-value buffer: only the newest frame waits; frames that are replaced before they are taken are counted."""

from __future__ import annotations

import threading
from dataclasses import replace

from edge.core.types import Frame


class LatestFrame:
    """Holds the newest frame of a source until it is taken. One thread puts, another takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self._taken = self._dropped = 0

    def put(self, frame: Frame) -> None:
        """Offer a frame. It takes the place of one that nobody took, which counts as dropped."""
        with self._changed:
            if self._frame is not None or self._closed:
                self._dropped += 1
            if self._frame is not None and self._frame.cut:
                frame = replace(frame, cut=True)
            if not self._closed:
                self._frame = frame
                self._changed.notify()

    def offer(self, frame: Frame, timeout: float) -> bool:
        """Put ``frame`` once nothing waits, for sources that must not lose one; False after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._frame is None or self._closed, timeout):
                return False
        self.put(frame)
        return True

    def take(self, timeout: float | None = None) -> Frame | None:
        """The newest frame, waiting for one; None after ``timeout`` seconds, or when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout)
            frame, self._frame = self._frame, None
            self._taken += frame is not None
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """No more frames come. The one that waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def waiting(self) -> bool:
        """Whether a frame can be taken at once."""
        return self._frame is not None

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    @property
    def taken(self) -> int:
        """Frames taken so far."""
        return self._taken

    @property
    def dropped(self) -> int:
        """Frames put and never taken so far."""
        return self._dropped
