"""Video files, RTSP and HTTP streams and V4L2 cameras, by PyAV (FFmpeg)."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from edge.core.credentials import encoded_address, masked_address
from edge.core.errors import AccessError, SourceError
from edge.core.imaging import image as pictures
from edge.core.types import Frame, Picture
from edge.sources.base import FrameRate, StoredClock
from edge.sources.containers import (
    HTTP_PROTOCOLS,
    RTSP_FORMATS,
    RTSP_PROTOCOLS,
    STREAM_FORMATS,
    check_size,
    explained,
    open_file,
    opened,
    refused_certificate,
    silent,
    tls_options,
    video_stream,
)
from edge.sources.scene_cuts import SceneCuts

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream

    from edge.core.settings.vision import CameraSettings
    from edge.core.types import ByteArray


LONGEST_STEP = 60.0
"""seconds: a longer step between two frames is a broken timestamp, where nothing else says how long the video is"""
_TS_DISCONT = 0x0200
"""AVFMT_TS_DISCONT: timestamps of the format may jump, and nothing else says how long it is"""
LONGEST_PAUSE = 24 * 3600.0
"""seconds: a longer step is a broken timestamp, whatever the container says"""
SLACK = 5.0
"""seconds that a container's duration may be short of its last frame"""


class Timeline:
    """Where each frame lies, given in the order of playing. Never goes back, and never farther than the video is long.

    A recording may pause: cameras that record motion write the next event behind the last, with its true time. A step
    back is a broken timestamp, and so is one that leads past the duration that the container states.
    """

    def __init__(self, period: float, duration: float | None = None) -> None:
        """``period``: seconds between frames without timestamps. ``duration``: seconds of the video, where known."""
        self._period, self._duration = period, duration
        self._stamp: float | None = None
        self.reached = -period
        """seconds of the latest frame; below 0 before the first"""

    def at(self, stamp: float | None) -> float:
        """Seconds from the first frame, of the next one with this timestamp (seconds from anywhere)."""
        step = self._period
        if stamp is not None and self._stamp is not None and self._plausible(stamp - self._stamp):
            step = stamp - self._stamp
        self._stamp = stamp if stamp is not None else None if self._stamp is None else self._stamp + self._period
        self.reached = max(0.0, self.reached + step)
        return self.reached

    def _plausible(self, step: float) -> bool:
        if 0 <= step <= LONGEST_STEP:
            return True
        inside = self._duration is not None and self.reached + step <= self._duration + SLACK
        return inside and 0 <= step <= LONGEST_PAUSE


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
    """Duration from the file's header, which may be wrong; None where it is missing or cannot be read."""
    try:
        with open_file(path, str(path)) as container:
            return _duration(container)
    except SourceError:
        return None


def _duration(container: InputContainer) -> float | None:
    return container.duration / 1_000_000 if container.duration else None


logger = logging.getLogger(__name__)


