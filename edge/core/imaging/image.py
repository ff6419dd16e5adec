"""Pictures: read, converted, resized, turned and cut.

Pixels are uint8. ``i420`` follows ITU-R BT.601 with 16..235 luma, as cv2 has it. Resizing is bilinear; pixel
centers lie at half-integers, so a picture and its smaller self show the same fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from edge.core.imaging.decoding import MOST_BYTES, MOST_PIXELS, decode, read
from edge.core.types import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import ByteArray, FloatArray

cv2.setNumThreads(1)  # its helpers cost a tenth to a third more CPU here, and take the cores from the interpreter

__all__ = [
    "MOST_BYTES", "MOST_PIXELS", "cut", "decode", "encode_jpeg", "luma", "planes", "read", "resized", "resized_rgb",
    "rotated", "to_rgb", "warped_rgb",
]  # fmt: skip


def to_rgb(picture: Picture) -> ByteArray:
    """(height, width, 3) uint8; the picture's own memory where it is rgb already."""
    pixels = picture.data[: picture.height, : picture.width]
    if picture.layout == "rgb":
        return pixels
    if picture.layout == "bgr":
        return _bytes(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return _i420_to_rgb(*planes(picture))


def planes(picture: Picture) -> tuple[ByteArray, ByteArray, ByteArray]:
    """Y (height, width), U and V (height // 2, width // 2) of an i420 picture, without padding, without a copy."""
    width, height, stride = picture.width, picture.height, picture.data.shape[1]
    u, v = picture.data[height : height * 3 // 2].reshape(2, height // 2, stride // 2)[:, :, : width // 2]
    return picture.data[:height, :width], u, v


def resized_rgb(picture: Picture, width: int, height: int, out: ByteArray | None = None) -> ByteArray:
    """(height, width, 3) uint8, in ``out`` where it is given.

    Of i420 the planes are resized first: a third of the work, the same picture.
    """
    made = _resized_rgb(picture, width, height, out)
    if out is None or made is out:
        return made
    out[:] = made
    return out


def _resized_rgb(picture: Picture, width: int, height: int, out: ByteArray | None) -> ByteArray:
    """The same, in ``out`` where cv2 can write there; it does not where the size or the type is another."""
    if picture.layout == "i420":
        if (width, height) == (picture.width, picture.height) and picture.data.shape == (height * 3 // 2, width):
            return _bytes(cv2.cvtColor(picture.data, cv2.COLOR_YUV2RGB_I420, dst=out))
        y, u, v = planes(picture)
        half = ((width + 1) // 2, (height + 1) // 2)
        whole = _resized(y, width, height)
        if width % 2 or height % 2:
            whole = _bytes(cv2.copyMakeBorder(whole, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))
            return _i420_to_rgb(whole, _resized(u, *half), _resized(v, *half))[:height, :width]
        return _i420_to_rgb(whole, _resized(u, *half), _resized(v, *half), out)
    if picture.layout == "rgb":
        return _resized(picture.data[: picture.height, : picture.width], width, height, out)
    small = _resized(picture.data[: picture.height, : picture.width], width, height)
    return _bytes(cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=out))


def resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture in another size and the same layout; i420 in even sizes only."""
    if picture.layout != "i420":
        small = _resized(picture.data[: picture.height, : picture.width], width, height)
        return Picture(small, picture.layout, width, height)
    y, u, v = planes(picture)
    parts = _resized(y, width, height), _resized(u, width // 2, height // 2), _resized(v, width // 2, height // 2)
    packed = np.concatenate([part.reshape(-1) for part in parts]).reshape(height * 3 // 2, width)
    return Picture(packed, "i420", width, height)


def luma(picture: Picture, width: int, height: int) -> ByteArray:
    """(height, width) uint8, averaged rather than sampled: noise shrinks with the picture."""
    if picture.layout == "i420":
        return _averaged(planes(picture)[0], width, height)
    small = _averaged(picture.data[: picture.height, : picture.width], width, height)
    return _bytes(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY if picture.layout == "rgb" else cv2.COLOR_BGR2GRAY))


def warped_rgb(picture: Picture, matrix: FloatArray, width: int, height: int) -> ByteArray:
    """(height, width, 3) uint8 cut from a picture by an affine map; black where it looks outside.

    ``matrix`` (2, 3) takes the center of a source pixel (whole numbers) to the output, as cv2.warpAffine does.
    Only the region that is needed is converted, and averaged first where the output is less than half its size.
    """
    (a, b, c), (d, e, f) = forward = matrix.tolist()  # plain numbers: a tenth of what small arrays cost after an invoke
    left, top, right, bottom = _needed(forward, width, height, picture)
    if right <= left or bottom <= top:
        return np.zeros((height, width, 3), np.uint8)
    region = to_rgb(cut(picture, left, top, right, bottom))
    # output pixels that a source pixel becomes along one side
    factor = max(1, int(1 / math.sqrt(abs(a * e - b * d))))
    x, y = left + (factor - 1) / 2, top + (factor - 1) / 2
    moved = np.array([[a * factor, b * factor, a * x + b * y + c], [d * factor, e * factor, d * x + e * y + f]])
    if factor > 1:
        whole = region[: region.shape[0] // factor * factor, : region.shape[1] // factor * factor]
        region = _averaged(whole, whole.shape[1] // factor, whole.shape[0] // factor)
    return _bytes(cv2.warpAffine(region, moved, (width, height), flags=cv2.INTER_LINEAR))


def cut(picture: Picture, left: int, top: int, right: int, bottom: int) -> Picture:
    """The part of a picture between even coordinates, without a copy where the layout allows."""
    width, height = right - left, bottom - top
    if picture.layout != "i420":
        return Picture(picture.data[top:bottom, left:right], picture.layout, width, height)
    y, u, v = planes(picture)
    half = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    return Picture(_i420_to_rgb(y[top:bottom, left:right], u[half], v[half]), "rgb", width, height)


def rotated(picture: Picture, degrees: int) -> Picture:
    """The picture turned clockwise by 0, 90, 180 or 270 degrees, in the same layout."""
    if degrees == 0:
        return picture
    code = _TURNS[degrees]
    width, height = (picture.width, picture.height) if degrees == 180 else (picture.height, picture.width)
    if picture.layout != "i420":
        turned = _bytes(cv2.rotate(picture.data[: picture.height, : picture.width], code))
        return Picture(turned, picture.layout, width, height)
    packed = np.concatenate([cv2.rotate(plane, code).reshape(-1) for plane in planes(picture)])
    return Picture(_bytes(packed.reshape(height * 3 // 2, width)), "i420", width, height)


def encode_jpeg(rgb: ByteArray, quality: int = 85) -> bytes:
    """A JPEG of (height, width, 3) uint8 pixels; quality 1..100."""
    import simplejpeg

    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=quality, colorsubsampling="420")
    return data


_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def _bytes(pixels: NDArray[Any]) -> ByteArray:
    """cv2 says "some array"; here it is known to hold bytes."""
    return cast("ByteArray", pixels)


def _i420_to_rgb(y: ByteArray, u: ByteArray, v: ByteArray, out: ByteArray | None = None) -> ByteArray:
    height, width = y.shape
    packed = np.empty((height * 3 // 2, width), np.uint8)
    packed[:height] = y
    colors = packed[height:].reshape(2, height // 2, width // 2)
    colors[0], colors[1] = u, v
    return _bytes(cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420, dst=out))


def _resized(pixels: ByteArray, width: int, height: int, out: ByteArray | None = None) -> ByteArray:
    if pixels.shape[:2] == (height, width):
        return pixels
    return _bytes(cv2.resize(pixels, (width, height), dst=out, interpolation=cv2.INTER_LINEAR))


def _averaged(pixels: ByteArray, width: int, height: int) -> ByteArray:
    """Shrunk by averaging. From far larger ones by sampling first: 4 ms of a 720p picture become 0.3."""
    if pixels.shape[1] > 4 * width and pixels.shape[0] > 4 * height:
        pixels = _resized(pixels, 2 * width, 2 * height)
    return _bytes(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def _needed(forward: Sequence[Sequence[float]], width: int, height: int, picture: Picture) -> tuple[int, int, int, int]:
    """left, top, right, bottom of the source pixels that the output looks at: even, inside the picture."""
    (a, b, c), (d, e, f) = forward
    determinant = a * e - b * d
    if not math.isfinite(determinant + c + f) or abs(determinant) < 1e-12:
        return 0, 0, 0, 0
    middle_x, middle_y = (width - 1) / 2 - c, (height - 1) / 2 - f
    x, y = (e * middle_x - b * middle_y) / determinant, (a * middle_y - d * middle_x) / determinant
    half_x = (abs(e) * width + abs(b) * height) / (2 * abs(determinant))
    half_y = (abs(d) * width + abs(a) * height) / (2 * abs(determinant))
    margin = 2 + 2 * math.ceil(max(1.0, max(abs(e) + abs(b), abs(d) + abs(a)) / abs(determinant)))
    left, right = _within(x - half_x - margin, x + half_x + margin, picture.width)
    top, bottom = _within(y - half_y - margin, y + half_y + margin, picture.height)
    return left, top, right, bottom


def _within(low: float, high: float, side: int) -> tuple[int, int]:
    """From an even pixel to an even one, or to the side where that is odd."""
    first = max(0, min(side, math.floor(low))) // 2 * 2
    last = max(0, min(side, math.ceil(high)))
    return first, min(last + last % 2, side)
