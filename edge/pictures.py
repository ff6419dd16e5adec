"""Pictures: read from bytes nobody vouches for, converted, resized and cut.

Pixels are uint8. ``i420`` follows ITU-R BT.601 with 16..235 luma, as cv2 has it. Resizing is bilinear; pixel
centres lie at half-integers, so a picture and its smaller self show the same fractions.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from edge import picture_headers
from edge.errors import InputError
from edge.picture_headers import Header
from edge.types import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.types import ByteArray, FloatArray

MOST_PIXELS = 32_000_000
"""A picture with more is refused before it is decoded."""
MOST_BYTES = 256 << 20
"""A file with more is refused before it is read: no picture of MOST_PIXELS needs it."""

cv2.setLogLevel(0)  # its decoders write to stderr what we say in an InputError


def read(path: Path) -> Picture:
    """The picture in a file, as rgb and upright. Raises InputError (see ``decode``; ``unreadable`` without access)."""
    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file", "check the path", code="unreadable")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise InputError(f"{path}: {size:,} bytes, at most {MOST_BYTES:,} are read", _SMALLER, code="too_large")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}", "check its permissions", code="unreadable") from error
    return decode(data, str(path))


def decode(data: bytes, where: str = "picture") -> Picture:
    """The picture in these bytes (JPEG, PNG, WebP, BMP), as rgb and upright.

    Raises InputError with code ``empty``, ``truncated``, ``too_large`` or ``unsupported`` (damaged ones too);
    ``where`` names the picture in the message.
    """
    if not data:
        raise InputError(f"{where}: expected a picture, got no bytes", _AGAIN, code="empty")
    found = _header(data, where)
    if min(found.width, found.height) < 1:
        raise InputError(f"{where}: its dimensions are {found.width} x {found.height}", _AGAIN, code="unsupported")
    if found.width * found.height > MOST_PIXELS:
        size = f"{found.width} x {found.height} pixels"
        raise InputError(f"{where}: {size}, at most {MOST_PIXELS:,} pixels are decoded", _SMALLER, code="too_large")
    rgb = _decoded_jpeg(data, found, where) if found.kind == "jpeg" else _decoded_by_cv2(data, where)
    rgb = _upright(rgb, found.orientation)
    return Picture(rgb, "rgb", width=rgb.shape[1], height=rgb.shape[0])


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


def resized_rgb(picture: Picture, width: int, height: int) -> ByteArray:
    """(height, width, 3) uint8. Of i420 the planes are resized first: a third of the work, the same picture."""
    if picture.layout == "i420":
        y, u, v = planes(picture)
        half = ((width + 1) // 2, (height + 1) // 2)
        whole = cv2.copyMakeBorder(_resized(y, width, height), 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return _i420_to_rgb(_bytes(whole), _resized(u, *half), _resized(v, *half))[:height, :width]
    small = _resized(picture.data[: picture.height, : picture.width], width, height)
    return _bytes(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)) if picture.layout == "bgr" else small


def luma(picture: Picture, width: int, height: int) -> ByteArray:
    """(height, width) uint8, averaged rather than sampled: noise shrinks with the picture."""
    if picture.layout == "i420":
        return _averaged(planes(picture)[0], width, height)
    small = _averaged(picture.data[: picture.height, : picture.width], width, height)
    return _bytes(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY if picture.layout == "rgb" else cv2.COLOR_BGR2GRAY))


def warped_rgb(picture: Picture, matrix: FloatArray, width: int, height: int) -> ByteArray:
    """(height, width, 3) uint8 cut from a picture by an affine map; black where it looks outside.

    ``matrix`` (2, 3) takes the centre of a source pixel (whole numbers) to the output, as cv2.warpAffine does.
    Only the region that is needed is converted, and averaged first where the output is less than half its size.
    """
    forward = np.asarray(matrix, np.float64)
    left, top, right, bottom = _needed(forward, width, height, picture)
    if right <= left or bottom <= top:
        return np.zeros((height, width, 3), np.uint8)
    region = to_rgb(_cut(picture, left, top, right, bottom))
    factor = max(1, int(1 / _scale(forward)))
    moved = forward @ _from_region(left, top, factor)
    if factor > 1:
        whole = region[: region.shape[0] // factor * factor, : region.shape[1] // factor * factor]
        region = _averaged(whole, whole.shape[1] // factor, whole.shape[0] // factor)
    return _bytes(cv2.warpAffine(region, moved, (width, height), flags=cv2.INTER_LINEAR))


def encode_jpeg(rgb: ByteArray, quality: int = 85) -> bytes:
    """A JPEG of (height, width, 3) uint8 pixels; quality 1..100."""
    import simplejpeg

    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=quality, colorsubsampling="420")
    return data


# --- decoding ---------------------------------------------------------------------------------------------------

_AGAIN = "send the picture again, whole"
_SMALLER = "make the picture smaller"
_OTHER = "convert the picture to JPEG or PNG"


def _header(data: bytes, where: str) -> Header:
    try:
        found = picture_headers.header(data)
    except picture_headers.Damaged as error:
        code = "truncated" if error.truncated else "unsupported"
        raise InputError(f"{where}: {error}", _AGAIN if error.truncated else _OTHER, code=code) from error
    if found is None:
        message = f"{where}: expected JPEG, PNG, WebP or BMP, got bytes that begin with {data[:8]!r}"
        raise InputError(message, _OTHER, code="unsupported")
    return found


def _decoded_jpeg(data: bytes, found: Header, where: str) -> ByteArray:
    import simplejpeg

    if found.components not in (1, 3):
        return _decoded_by_cv2(data, where)
    try:
        return _bytes(simplejpeg.decode_jpeg(data, colorspace="RGB"))
    except ValueError as error:
        reason = str(error)
    if "remature end" in reason:
        raise InputError(f"{where}: the picture ends in the middle: {reason}", _AGAIN, code="truncated")
    if "Corrupt" in reason:
        raise InputError(f"{where}: the picture is damaged: {reason}", _AGAIN, code="unsupported")
    return _decoded_by_cv2(data, where)


def _decoded_by_cv2(data: bytes, where: str) -> ByteArray:
    jpeg = data.startswith(b"\xff\xd8")  # CMYK becomes colour, and is turned by us
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION if jpeg else cv2.IMREAD_UNCHANGED
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InputError(f"{where}: cannot be decoded: {error.err}", _OTHER, code="unsupported") from error
    if pixels is None:
        raise InputError(f"{where}: the picture is damaged or of an unsupported kind", _OTHER, code="unsupported")
    return _as_rgb(pixels, where)


def _as_rgb(pixels: NDArray[Any], where: str) -> ByteArray:
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise InputError(f"{where}: expected 8 or 16 bits a sample, got {pixels.dtype}", _OTHER, code="unsupported")
    if pixels.ndim == 2:
        return _bytes(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))
    if pixels.shape[2] == 4:
        return _on_white(pixels)
    return _bytes(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _on_white(bgra: NDArray[Any]) -> ByteArray:
    """What lies under transparent pixels is arbitrary; cut-out portraits stand on white."""
    rgb = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB)
    alpha = bgra[:, :, 3:]
    if alpha.min() == 255:
        return _bytes(rgb)
    share = alpha.astype(np.uint16)
    return _bytes(((rgb * share + 255 * (255 - share) + 127) // 255).astype(np.uint8))


_TURNS = {3: cv2.ROTATE_180, 4: cv2.ROTATE_180, 5: cv2.ROTATE_90_CLOCKWISE, 6: cv2.ROTATE_90_CLOCKWISE,
          7: cv2.ROTATE_90_COUNTERCLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}  # fmt: skip
_MIRRORED = (2, 4, 5, 7)


def _upright(rgb: ByteArray, orientation: int) -> ByteArray:
    """EXIF: turned first, then mirrored left to right."""
    if orientation in _TURNS:
        rgb = _bytes(cv2.rotate(rgb, _TURNS[orientation]))
    return _bytes(cv2.flip(rgb, 1)) if orientation in _MIRRORED else rgb


# --- converting and cutting -------------------------------------------------------------------------------------


def _bytes(pixels: NDArray[Any]) -> ByteArray:
    """cv2 says "some array"; here it is known to hold bytes."""
    return cast("ByteArray", pixels)


def _i420_to_rgb(y: ByteArray, u: ByteArray, v: ByteArray) -> ByteArray:
    height, width = y.shape
    packed = np.concatenate((y.reshape(-1), u.reshape(-1), v.reshape(-1))).reshape(height * 3 // 2, width)
    return _bytes(cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420))


def _resized(pixels: ByteArray, width: int, height: int) -> ByteArray:
    if pixels.shape[:2] == (height, width):
        return pixels
    return _bytes(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))


def _averaged(pixels: ByteArray, width: int, height: int) -> ByteArray:
    return _bytes(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def _scale(matrix: NDArray[np.float64]) -> float:
    """Output pixels a source pixel becomes, along one side."""
    return math.sqrt(abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]))


def _needed(forward: NDArray[np.float64], width: int, height: int, picture: Picture) -> tuple[int, int, int, int]:
    """left, top, right, bottom of the source pixels that the output looks at: even, inside the picture."""
    if not np.isfinite(forward).all() or _scale(forward) < 1e-6:
        return 0, 0, 0, 0
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    inverse = cv2.invertAffineTransform(forward)
    source = corners @ inverse[:, :2].T + inverse[:, 2]
    margin = 2 + 2 * math.ceil(max(1.0, float(np.abs(inverse[:, :2]).sum(axis=1).max())))
    low, high = np.floor(source.min(axis=0)) - margin, np.ceil(source.max(axis=0)) + margin
    limits = np.array([picture.width, picture.height])
    left, top = (int(value) // 2 * 2 for value in np.clip(low, 0, limits))
    right, bottom = (int(value) for value in np.clip(high, 0, limits))
    return left, top, min(right + right % 2, picture.width), min(bottom + bottom % 2, picture.height)


def _cut(picture: Picture, left: int, top: int, right: int, bottom: int) -> Picture:
    """The part of a picture between even coordinates, without a copy where the layout allows."""
    width, height = right - left, bottom - top
    if picture.layout != "i420":
        return Picture(picture.data[top:bottom, left:right], picture.layout, width, height)
    y, u, v = planes(picture)
    half = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    return Picture(_i420_to_rgb(y[top:bottom, left:right], u[half], v[half]), "rgb", width, height)


def _from_region(left: int, top: int, factor: int) -> NDArray[np.float64]:
    """(3, 3): a pixel of the region, shrunk by ``factor``, to a pixel of the picture."""
    shift = (factor - 1) / 2
    return np.array([[factor, 0, left + shift], [0, factor, top + shift], [0, 0, 1]], np.float64)
