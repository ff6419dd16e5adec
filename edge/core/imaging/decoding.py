"""Decoding of untrusted pictures: each becomes upright rgb, or an InputError with the reason.

Memory is bounded by bytes, not by pixels: what a picture costs while it is decoded follows from its header, one that
costs more than ``MOST_DECODED`` is decoded smaller where its kind allows it, else refused, and pictures that are
decoded at the same time share that bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
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
"""of a decoded picture: larger photographs (JPEG, HEIC) are decoded smaller, others are refused"""
MOST_DECODED = 224_000_000
"""bytes that pictures take while they are decoded, all together. The daemon's unit allows 450 MiB (MemoryMax)."""
MOST_BYTES = 256 << 20
"""A file with more is refused before it is read: no picture of MOST_PIXELS needs it."""
MOST_HEADER_PIXELS = 300_000_000
"""a JPEG that claims more is refused whatever it could be scaled to: decoding it would take minutes"""
STRIP = 256
"""rows that are converted at a time"""

_library = cast("Any", cv2)
_logging = _library if hasattr(cv2, "setLogLevel") else _library.utils.logging  # it moved between 4.11 and 4.14
_logging.setLogLevel(0)  # its decoders write to stderr what the InputError contains


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
    """The picture in these bytes (JPEG, PNG, WebP, BMP, HEIC with its extra), as rgb and upright.

    Of several pictures in one file (animations, bursts) the first. A photograph of more than ``MOST_PIXELS`` is decoded
    smaller. Raises InputError with code ``empty``, ``truncated``, ``too_large`` or ``unsupported`` (damaged ones too);
    ``where`` names the picture in the message.
    """
    if not data:
        raise InputError(f"{where}: expected a picture, got no bytes", _AGAIN, code="empty")
    found = _header(data, where)
    if found.kind == "heic":
        rgb = _decoded_heic(data, where)
    else:
        if min(found.width, found.height) < 1:
            raise InputError(f"{where}: its dimensions are {found.width} x {found.height}", _AGAIN, code="unsupported")
        data = found.mended or data
        rgb = _decoded_jpeg(data, found, where) if found.kind == "jpeg" else _decoded_bitmap(data, found, where)
    return Picture(rgb, "rgb", width=rgb.shape[1], height=rgb.shape[0])


