"""What the bytes of a picture say about it before anything is decoded: kind, dimensions, depth, orientation.

Nothing here allocates by what a header claims, and every function takes any bytes at all. What a viewer shows whole is
whole: a picture whose last bytes are missing is mended where every row of it is there.

Formats: ITU-T T.81 (JPEG), ISO/IEC 15948 (PNG), RFC 9649 (WebP), Exif 2.32 and TIFF 6.0 (orientation).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["jpeg", "png", "bmp", "webp", "heic"]

MOST_CHECKED = 64_000_000
"""pixels up to which the rows of a cut PNG are counted; a larger one is not decoded anyway"""
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
    """samples of a pixel: 1 gray, 3 color, 4 with transparency (PNG, WebP, BMP) or CMYK (JPEG)"""
    bits: int = 8
    """of a sample"""
    orientation: int = 1
    """Exif, 1..8: 1 is upright"""
    coefficients: int = 0
    """bytes that a progressive JPEG needs beside its pixels while it is decoded"""
    mended: bytes | None = None
    """the whole file with its missing end put back; None: nothing is missing"""


def header(data: bytes) -> Header | None:
    """The header of a JPEG, PNG, BMP, WebP or HEIC; None where it is none of them. Raises DamagedImageError."""
    for magic, parse in _PARSERS.items():
        if data.startswith(magic):
            try:
                return parse(data)
            except (struct.error, IndexError) as error:
                raise DamagedImageError("it ends within its header", truncated=True) from error
    return Header("heic", 0, 0) if data[4:12] in HEIC_BRANDS else None


HEIC_BRANDS = frozenset({b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftyphevc", b"ftypmif1", b"ftypmsf1"})
"""bytes 4 to 12 of a HEIF file with HEVC; its dimensions are read by the library that decodes it"""

# --- JPEG -------------------------------------------------------------------------------------------------------

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_END_OF_IMAGE = b"\xff\xd9"
_EXIF = re.compile(rb"(?s).{0,4}Exif\0.")
"""Some cameras write a few bytes before the name."""
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def _jpeg(data: bytes) -> Header:
    found = Header("jpeg", 0, 0, components=0)
    exif = xmp = 0
    for marker, start, end in _segments(data):
        if marker in _START_OF_FRAME:
            found = _jpeg_frame(data, start, end, marker in _PROGRESSIVE)
        elif marker == _APP1 and (name := _EXIF.match(data[start : min(start + 16, end)])):
            exif = exif or _exif_orientation(data[start + name.end() : end])
        elif marker == _APP1 and data.startswith(_XMP, start):
            xmp = xmp or _xmp_orientation(data[start:end])
        elif marker == _START_OF_SCAN:
            mended = _whole_scans(data, end)
            return replace(found, orientation=exif or xmp or 1, mended=mended)
    raise DamagedImageError("it has no picture data", truncated=True)


def _jpeg_frame(data: bytes, start: int, end: int, progressive: bool) -> Header:
    precision, height, width, components = struct.unpack_from(">BHHB", data, start)
    if precision != 8:
        raise DamagedImageError(f"it has {precision} bits a sample, only 8 are supported")
    coefficients = 0
    if progressive:
        factors = [data[start + 7 + 3 * number] for number in range(components) if start + 7 + 3 * number < end]
        samples = [(factor >> 4) * (factor & 15) for factor in factors]
        largest = max((factor >> 4 for factor in factors), default=1)
        largest *= max((factor & 15 for factor in factors), default=1)
        coefficients = 2 * width * height * sum(samples) // max(1, largest)
    return Header("jpeg", width, height, components, coefficients=coefficients)


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


def _whole_scans(data: bytes, start: int) -> bytes | None:
    """The file with an end where it has none; whether every row is there shows when it is decoded."""
    scans = data.count(b"\xff\xda", start)
    if scans > MOST_SCANS:
        raise DamagedImageError(f"it has {scans} scans, more than {MOST_SCANS}")
    if data.rfind(_END_OF_IMAGE, start) >= 0:
        return None
    return data.removesuffix(b"\xff") + _END_OF_IMAGE


# --- orientation ------------------------------------------------------------------------------------------------

_ORIENTATION = 0x0112
_TYPES = {1: "B", 2: "c", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 5: "I", 10: "i", 11: "f", 12: "d"}
"""TIFF type -> its first number, as ``struct`` reads it (of a rational: the numerator)"""
_SIZES = {5: 8, 10: 8}
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*)([1-8])\b")


def _exif_orientation(tiff: bytes) -> int:
    """The orientation tag of the first directory, of any type; 0 where there is none or it is out of range."""
    tiff = tiff.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 0
    try:
        (offset,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, offset)
        for place in range(offset + 2, offset + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from(f"{order}H", tiff, place)
            if tag == _ORIENTATION and (value := _first_number(tiff, order, place)):
                return value
    except (struct.error, ValueError):
        pass
    return 0


def _first_number(tiff: bytes, order: str, place: int) -> int:
    kind, number = struct.unpack_from(f"{order}HI", tiff, place + 2)
    form = _TYPES.get(kind)
    if form is None or number < 1:
        return 0
    at = place + 8
    if _SIZES.get(kind, struct.calcsize(form)) * number > 4:
        (at,) = struct.unpack_from(f"{order}I", tiff, at)
    (value,) = struct.unpack_from(f"{order}{form}", tiff, at)
    value = int(value)
    return value if 1 <= value <= 8 else 0


def _xmp_orientation(packet: bytes) -> int:
    found = _XMP_ORIENTATION.search(packet)
    return int(found[1]) if found else 0


# --- PNG --------------------------------------------------------------------------------------------------------

_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}
"""color type -> samples of a decoded pixel; a palette becomes color, gray with transparency all four"""
_SAMPLES_STORED = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_IEND = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""(first column, first row, column step, row step) of the passes of an interlaced picture"""


