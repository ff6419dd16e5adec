"""Writes videos with drawn detections."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

import av
import av.error

from edge.core.errors import StoreError
from edge.core.imaging import image as pictures
from edge.core.imaging.drawing import DrawnBox, annotated
from edge.core.types import Frame, IdentityState, Track

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream
    from typing_extensions import Self

TICKS = 1000
"""per second, time base of the file"""
CODECS = ("libx264", "mpeg4")
COLORS = {IdentityState.KNOWN: (0, 130, 60), IdentityState.UNCERTAIN: (180, 110, 0)}
OTHER = (90, 90, 90)
"""red, green, blue"""


class AnnotatedVideo:
    """Writes an annotated video to ``path``, atomically at the end; nothing stays on errors. Raises StoreError."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.stem}.part{path.suffix or '.mp4'}")
        self._fps = max(1, round(fps))
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size = (0, 0)
        self._latest = -1

    def write(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Append a frame with boxes and captions of ``tracks``, at its time in the video."""
        rgb = pictures.to_rgb(frame.main)
        if self._stream is None:
            self._open(frame)
        ordered = sorted(tracks, key=lambda track: track.identity.state is not IdentityState.KNOWN)
        found = [DrawnBox(track.box, caption(track), COLORS.get(track.identity.state, OTHER)) for track in ordered]
        canvas = annotated(rgb, found)[: self._size[1], : self._size[0]]
        decoded = av.VideoFrame.from_ndarray(canvas, format="rgb24")
        decoded.pts = max(self._latest + 1, round((frame.video_time or 0.0) * TICKS))
        decoded.time_base = Fraction(1, TICKS)
        self._latest = decoded.pts
        self._mux(decoded)

    def _open(self, frame: Frame) -> None:
        self._size = frame.main.width // 2 * 2, frame.main.height // 2 * 2
        try:
            self._container = av.open(str(self._temporary), "w")
        except (av.error.FFmpegError, ValueError) as error:
            raise _failed(self._path, error) from error
        codec = next(name for name in CODECS if name in av.codecs_available)
        options = {"preset": "veryfast", "crf": "23"} if codec == "libx264" else {}
        stream = cast("VideoStream", self._container.add_stream(codec, rate=self._fps, options=options))
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream = stream

    def _mux(self, frame: av.VideoFrame | None) -> None:
        if self._stream is None or self._container is None:
            return
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            raise _failed(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        try:
            if kind is None:
                self._mux(None)
            self._container.close()
            if kind is None:
                self._temporary.replace(self._path)
        except (av.error.FFmpegError, OSError) as failure:
            raise _failed(self._path, failure) from failure
        finally:
            self._temporary.unlink(missing_ok=True)


def caption(track: Track) -> str:
    """Subject and similarity (0..100) where known, else custom labels, else the label; then the track id."""
    identity = track.identity
    what = ", ".join(one.name for one in track.custom_labels) or track.label
    if identity.state is IdentityState.KNOWN and identity.subject:
        likeness = "" if identity.likeness is None else f" {identity.likeness:.0f}"
        what = f"{identity.subject}{likeness}"
    elif identity.state is IdentityState.UNCERTAIN:
        what = f"{what}?"
    return f"{what}  {track.id}"


def _failed(path: Path, error: Exception) -> StoreError:
    return StoreError(f"video {path}: cannot be written: {error}", "choose a file like out.mp4 in a writable folder")