_AGAIN = "send the picture again, whole"
_SMALLER = "make the picture smaller"
_OTHER = "convert the picture to JPEG or PNG"
_OTHERS = {
    b"ftypavif": "AVIF", b"ftypavis": "AVIF", b"ftypisom": "a video", b"ftypmp42": "a video", b"ftypqt  ": "a video",
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


# --- memory -----------------------------------------------------------------------------------------------------


class DecodingMemory:
    """Memory budget in bytes for decoding; callers wait for free budget. For any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """``size``: bytes, at most ``most``."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken + size <= self._most or not self._taken)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


_memory = DecodingMemory(MOST_DECODED)


def _too_large(width: int, height: int, where: str, what: str = "") -> InputError:
    size = f"{width} x {height} pixels{what}"
    limit = f"at most {MOST_PIXELS:,} pixels and {MOST_DECODED:,} bytes are decoded"
    return InputError(f"{where}: {size}, {limit}", _SMALLER, code="too_large")


# --- JPEG -------------------------------------------------------------------------------------------------------


def _decoded_jpeg(data: bytes, found: Header, where: str) -> ByteArray:
    if found.components not in (1, 3):
        return _decoded_cmyk(data, found, where)
    eighths = _eighths(found, where)
    with _memory.holding(_jpeg_cost(found, eighths)):
        return _upright(_jpeg_pixels(data, found, eighths, where), found.orientation)


def _eighths(found: Header, where: str) -> int:
    """The largest scale n/8 at which a JPEG stays within the bounds: libjpeg decodes so without the whole picture."""
    pixels = found.width * found.height
    for eighths in range(8, 0, -1):
        if pixels * eighths**2 // 64 <= MOST_PIXELS and _jpeg_cost(found, eighths) <= MOST_DECODED:
            if pixels <= MOST_HEADER_PIXELS and found.coefficients <= MOST_DECODED:
                return eighths
            break
    raise _too_large(found.width, found.height, where)


def _jpeg_cost(found: Header, eighths: int) -> int:
    """Bytes: the pixels, twice where they are turned; a progressive one holds all coefficients meanwhile."""
    pixels = 3 * _scaled(found.width, eighths) * _scaled(found.height, eighths)
    return max(pixels + found.coefficients, pixels * (2 if found.orientation > 1 else 1))


def _scaled(side: int, eighths: int) -> int:
    return -(-side * eighths // 8)


def _jpeg_pixels(data: bytes, found: Header, eighths: int, where: str) -> ByteArray:
    import simplejpeg

    scale = (
        {}
        if eighths == 8
        else {"min_height": _scaled(found.height, eighths), "min_width": _scaled(found.width, eighths)}
    )
    try:
        return _bytes(simplejpeg.decode_jpeg(data, colorspace="RGB", **scale))
    except ValueError as error:
        reason = str(error)
    if "remature end" in reason or (found.mended and "Corrupt" in reason):
        raise InputError(f"{where}: the picture ends in the middle: {reason}", _AGAIN, code="truncated")
    padded = "extraneous bytes before marker 0xd9" in reason  # every row came before them
    if "Corrupt" in reason and not padded:
        raise InputError(f"{where}: the picture is damaged: {reason}", _AGAIN, code="unsupported")
    try:
        return _bytes(simplejpeg.decode_jpeg(data, colorspace="RGB", strict=False, **scale))  # it only frowned
    except ValueError:
        if eighths < 8:
            raise InputError(f"{where}: cannot be decoded: {reason}", _OTHER, code="unsupported") from None
        return _imdecoded(data, cv2.IMREAD_COLOR, where)


_REDUCED = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
            8: cv2.IMREAD_REDUCED_COLOR_8}  # fmt: skip


def _decoded_cmyk(data: bytes, found: Header, where: str) -> ByteArray:
    """CMYK becomes color, and is turned by us."""
    for factor, flag in _REDUCED.items():
        pixels = found.width * found.height // factor**2
        cost = max(found.coefficients + 6 * pixels, 6 * pixels)
        if pixels <= MOST_PIXELS and cost <= MOST_DECODED:
            with _memory.holding(cost):
                return _upright(_imdecoded(data, flag, where), found.orientation)
    raise _too_large(found.width, found.height, where)


# --- the others -------------------------------------------------------------------------------------------------


def _decoded_bitmap(data: bytes, found: Header, where: str) -> ByteArray:
    """PNG, WebP, BMP. Transparency is put on white where the memory allows it, and ignored otherwise."""
    pixels = found.width * found.height
    opaque, transparent = 6 * pixels, 2 * found.components * found.bits // 8 * pixels
    if pixels > MOST_PIXELS or opaque > MOST_DECODED:
        raise _too_large(found.width, found.height, where, f" of {found.components} x {found.bits} bits")
    if found.components == 4 and transparent <= MOST_DECODED:
        cost, flag = max(transparent, opaque), cv2.IMREAD_UNCHANGED
    else:
        cost, flag = opaque, cv2.IMREAD_COLOR  # 16 bits become 8 row by row, in the decoder
    with _memory.holding(cost):
        return _upright(_imdecoded(data, flag, where), found.orientation)


def _imdecoded(data: bytes, flag: int, where: str) -> ByteArray:
    """Rgb of the first picture. cv2 holds the pixels twice for a moment."""
    flags = flag if flag == cv2.IMREAD_UNCHANGED else flag | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InputError(f"{where}: cannot be decoded: {error.err}", _OTHER, code="unsupported") from error
    if pixels is None:
        raise InputError(f"{where}: the picture is damaged or of an unsupported kind", _OTHER, code="unsupported")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{where}: expected 8 or 16 bits a sample, got {pixels.dtype}", _OTHER, code="unsupported")
    return _by_strips(pixels)


def _by_strips(pixels: NDArray[Any]) -> ByteArray:
    """Rgb of gray, bgr or bgra pixels of 8 or 16 bits: converted in strips, so that no second picture is needed."""
    convert = _CONVERSIONS[1 if pixels.ndim == 2 else pixels.shape[2]]
    in_place = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    rgb = _bytes(pixels) if in_place else np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), STRIP):
        strip = pixels[top : top + STRIP]
        if strip.dtype == np.uint16:
            strip = (strip >> 8).astype(np.uint8)
        rgb[top : top + STRIP] = convert(strip)
    return rgb


def _on_white(bgra: NDArray[Any]) -> NDArray[Any]:
    """What lies under transparent pixels is arbitrary; cut-out portraits stand on white."""
    rgb = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB)
    alpha = bgra[:, :, 3:]
    if alpha.min() == 255:
        return rgb
    share = alpha.astype(np.uint16)
    return ((rgb * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)


_CONVERSIONS: dict[int, Callable[[Any], Any]] = {
    1: lambda strip: cv2.cvtColor(strip, cv2.COLOR_GRAY2RGB),
    3: lambda strip: cv2.cvtColor(strip, cv2.COLOR_BGR2RGB),
    4: _on_white,
}
"""channels -> how a strip becomes rgb"""


def _decoded_heic(data: bytes, where: str) -> ByteArray:
    """By libheif, which turns the picture upright itself."""
    if find_spec("pillow_heif") is None:
        message = f"{where}: expected JPEG, PNG, WebP or BMP, got HEIC"
        raise InputError(message, f"{_OTHER}, or pip install 'rekognition-edge[heic]'", code="unsupported")
    import pillow_heif

    try:
        opened = pillow_heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=False)
        width, height = opened.size
        cost = 5 * width * height  # planes and pixels
        if cost > MOST_DECODED + (1 << 25):
            raise _too_large(width, height, where)
        with _memory.holding(min(cost, MOST_DECODED)):
            pixels: NDArray[Any] = np.asarray(opened)
            while pixels.shape[0] * pixels.shape[1] > MOST_PIXELS:
                pixels = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            return _heic_rgb(pixels)
    except (ValueError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{where}: the HEIC cannot be decoded: {error}", _OTHER, code="unsupported") from error


def _heic_rgb(pixels: NDArray[Any]) -> ByteArray:
    if pixels.ndim == 2:
        return _bytes(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))
    if pixels.shape[2] == 4:
        return _bytes(_on_white(cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA)))
    return _bytes(np.ascontiguousarray(pixels[:, :, :3]))


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
