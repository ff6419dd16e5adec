"""What the bytes of a picture say about it before anything is decoded: kind, dimensions, orientation.

Nothing here allocates by what a header claims, and every function takes any bytes at all.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["jpeg", "png", "bmp", "webp"]

MOST_SCANS = 100
"""A progressive JPEG has about ten scans; a small file with thousands of them costs minutes."""


class DamagedImageError(Exception):
    """The header does not hold together. ``truncated`` says that bytes are missing at the end."""

    def __init__(self, reason: str, truncated: bool = False) -> None:
        super().__init__(reason)
        self.truncated = truncated


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says about itself."""

    kind: Kind
    width: int
    """pixels, as stored: before the orientation is applied"""
    height: int
    components: int = 3
    """JPEG only: 1 gray, 3 color, 4 CMYK"""
    orientation: int = 1
    """EXIF, 1..8: 1 is upright"""


def header(data: bytes) -> Header | None:
    """The header of a JPEG, PNG, BMP or WebP; None where it is none of them. Raises Damaged."""
    for magic, parse in _PARSERS.items():
        if data.startswith(magic):
            try:
                return parse(data)
            except (struct.error, IndexError) as error:
                raise DamagedImageError("it ends within its header", truncated=True) from error
    return None


# --- JPEG -------------------------------------------------------------------------------------------------------

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_APP1 = 0xE1


def _jpeg(data: bytes) -> Header:
    width = height = components = 0
    orientation = 1
    for marker, start, end in _segments(data):
        if marker in _START_OF_FRAME:
            precision, height, width, components = struct.unpack_from(">BHHB", data, start)
            if precision != 8:
                raise DamagedImageError(f"it has {precision} bits a sample, only 8 are supported")
        elif marker == _APP1 and data[start : start + 6] == b"Exif\0\0":
            orientation = _exif_orientation(data[start + 6 : end])
        elif marker == _START_OF_SCAN:
            _check_scans(data, end)
            return Header("jpeg", width, height, components, orientation)
    raise DamagedImageError("it has no picture data", truncated=True)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment's content, up to and with the first start of scan."""
    position = 2
    while True:
        if data[position] != 0xFF:
            raise DamagedImageError(f"byte {position} should begin a JPEG segment")
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        (length,) = struct.unpack_from(">H", data, position + 1)
        yield marker, position + 3, position + 1 + length
        if marker == _START_OF_SCAN:
            return
        position += 1 + max(length, 2)


def _check_scans(data: bytes, start: int) -> None:
    if data.rfind(b"\xff\xd9", start) < 0:
        raise DamagedImageError("the end of its picture data is missing", truncated=True)
    scans = data.count(b"\xff\xda", start)
    if scans > MOST_SCANS:
        raise DamagedImageError(f"it has {scans} scans, more than {MOST_SCANS}")


def _exif_orientation(tiff: bytes) -> int:
    """The orientation tag of the first directory, 1 where there is none or it is out of range."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, offset)
        for entry in range(count):
            tag, kind, number = struct.unpack_from(f"{order}HHI", tiff, offset + 2 + 12 * entry)
            if (tag, kind, number) == (0x0112, 3, 1):
                (value,) = struct.unpack_from(f"{order}H", tiff, offset + 10 + 12 * entry)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# --- the others -------------------------------------------------------------------------------------------------


def _png(data: bytes) -> Header:
    width = height = 0
    for name, start, length in _chunks(data):
        if name == b"IHDR":
            width, height = struct.unpack_from(">II", data, start)
        (stated,) = struct.unpack_from(">I", data, start + length)
        if name in (b"IHDR", b"IDAT") and zlib.crc32(data[start - 4 : start + length]) != stated:
            raise DamagedImageError(f"the checksum of its {name.decode()} chunk is wrong")
    return Header("png", width, height)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, length) of each chunk up to and with IEND."""
    position, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            raise DamagedImageError("it ends within its picture data", truncated=True)
        yield name, position + 8, length
        position += 12 + length


def _bmp(data: bytes) -> Header:
    offset, size, width, height, _, bits, compression = struct.unpack_from("<10xIIiiHHI", data)
    if size < 40 or compression not in (0, 3):
        raise DamagedImageError("only uncompressed BMP with a header of 40 bytes or more is supported")
    if width <= 0 or height == 0:
        raise DamagedImageError(f"its dimensions are {width} x {height}")
    if offset + (width * bits + 31) // 32 * 4 * abs(height) > len(data):
        raise DamagedImageError("it ends within its picture data", truncated=True)
    return Header("bmp", width, abs(height))


def _webp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP":
        raise DamagedImageError("it is RIFF, but not WebP")
    if size + 8 > len(data):
        raise DamagedImageError("it ends within its picture data", truncated=True)
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return Header("webp", (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1)
    raise DamagedImageError(f"it is a WebP of an unknown kind {kind!r}")


_PARSERS = {b"\xff\xd8\xff": _jpeg, b"\x89PNG\r\n\x1a\n": _png, b"BM": _bmp, b"RIFF": _webp}
