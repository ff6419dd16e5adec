"""Live view of a camera: the latest processed frame with its tracks."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edge.core.imaging import image as pictures
from edge.core.types import Frame, IdentityState, Track
from edge.pipeline.frame_result import FrameResult

LOOKING = 4.0
"""seconds after a request for which frames are kept for the next request"""
LONGEST_WAIT = 2.0
"""seconds that a request waits for a frame newer than the one it has"""
STILL = 2.0
"""seconds between two pictures of a scene in which nothing moves and no track changes"""
QUALITY = 80
MOST_TRACKS = 40
LOST = 0.5
"""seconds without a detection after which a box is shown as the last known position"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame with its tracks, for viewers."""

    frame: Frame
    tracks: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _EncodedFrame:
    """An encoded frame. It holds no reference to the frame, which is many times larger."""

    sequence: int
    monotonic: float
    jpeg: bytes


class LiveView:
    """``observe`` is called on the inference thread for each frame; other methods on the endpoint's loop."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._wanted: dict[str, float] = {}
        """camera -> monotonic time in seconds until which it counts as watched; empty: no viewers"""
        self._shown: dict[str, Shown] = {}
        self._encoded: dict[str, _EncodedFrame] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: dict[str, asyncio.Event] = {}
        """camera -> set with its next frame; only where a request waits"""
        self._encoder = ThreadPoolExecutor(1, "live")  # one thread: each would hold its own picture buffers

    @property
    def watched(self) -> bool:
        return bool(self._wanted)

    def observe(self, result: FrameResult) -> None:
        """Keep the frame of a watched camera."""
        frame, camera = result.frame, result.frame.camera
        if not self._wanted or camera not in self._wanted:
            return
        if time.monotonic() > self._wanted[camera]:
            self._wanted.pop(camera, None)
            self._shown.pop(camera, None)
            self._encoded.pop(camera, None)
            return
        boxes = tuple(_box(track, frame.monotonic) for track in result.tracks[:MOST_TRACKS] if track.confirmed)
        before = self._shown.get(camera)
        still = before is not None and not result.stats.moving and boxes == before.tracks
        if before is not None and still and frame.monotonic - before.frame.monotonic < STILL:
            return
        self._shown[camera] = Shown(frame, boxes)
        if camera in self._news and self._loop is not None:
            with suppress(RuntimeError):  # the endpoint has just stopped
                self._loop.call_soon_threadsafe(self._announce, camera)

    def erase(self) -> None:
        """A subject was erased: drop all pictures, which may show it."""
        self._shown.clear()
        self._encoded.clear()

    async def newer(self, camera: str, after: int) -> Shown | None:
        """The next frame with another number than ``after``; None after the time limit."""
        self._loop = asyncio.get_running_loop()
        until = time.monotonic() + LONGEST_WAIT
        while True:
            self._wanted[camera] = time.monotonic() + LOOKING
            shown = self._shown.get(camera)
            if shown is not None and shown.frame.sequence != after:
                return shown
            news = self._news.setdefault(camera, asyncio.Event())
            try:
                await asyncio.wait_for(news.wait(), until - time.monotonic())
            except asyncio.TimeoutError:  # another exception in Python 3.10
                return None

    def shown(self, camera: str) -> Shown | None:
        """The current frame; None without viewers."""
        return self._shown.get(camera)

    async def jpeg(self, frame: Frame) -> bytes:
        """The frame as JPEG, encoded once for all viewers."""
        if (known := self._known(frame)) is not None:
            return known.jpeg
        return await asyncio.get_running_loop().run_in_executor(self._encoder, self._jpeg, frame)

    def close(self) -> None:
        self._encoder.shutdown(wait=False, cancel_futures=True)

    def _announce(self, camera: str) -> None:
        """Wake the requests that wait for a frame of a camera."""
        if (news := self._news.pop(camera, None)) is not None:
            news.set()

    def _known(self, frame: Frame) -> _EncodedFrame | None:
        known = self._encoded.get(frame.camera)
        same = known is not None and (known.sequence, known.monotonic) == (frame.sequence, frame.monotonic)
        return known if same else None

    def _jpeg(self, frame: Frame) -> bytes:
        known = self._known(frame)
        if known is None:
            main = frame.main
            width = min(self._width, main.width)
            height = max(1, round(main.height * width / main.width))
            data = pictures.encode_jpeg(pictures.resized_rgb(main, width, height), QUALITY)
            known = self._encoded[frame.camera] = _EncodedFrame(frame.sequence, frame.monotonic, data)
        return known.jpeg


def _box(track: Track, now: float) -> dict[str, Any]:
    box, identity = track.box.clipped(), track.identity
    return {
        "id": track.id,
        "label": track.label,
        "box": [round(value, 4) for value in (box.left, box.top, box.width, box.height)],
        "lost": now - track.seen > LOST,
        "state": identity.state,
        "subject": identity.subject if identity.state is IdentityState.KNOWN else None,
        "pseudonym": identity.pseudonym,
        "custom_labels": [one.name for one in track.custom_labels],
        "similarity": identity.similarity and round(identity.similarity, 2),
    }
