"""The protocol of a source, and what sources share: names without credentials, pace, camera status."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from edge.core.types import Frame

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings


class FrameSource(Protocol):
    """Where frames of one camera come from. Built as ``Source(camera, target)``, which opens nothing yet.

    ``target`` is what follows the first ':' of ``camera.source``, or the whole address where it is one.
    """

    name: str
    """what logs and errors call it, credentials masked"""
    live: bool
    """a live source is reopened when it fails; a stored one ends"""

    def __init__(self, camera: CameraSettings, target: str) -> None: ...

    # A source that may wait for longer than ``camera.stall``, and knows why, calls an attribute ``on_waiting`` (reason)
    # at least once in ``camera.stall`` seconds meanwhile. ``reconnecting`` sets it; a source need not have it.

    def frames(self) -> Iterator[Frame]:
        """Open the source and yield upright frames, at most ``camera.fps`` a second.

        Ends when a stored source is over. Raises SourceError when it cannot be opened, breaks, or gave no frame for
        ``camera.stall`` seconds: a source never hangs for longer than that.
        """

    def close(self) -> None:
        """Let go of the device or connection. May be called twice, and by the thread that iterates only."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """Status of a camera."""

    camera: str
    state: Literal["connecting", "live", "lost", "off"]
    reason: str = ""
    """why it is lost; never holds credentials"""


class FrameRate:
    """Lets through at most ``fps`` frames a second, evenly."""

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps
        self._due: float | None = None

    def wants(self, moment: float) -> bool:
        """Whether the frame of this moment (seconds, any origin, growing) is one to deliver."""
        due = moment if self._due is None or moment < self._due - 2 * self._period else self._due
        if moment < due - 1e-3:
            return False
        self._due = max(due + self._period, moment)
        return True


class StoredClock:
    """Turns the time of a stored source into that of frames, and waits where it should play at its own pace.

    Monotonic time follows the video also where it is played faster, so that tracks live as long as they would have.
    """

    LATE = 1.0
    """seconds behind after which the rest is shifted: a slow reader gets frames at the pace it can take"""

    def __init__(
        self, realtime: bool, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._realtime, self._now, self._sleep = realtime, now, sleep
        self._start = now()
        self._wall = time.time() - self._start

    def moment(self, video_time: float) -> tuple[float, float]:
        """(monotonic, wall) seconds of a frame; returns when it is due."""
        due = self._start + video_time
        if self._realtime:
            late = self._now() - due
            if late < 0:
                self._sleep(-late)
            elif late > self.LATE:
                self._start += late
                due += late
        return due, due + self._wall


def fitted(size: tuple[int, int], limit: tuple[int, int]) -> tuple[int, int]:
    """The largest even size of the shape of ``size`` within ``limit``, never above ``size``.

    A small stream shows the same field of view: in another shape its faces would be squeezed.
    """
    width, height = size
    scale = min(1.0, limit[0] / width, limit[1] / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