def _png(data: bytes) -> Header:
    found, exif, xmp, last = Header("png", 0, 0), 0, 0, 8
    for name, start, length in _chunks(data):
        if start + length + 4 > len(data):
            return replace(found, orientation=exif or xmp or 1, mended=_mended_png(data, name, start, last))
        last = start + length + 4
        if name == b"IHDR":
            width, height, bits, color = struct.unpack_from(">IIBB", data, start)
            found = Header("png", width, height, _SAMPLES.get(color, 4), 16 if bits == 16 else 8)
        elif name == b"tRNS":
            found = replace(found, components=4)
        elif name == b"eXIf":
            exif = exif or _exif_orientation(data[start : start + length])
        elif name in (b"iTXt", b"tEXt", b"zTXt"):
            xmp = xmp or _png_text_orientation(data[start : start + min(length, 1 << 20)])
        (stated,) = struct.unpack_from(">I", data, start + length)
        if name in (b"IHDR", b"IDAT") and zlib.crc32(data[start - 4 : start + length]) != stated:
            raise DamagedImageError(f"the checksum of its {name.decode()} chunk is wrong")
    return replace(found, orientation=exif or xmp or 1)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, length) of each chunk up to and with IEND; the last one may reach past the end."""
    position, name = 8, b""
    while name != b"IEND":
        if position + 8 > len(data):
            yield b"", len(data), 0
            return
        length, name = struct.unpack_from(">I4s", data, position)
        yield name, position + 8, length
        if position + 12 + length > len(data):
            return
        position += 12 + length


def _mended_png(data: bytes, name: bytes, start: int, last: int) -> bytes:
    """The file with its end put back: ``name`` is the chunk that is cut, ``last`` ends the one before."""
    whole = data[:last]
    if name == b"IDAT":
        body = data[start:]
        whole += struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))
    width, height = struct.unpack_from(">II", data, 16)
    if width * height <= MOST_CHECKED and not _has_every_row(whole):
        raise DamagedImageError("it ends within its picture data", truncated=True)
    return whole + _IEND


def _has_every_row(data: bytes) -> bool:
    wanted = have = 0
    stream = zlib.decompressobj()
    try:
        for name, start, length in _chunks(data):
            if name == b"IHDR":
                wanted = _packed_bytes(*struct.unpack_from(">IIBBBBB", data, start))
            if name == b"IDAT":
                piece = data[start : start + length]
                while piece and have < wanted:
                    have += len(stream.decompress(piece, 1 << 20))
                    piece = stream.unconsumed_tail
    except (zlib.error, struct.error):
        return False
    return 0 < wanted <= have


def _packed_bytes(width: int, height: int, bits: int, color: int, _c: int, _f: int, interlaced: int) -> int:
    """Bytes of all rows before compression, each with its filter byte."""

    def rows(columns: int, lines: int) -> int:
        return lines * (1 + (columns * bits * _SAMPLES_STORED.get(color, 4) + 7) // 8) if columns > 0 < lines else 0

    if not interlaced:
        return rows(width, height)
    return sum(rows(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _ADAM7)


def _png_text_orientation(chunk: bytes) -> int:
    """Of XMP, or of the hexadecimal Exif profile that ImageMagick writes."""
    keyword, _, rest = chunk.partition(b"\0")
    if keyword == b"XML:com.adobe.xmp":
        return _xmp_orientation(rest)
    if keyword not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return 0
    try:
        text = zlib.decompressobj().decompress(rest[1:], 1 << 20) if rest[:1] == b"\0" else rest
        return _exif_orientation(bytes.fromhex(b"".join(text.split()[2:]).decode("ascii")))
    except (zlib.error, ValueError):
        return 0


# --- BMP and WebP -----------------------------------------------------------------------------------------------


def _bmp(data: bytes) -> Header:
    offset, size, width, height, _, bits, compression = struct.unpack_from("<10xIIiiHHI", data)
    if size < 40 or compression not in (0, 3):
        raise DamagedImageError("only uncompressed BMP with a header of 40 bytes or more is supported")
    if width <= 0 or height == 0:
        raise DamagedImageError(f"its dimensions are {width} x {height}")
    row = (width * bits + 31) // 32 * 4
    missing = offset + row * abs(height) - len(data)
    if missing > row - (width * bits + 7) // 8:
        raise DamagedImageError("it ends within its picture data", truncated=True)
    mended = data + bytes(missing) if missing > 0 else None  # nothing but the padding of the last row
    return Header("bmp", width, abs(height), 4 if bits == 32 else 3, mended=mended)


_WEBP_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")


def _webp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP":
        raise DamagedImageError("it is RIFF, but not WebP")
    found, pictured, exif, xmp, end = Header("webp", 0, 0, 4), False, 0, 0, 12
    for name, start, length in _riff_chunks(data, min(len(data), size + 8)):
        if start + length > len(data):
            break
        end = start + length
        if not found.width:
            found = _webp_size(data, name, start)
        pictured = pictured or name in _WEBP_PICTURES
        if name == b"EXIF":
            exif = exif or _exif_orientation(data[start:end])
        elif name == b"XMP ":
            xmp = xmp or _xmp_orientation(data[start:end])
    if not pictured:
        raise DamagedImageError("it ends within its picture data", truncated=True)
    mended = None
    if size + 8 > len(data):
        body = data[8:end] + bytes(end % 2)
        mended = data[:4] + struct.pack("<I", len(body)) + body
    return replace(found, orientation=exif or xmp or 1, mended=mended)


def _riff_chunks(data: bytes, end: int) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    while position + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, position)
        yield name, position + 8, length
        position += 8 + length + length % 2


def _webp_size(data: bytes, kind: bytes, start: int) -> Header:
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, start + 6)
        return Header("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, start + 1)
        return Header("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 4)
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, start + 4)
        return Header("webp", (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1, 4)
    raise DamagedImageError(f"it is a WebP of an unknown kind {kind!r}")


_PARSERS = {b"\xff\xd8\xff": _jpeg, b"\x89PNG\r\n\x1a\n": _png, b"BM": _bmp, b"RIFF": _webp}
