"""From what PyAV decodes to an upright i420 picture, by copying planes: no colour conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av.error
import numpy as np

from edge.core.errors import SourceError
from edge.core.imaging import image as pictures
from edge.core.types import Picture

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.plane import VideoPlane

    from edge.core.types import ByteArray


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