class VideoFile:
    """``video:FILE``. A truncated file is played as far as it goes, with a warning."""

    live = False

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self.name = f"video {target}"
        self.damaged = 0
        """packets that could not be decoded so far"""
        self._camera, self._path = camera, Path(target)
        self.on_waiting: Callable[[str], None] = lambda _: None
        self._container: InputContainer | None = None

    def frames(self) -> Iterator[Frame]:
        clock, sequence, played = StoredClock(self._camera.realtime, sleep=self._wait), 0, 0.0
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

    def _wait(self, seconds: float) -> None:
        """Sleep until a frame is due; a long pause of the recording reports progress."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, TELL))
            if left > TELL:
                self.on_waiting(f"{self.name}: the recording pauses for {left:.0f} more seconds")

    def _pass(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """(seconds from the first frame, decoded frame) of the file, once."""
        self.close()
        if not self._path.is_file():
            raise SourceError(f"{self.name}: there is no such file", "check the path after video:")
        self._container = open_file(self._path, self.name)
        stream = video_stream(self._container, self.name)
        broken = bool(int(self._container.format.flags) & _TS_DISCONT)  # the duration was made of the same timestamps
        period = float(1 / stream.average_rate) if stream.average_rate else 0.04
        timeline = Timeline(period, None if broken else _duration(self._container))
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


NO_PICTURE = 300.0
"""seconds of packets without a decoded frame after which a stream counts as broken: longer than any GOP"""
TELL = 5.0
"""seconds between two progress reports of a source that waits"""


class _LiveStream:
    """What live streams share: frames as they arrive, and no silence longer than ``camera.stall``.

    Packets are life. A camera may send a key frame once in minutes, and without one nothing can be decoded: that is
    waited for, and told by ``on_waiting``. What cannot be decoded although a key frame came is an error.
    """

    live = True

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self.name = masked_address(target)
        self.on_waiting: Callable[[str], None] = lambda _: None
        self._camera, self._target = camera, target
        self._container: InputContainer | None = None

    def frames(self) -> Iterator[Frame]:
        rate, sequence = FrameRate(self._camera.fps), 0
        for decoded in self._pictures():
            now = time.monotonic()
            if rate.wants(now):
                main = picture(decoded, self._camera.rotation)
                yield Frame(self._camera.name, sequence, now, time.time(), main)
                sequence += 1

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = None

    def _pictures(self) -> Iterator[av.VideoFrame]:
        self.close()
        self._container = self._open()
        yield from self._decoded(self._container, video_stream(self._container, self.name))

    def _open(self) -> InputContainer:
        raise NotImplementedError

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        """Pictures until the far side ends the stream. Packets of other streams do not count."""
        life = _StreamLife(self.name, self._camera.stall, time.monotonic())
        for packet in self._packets(container):
            if packet is not None and packet.stream is stream:
                life.packet(packet, time.monotonic())
                for frame in _decoded_or_lost(packet):
                    check_size(frame.width, frame.height, self.name)
                    yield frame
                    life.picture(time.monotonic())
            if waits := life.look(time.monotonic()):
                self.on_waiting(waits)

    def _packets(self, container: InputContainer) -> Iterator[av.Packet[Any] | None]:
        """Packets of all streams; None while a device that does not block has none."""
        while True:
            try:
                yield from container.demux()
            except av.error.BlockingIOError:
                time.sleep(0.005)
                yield None
            except av.error.FFmpegError as error:
                raise explained(error, self.name, self._camera.stall) from None
            else:
                return


class _StreamLife:
    """Whether to wait for a stream that delivers packets and no frames. All times are monotonic seconds."""

    def __init__(self, name: str, stall: float, now: float) -> None:
        self._name, self._stall = name, stall
        self._heard = self._pictured = self._told = now
        self._key: float | None = None
        """of the first key frame since the latest picture"""

    def packet(self, packet: av.Packet[Any], now: float) -> None:
        if packet.size:
            self._heard = now
        if packet.is_keyframe and self._key is None:
            self._key = now

    def picture(self, now: float) -> None:
        self._heard = self._pictured = self._told = now
        self._key = None

    def look(self, now: float) -> str:
        """The reason to wait, once in ``TELL`` seconds; empty otherwise. Raises SourceError where waiting is no use."""
        if now - self._heard > self._stall:
            raise silent(self._name, self._stall)
        if self._key is not None and now - self._key > self._stall:
            raise SourceError(
                f"{self._name}: packets come, and for {self._stall:g} seconds none could be decoded",
                "choose H.264, H.265 or MJPEG in the camera's settings",
            )
        if now - self._pictured > NO_PICTURE:
            raise SourceError(
                f"{self._name}: packets came for {NO_PICTURE:g} seconds, and no key frame",
                "set a shorter key frame interval (GOP) in the camera's settings",
            )
        if now - self._told < min(TELL, self._stall / 2):
            return ""
        self._told = now
        return f"{self._name}: packets come; waiting for a key frame"


class NetworkStream(_LiveStream):
    """Base of RTSP and HTTP sources: verified TLS, and addresses whose user may hold any character."""

    port = 0
    """of TLS where the address names none"""
    _format: str | None = None
    """FFmpeg's name of the format; None: detected"""

    def _open(self) -> InputContainer:
        address, stall = encoded_address(self._target), self._camera.stall
        try:
            tls = tls_options(self._camera.tls_verify, self._camera.tls_ca) if self._is_tls() else {}
        except SourceError as error:
            raise SourceError(f"{self.name}: {error.message}", error.hint) from None
        try:
            return opened(
                address, self.name, format=self._format, options=self._options() | tls, timeout=(stall, stall)
            )
        except AccessError:
            raise
        except SourceError:
            why = refused_certificate(address, self._camera.tls_ca, self.port) if "1" in tls.values() else ""
            if not why:
                raise
            raise SourceError(
                f"{self.name}: its certificate is not trusted: {why}",
                "set tls_ca of the camera to its CA certificate; tls_verify = false encrypts for whoever answers",
            ) from None

    def _is_tls(self) -> bool:
        return self._target.lower().startswith(("rtsps://", "https://"))

    def _options(self) -> dict[str, str]:
        raise NotImplementedError


_TRANSPORTS = {
    "auto": {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"},
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
    "http": {"rtsp_transport": "http"},
}
"""``camera.transport`` -> options of FFmpeg's RTSP demuxer"""


class RtspStream(NetworkStream):
    """``rtsp[s]://user:password@host/path``, over TCP, and over UDP where the camera refuses TCP.

    What UDP loses shows as gray smears that look like motion.
    """

    port = 322

    def _options(self) -> dict[str, str]:
        return {
            "allowed_media_types": "video",
            "format_whitelist": ",".join(RTSP_FORMATS),
            "protocol_whitelist": ",".join(RTSP_PROTOCOLS),
            **_TRANSPORTS[self._camera.transport],
        }


class HttpStream(NetworkStream):
    """``http[s]://user:password@host/path``: MJPEG, FLV, MPEG-TS and the like.

    A single picture is fetched again and again, ``camera.fps`` times a second.
    """

    port = 443

    def _pictures(self) -> Iterator[av.VideoFrame]:
        while True:
            began, count, before = time.monotonic(), 0, self._format
            for decoded in super()._pictures():
                count += 1
                yield decoded
            if count != 1 and self._format == before:
                return
            time.sleep(max(0.0, began + 1 / self._camera.fps - time.monotonic()))

    def _packets(self, container: InputContainer) -> Iterator[av.Packet[Any] | None]:
        """As above, but a failure of FFmpeg's may be none.

        It takes the end of an answer without a length for an I/O error, and gives up where something stands between the
        parts of a multipart answer: then the pictures are found by their own markers.
        """
        try:
            yield from container.demux()
        except av.error.FFmpegError as error:
            if isinstance(error, av.error.InvalidDataError) and container.format.name == "mpjpeg":
                self._format = "mjpeg"
            elif not isinstance(error, av.error.OSError) or error.errno != errno.EIO:
                raise explained(error, self.name, self._camera.stall) from None

    def _options(self) -> dict[str, str]:
        return {"format_whitelist": ",".join(STREAM_FORMATS), "protocol_whitelist": ",".join(HTTP_PROTOCOLS)}


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
        return opened(device, self.name, format="v4l2", options=wanted)


def _decoded_or_lost(packet: av.Packet[Any]) -> list[av.VideoFrame]:
    """The frames of a packet, none where the network damaged it: the next key frame heals the picture."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    except (av.error.InvalidDataError, av.error.ArgumentError):
        return []
