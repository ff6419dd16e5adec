"""Pictures from bytes that nobody vouches for: each becomes upright rgb, or an InputError that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from edge.core.errors import InputError
from edge.core.imaging import headers as picture_headers
from edge.core.imaging.headers import Header
from edge.core.types import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import ByteArray

MOST_PIXELS = 32_000_000
"""A picture with more is refused before it is decoded."""
MOST_BYTES = 256 << 20
"""A file with more is refused before it is read: no picture of MOST_PIXELS needs it."""

_library = cast("Any", cv2)
_logging = _library if hasattr(cv2, "setLogLevel") else _library.utils.logging  # it moved between 4.11 and 4.14
_logging.setLogLevel(0)  # its decoders write to stderr what we say in an InputError


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


_AGAIN = "send the picture again, whole"
_SMALLER = "make the picture smaller"
_OTHER = "convert the picture to JPEG or PNG"
_OTHERS = {
    b"ftypheic": "HEIC", b"ftypheix": "HEIC", b"ftypheim": "HEIC", b"ftypmif1": "HEIC", b"ftypmsf1": "HEIC",
    b"ftypavif": "AVIF", b"ftypisom": "a video", b"ftypmp42": "a video", b"ftypqt  ": "a video",
}  # fmt: skip
"""bytes 4 to 12 of a file in the ISO base media format -> its name"""
_BEGINNINGS = {
    b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"%PDF": "a PDF document", b"PK\3\4": "a ZIP archive",
    b"<svg": "SVG", b"<?xm": "an XML document", b"<!do": "an HTML page", b"<htm": "an HTML page",
}  # fmt: skip
"""first four bytes, letters in lower case -> what the file is"""


def _kind(data: bytes) -> str:
    """What a file is that is no supported picture, in words."""
    start = data[:64].lstrip()[:4]
    known = _OTHERS.get(data[4:12]) or _BEGINNINGS.get(start) or _BEGINNINGS.get(start.lower())
    return known or "a file of another kind"


def _header(data: bytes, where: str) -> Header:
    try:
        found = picture_headers.header(data)
    except picture_headers.DamagedImageError as error:
        code = "truncated" if error.truncated else "unsupported"
        raise InputError(f"{where}: {error}", _AGAIN if error.truncated else _OTHER, code=code) from error
    if found is None:
        message = f"{where}: expected JPEG, PNG, WebP or BMP, got {_kind(data)}"
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
    try:
        return _bytes(simplejpeg.decode_jpeg(data, colorspace="RGB", strict=False))  # it only frowned at the header
    except ValueError:
        return _decoded_by_cv2(data, where)


def _decoded_by_cv2(data: bytes, where: str) -> ByteArray:
    jpeg = data.startswith(b"\xff\xd8")  # CMYK becomes color, and is turned by us
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


def _bytes(pixels: NDArray[Any]) -> ByteArray:
    """cv2 says "some array"; here it is known to hold bytes."""
    return cast("ByteArray", pixels)
