"""Video files, RTSP streams and V4L2 cameras, by PyAV (FFmpeg).

FFmpeg's own messages quote addresses with their passwords. Only its error codes are passed on, and an error of
ours never carries one of FFmpeg's as its cause.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from edge.core.credentials import mask_credentials
from edge.core.errors import SourceError
from edge.core.imaging import image as pictures
from edge.core.types import Frame, Picture
from edge.sources.base import FrameRate, StoredClock
from edge.sources.scene_cuts import SceneCuts

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream

    from edge.core.settings.vision import CameraSettings
    from edge.core.types import ByteArray


LONGEST_STEP = 60.0
"""seconds: a longer step between two frames is a broken timestamp, not a long wait"""


class Timeline:
    """Where each frame lies, given in the order of playing. Never goes back, and never far ahead at once."""

    def __init__(self, period: float) -> None:
        """``period``: seconds between frames where the timestamps do not say."""
        self._period = period
        self._stamp: float | None = None
        self.reached = -period
        """seconds of the latest frame; below 0 before the first"""

    def at(self, stamp: float | None) -> float:
        """Seconds from the first frame, of the next one with this timestamp (seconds from anywhere)."""
        step = self._period
        if stamp is not None and self._stamp is not None and 0 <= stamp - self._stamp <= LONGEST_STEP:
            step = stamp - self._stamp
        self._stamp = stamp if stamp is not None else None if self._stamp is None else self._stamp + self._period
        self.reached = max(0.0, self.reached + step)
        return self.reached


def picture(frame: VideoFrame, rotation: int) -> Picture:
    """The frame as i420, turned clockwise by ``rotation`` beyond what its own metadata asks for.

    Odd dimensions lose their last row or column. Raises SourceError for a pixel format that cannot be converted.
    """
    turn = (rotation - frame.rotation) % 360  # the metadata turns counterclockwise
    if frame.format.name != "yuv420p":
        frame = _converted(frame)
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    packed = Picture(_packed(frame, width, height), "i420", width, height)
    return pictures.rotated(packed, turn // 90 * 90)


def luma(frame: VideoFrame) -> ByteArray:
    """(height, width): the brightness as it was decoded; without a copy where the format has a plane for it."""
    if not frame.format.name.startswith(("yuv4", "yuvj4", "nv")) or frame.format.components[0].bits != 8:
        frame = _converted(frame)
    return _rows(frame.planes[0])[: frame.height, : frame.width]


def _converted(frame: VideoFrame) -> VideoFrame:
    try:
        return frame.reformat(format="yuv420p")
    except (av.error.FFmpegError, ValueError) as error:
        message = f"pictures of the format {frame.format.name} cannot be converted: {type(error).__name__}"
        raise SourceError(message, "convert the video to H.264 with yuv420p") from None


def _packed(frame: VideoFrame, width: int, height: int) -> ByteArray:
    """(height * 3 // 2, stride): the planes one below the other, with the decoder's padding where that is even."""
    y, u, v = (_rows(plane) for plane in frame.planes)
    stride = y.shape[1]
    if not (stride == 2 * u.shape[1] == 2 * v.shape[1]):
        y, u, v = y[:, :width], u[:, : width // 2], v[:, : width // 2]
        stride = width
    parts = (y[:height], u[: height // 2], v[: height // 2])
    packed: ByteArray = np.concatenate([part.reshape(-1) for part in parts]).reshape(height * 3 // 2, stride)
    return packed


def _rows(plane: VideoPlane) -> ByteArray:
    flat: ByteArray = np.frombuffer(memoryview(plane), np.uint8)
    return flat.reshape(-1, plane.line_size)


def seconds(path: Path) -> float | None:
    """Length by the file's own word, which may be wrong; None where it says nothing or cannot be read."""
    try:
        with av.open(str(path)) as container:
            return container.duration / 1_000_000 if container.duration else None
    except (av.error.FFmpegError, ValueError):
        return None


logger = logging.getLogger(__name__)


class VideoFile:
    """``video:FILE``. A file that ends in the middle gives what it has, and a warning."""

    live = False

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self.name = f"video {target}"
        self.damaged = 0
        """packets that could not be decoded so far"""
        self._camera, self._path = camera, Path(target)
        self._container: InputContainer | None = None

    def frames(self) -> Iterator[Frame]:
        clock, sequence, played = StoredClock(self._camera.realtime), 0, 0.0
        while True:
            length = 0.0
            rate, shots, cut = FrameRate(self._camera.fps), SceneCuts(), sequence > 0
            for video_time, decoded in self._pass():
                length = video_time
                cut = shots.begins(luma(decoded), video_time) or cut
                if not rate.wants(video_time):
                    continue
                main = picture(decoded, self._camera.rotation)
                monotonic, wall = clock.moment(played + video_time)
                yield Frame(self._camera.name, sequence, monotonic, wall, main, video_time=video_time, cut=cut)
                sequence, cut = sequence + 1, False
            if not (self._camera.loop and sequence):
                return
            played += length + 1 / self._camera.fps

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None

    def _pass(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """(seconds from the first frame, decoded frame) of the file, once."""
        self.close()
        if not self._path.is_file():
            raise SourceError(f"{self.name}: there is no such file", "check the path after video:")
        self._container = _opened(str(self._path), self.name)
        stream = _video_stream(self._container, self.name)
        timeline = Timeline(float(1 / stream.average_rate) if stream.average_rate else 0.04)
        for decoded in self._decoded(self._container, stream):
            yield timeline.at(decoded.time), decoded
        self._report(stream, timeline.reached)

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        try:
            for packet in container.demux(stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    self.damaged += 1
        except av.error.FFmpegError as error:
            logger.warning("%s cannot be read further: %s", self.name, error.strerror)

    def _report(self, stream: VideoStream, reached: float) -> None:
        stated = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        if stated - reached > 1.0:
            logger.warning("%s ends in the middle: after %.1f of %.1f seconds", self.name, max(0.0, reached), stated)
        if self.damaged:
            logger.warning("%s is damaged: %d packets could not be decoded", self.name, self.damaged)
        if reached < 0:
            raise SourceError(f"{self.name}: no frame of it can be decoded", "play it with ffplay to see what it holds")


class _LiveStream:
    """What RTSP and V4L2 share: frames as they arrive, and no silence longer than ``camera.stall``."""

    live = True

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self.name = mask_credentials(target)
        self._camera, self._target = camera, target
        self._container: InputContainer | None = None

    def frames(self) -> Iterator[Frame]:
        self.close()
        self._container = self._open()
        stream = _video_stream(self._container, self.name)
        rate, sequence = FrameRate(self._camera.fps), 0
        for decoded in self._decoded(self._container, stream):
            now = time.monotonic()
            if rate.wants(now):
                main = picture(decoded, self._camera.rotation)
                yield Frame(self._camera.name, sequence, now, time.time(), main)
                sequence += 1

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None

    def _open(self) -> InputContainer:
        raise NotImplementedError

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        """Frames until the far side ends the stream. Packets of other streams show no life of this one."""
        heard = time.monotonic()
        for packet in self._packets(container):
            frames = _decoded_or_lost(packet) if packet is not None and packet.stream is stream else []
            for frame in frames:
                yield frame
                heard = time.monotonic()
            if time.monotonic() - heard > self._camera.stall:
                raise _silent(self.name, self._camera.stall)

    def _packets(self, container: InputContainer) -> Iterator[av.Packet[Any] | None]:
        """Packets of all streams; None while a device that does not block has none."""
        while True:
            try:
                yield from container.demux()
            except av.error.BlockingIOError:
                time.sleep(0.005)
                yield None
            except av.error.FFmpegError as error:
                raise _explained(error, self.name, self._camera.stall) from None
            else:
                return


class RtspStream(_LiveStream):
    """``rtsp://user:password@host/path``, over TCP: what UDP loses shows as gray smears that look like motion."""

    def _open(self) -> InputContainer:
        stall = self._camera.stall
        options = {"rtsp_transport": "tcp", "allowed_media_types": "video"}
        return _opened(self._target, self.name, options=options, timeout=(stall, stall))


class V4l2Camera(_LiveStream):
    """``v4l2:/dev/video0``: a USB camera, or any that the kernel drives by itself."""

    def _open(self) -> InputContainer:
        device = self._target or "/dev/video0"
        if not Path(device).exists():
            raise SourceError(
                f"{self.name}: there is no device {device}", "v4l2-ctl --list-devices shows what there is"
            )
        wanted = {
            "video_size": f"{self._camera.width}x{self._camera.height}",
            "framerate": f"{self._camera.fps:g}",
            "fflags": "nonblock",  # a camera that is unplugged blocks FFmpeg for ever otherwise
        }
        return _opened(device, self.name, format="v4l2", options=wanted)


# --- PyAV -------------------------------------------------------------------------------------------------------

_REASONS: dict[type[Exception], tuple[str, str]] = {
    av.error.HTTPUnauthorizedError: ("it wants another user or password", "check user and password of the address"),
    av.error.HTTPForbiddenError: ("it refuses this user", "give the user access in the camera's settings"),
    av.error.HTTPNotFoundError: ("it has no such stream", "check the path of the address"),
    av.error.ConnectionRefusedError: ("nothing listens there", "check host and port of the address"),
    av.error.InvalidDataError: ("it is not a video that can be read", "play it with ffplay to see what it holds"),
    av.error.PermissionError: ("permission denied", "add the user to the group that owns it (video, for cameras)"),
    av.error.OSError: ("it cannot be reached", "check that it is switched on, and the network"),
}
"""FFmpeg's error -> (what it means, what to try); the first that fits counts"""


def _opened(
    file: str,
    name: str,
    *,
    format: str | None = None,  # noqa: A002
    options: dict[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    try:
        return av.open(file, format=format, options=options or {}, timeout=timeout)
    except (av.error.FFmpegError, ValueError) as error:
        raise _explained(error, name, timeout[0] if timeout else 0.0) from None


def _explained(error: Exception, name: str, stall: float) -> SourceError:
    if isinstance(error, av.error.ExitError | av.error.TimeoutError):
        return _silent(name, stall)
    for kind, (reason, hint) in _REASONS.items():
        if isinstance(error, kind):
            detail = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
            return SourceError(f"{name}: {reason}{mask_credentials(detail)}", hint)
    return SourceError(f"{name}: cannot be read ({type(error).__name__})", "play it with ffplay to see what it holds")


def _silent(name: str, stall: float) -> SourceError:
    return SourceError(f"{name}: nothing came for {stall:g} seconds", "check that it is switched on, and the network")


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    if not container.streams.video:
        raise SourceError(f"{name}: it holds no video", "check that it is the right file or stream")
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > pictures.MOST_PIXELS:
        raise SourceError(f"{name}: {width} x {height} pixels are too many", "make the video smaller")
    return stream


def _decoded_or_lost(packet: av.Packet[Any]) -> list[av.VideoFrame]:
    """The frames of a packet, none where the network damaged it: the next key frame heals the picture."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    except av.error.InvalidDataError:
        return []
