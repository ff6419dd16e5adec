"""Every kind of picture that phones, doorbells and cameras make: one case each."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.errors import InputError
from edge.core.imaging import decoding
from edge.core.imaging import image as pictures
from edge.core.imaging.decoding import DecodingMemory
from edge.core.imaging.headers import header

WIDTH, HEIGHT = 96, 64


def scene(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Red on the left, blue on the right, white at the top: tells every orientation from the others."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, : width // 2, 0] = 220
    rgb[:, width // 2 :, 2] = 220
    rgb[: height // 4] = 250
    return rgb


def encoded(ending: str, pixels: np.ndarray, *options: int) -> bytes:
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    return cv2.imencode(ending, cv2.cvtColor(pixels, order), list(options))[1].tobytes()


def upright(picture: pictures.Picture) -> bool:
    rgb = pictures.to_rgb(picture).astype(int)
    height, width = rgb.shape[:2]
    low = height * 3 // 4
    top, left, right = rgb[height // 8, width // 2], rgb[low, width // 4], rgb[low, width * 3 // 4]
    return bool(top.min() > 200 and left[0] > 150 > left[2] and right[2] > 150 > right[0])


def lying() -> np.ndarray:
    """Stored on its side: upright with orientation 6."""
    return np.ascontiguousarray(np.rot90(scene()))


# orientation


def tiff(kind: int, value: bytes, order: str = "<", extra: bytes = b"") -> bytes:
    """A TIFF directory with the orientation tag of this type alone."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    entry = struct.pack(f"{order}HHHI", 1, 0x0112, kind, 1) + value.ljust(4, b"\0")
    return head + entry + struct.pack(f"{order}I", 0) + extra


TIFFS = {
    "BYTE": tiff(1, b"\6"),
    "SHORT": tiff(3, b"\6\0"),
    "SHORT, big-endian": tiff(3, b"\0\6", ">"),
    "LONG": tiff(4, struct.pack("<I", 6)),
    "LONG, big-endian": tiff(4, struct.pack(">I", 6), ">"),
    "SBYTE": tiff(6, b"\6"),
    "UNDEFINED": tiff(7, b"\6"),
    "SSHORT": tiff(8, b"\6\0"),
    "SLONG": tiff(9, struct.pack("<i", 6)),
    "ASCII": tiff(2, b"6\0"),
    "RATIONAL": tiff(5, struct.pack("<I", 26), extra=struct.pack("<II", 6, 1)),
    "FLOAT": tiff(11, struct.pack("<f", 6.0)),
}
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def jpeg_with(*segments: bytes) -> bytes:
    data = encoded(".jpg", lying(), cv2.IMWRITE_JPEG_QUALITY, 95)
    return data[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(one) + 2) + one for one in segments) + data[2:]


def png_with(name: bytes, body: bytes, after: bool = False) -> bytes:
    data = encoded(".png", lying())
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    place = len(data) - 12 if after else 33
    return data[:place] + chunk + data[place:]


def webp_with(name: bytes, body: bytes) -> bytes:
    data = encoded(".webp", lying(), cv2.IMWRITE_WEBP_QUALITY, 95)
    flags = {b"EXIF": 0x08, b"XMP ": 0x04}[name]
    size = struct.pack("<I", lying().shape[1] - 1)[:3] + struct.pack("<I", lying().shape[0] - 1)[:3]
    chunks = b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0]) + size + data[12:]
    chunks += name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


PROFILE = b"Raw profile type exif\0\nexif\n      99\n" + (b"Exif\0\0" + TIFFS["SHORT"]).hex().encode() + b"\n"
ORIENTED: dict[str, Callable[[], bytes]] = {
    **{f"JPEG, {name}": lambda one=one: jpeg_with(b"Exif\0\0" + one) for name, one in TIFFS.items()},
    "JPEG, a second segment without the tag": lambda: jpeg_with(
        b"Exif\0\0" + TIFFS["SHORT"], b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"
    ),
    "JPEG, the tag in the second segment": lambda: jpeg_with(
        b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", b"Exif\0\0" + TIFFS["SHORT"]
    ),
    "JPEG, two segments, the first counts": lambda: jpeg_with(
        b"Exif\0\0" + TIFFS["SHORT"], b"Exif\0\0" + tiff(3, b"\3\0")
    ),
    "JPEG, bytes before the name": lambda: jpeg_with(b"\0\0Exif\0\0" + TIFFS["SHORT"]),
    "JPEG, XMP": lambda: jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + XMP),
    "PNG, eXIf": lambda: png_with(b"eXIf", TIFFS["SHORT"]),
    "PNG, eXIf behind the pixels": lambda: png_with(b"eXIf", TIFFS["LONG"], after=True),
    "PNG, ImageMagick's profile": lambda: png_with(b"tEXt", PROFILE),
    "PNG, XMP": lambda: png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "WebP": lambda: webp_with(b"EXIF", TIFFS["SHORT"]),
    "WebP, with JPEG's name": lambda: webp_with(b"EXIF", b"Exif\0\0" + TIFFS["LONG"]),
    "WebP, XMP": lambda: webp_with(b"XMP ", XMP),
}


@pytest.mark.parametrize("kind", ORIENTED)
def test_the_orientation_is_read_wherever_it_stands(kind: str) -> None:
    data = ORIENTED[kind]()
    found = header(data)
    assert found is not None
    assert found.orientation == 6
    assert upright(pictures.decode(data))


# depth, transparency, interlacing, several pictures


def png16(channels: int) -> bytes:
    rgb = scene().astype(np.uint16) * 257
    if channels == 4:
        rgb = np.dstack([rgb, np.full(rgb.shape[:2], 65535, np.uint16)])
    return encoded(".png", rgb)


def interlaced_png() -> bytes:
    """Adam7, written by hand: no library at hand writes it."""
    rgb, rows = scene(), b""
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        for row in rgb[y::dy, x::dx]:
            rows += b"\0" + row.tobytes()
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1)
    body = zlib.compress(rows)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part)) for name, part in chunks
    )


def animated_webp() -> bytes:
    """Two frames, the scene first."""
    frames = b""
    for rgb in (scene(), 255 - scene()):
        still = encoded(".webp", rgb, cv2.IMWRITE_WEBP_QUALITY, 101)[12:]
        body = bytes(6) + struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3] + b"\x64\0\0\0" + still
        frames += b"ANMF" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    size = struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3]
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size + b"ANIM" + struct.pack("<I", 6) + bytes(6) + frames
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def animated_png() -> bytes:
    """The scene, and a second frame behind it."""
    data = encoded(".png", scene())
    end = data.index(b"IDAT") - 4

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    first = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0))
    rows = b"".join(b"\0" + row.tobytes() for row in 255 - scene())
    second = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0))
    second += chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(rows))
    return data[:end] + control + first + data[end:-12] + second + data[-12:]


def gray_alpha_png() -> bytes:
    rows = b"".join(b"\0" + bytes(v for x in range(8) for v in (40 * y, 255)) for y in range(6))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 8, 6, 8, 4, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part)) for name, part in chunks
    )


def jpeg(*options: int) -> bytes:
    return encoded(".jpg", scene(), cv2.IMWRITE_JPEG_QUALITY, 95, *options)


def two_jpegs() -> bytes:
    """What phones append: a second picture, a film."""
    return (
        encoded(".jpg", scene(), cv2.IMWRITE_JPEG_QUALITY, 95) + encoded(".jpg", 255 - scene()) + b"\0\0ftypmp42" * 50
    )


KINDS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: encoded(".jpg", scene(), cv2.IMWRITE_JPEG_QUALITY, 95),
    "JPEG, progressive": lambda: encoded(
        ".jpg", scene(), cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_PROGRESSIVE, 1
    ),
    "JPEG, with restart markers": lambda: encoded(
        ".jpg", scene(), cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_RST_INTERVAL, 4
    ),
    "JPEG, with another behind it": two_jpegs,
    "JPEG, zeros behind it": lambda: jpeg() + bytes(4096),
    "JPEG, zeros before its end": lambda: jpeg()[:-2] + bytes(64) + b"\xff\xd9",
    "JPEG, without its end": lambda: jpeg()[:-2],
    "PNG": lambda: encoded(".png", scene()),
    "PNG, 16 bits": lambda: png16(3),
    "PNG, 16 bits, transparency": lambda: png16(4),
    "PNG, interlaced": interlaced_png,
    "PNG, animated": animated_png,
    "PNG, without its end": lambda: encoded(".png", scene())[:-12],
    "PNG, cut in the checksum of its pixels": lambda: encoded(".png", scene())[:-14],
    "WebP": lambda: encoded(".webp", scene(), cv2.IMWRITE_WEBP_QUALITY, 95),
    "WebP, lossless": lambda: encoded(".webp", scene(), cv2.IMWRITE_WEBP_QUALITY, 101),
    "WebP, animated": animated_webp,
    "BMP": lambda: encoded(".bmp", scene()),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_viewer_shows_whole_is_read_whole(kind: str) -> None:
    picture = pictures.decode(KINDS[kind]())
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert upright(picture)


def test_gray_with_transparency_becomes_rgb() -> None:
    rgb = pictures.to_rgb(pictures.decode(gray_alpha_png()))
    assert [int(value) for value in rgb[:, 0, 1]] == [0, 40, 80, 120, 160, 200]


def test_webp_with_a_cut_description_is_whole() -> None:
    data = webp_with(b"EXIF", TIFFS["SHORT"] + bytes(200))
    assert pictures.decode(data[:-100]).width == lying().shape[1]


# size


def portrait_of(width: int, height: int, *options: int) -> bytes:
    rgb = cv2.resize(scene(), (width, height), interpolation=cv2.INTER_NEAREST)
    return encoded(".jpg", rgb, cv2.IMWRITE_JPEG_QUALITY, 80, *options)


def test_a_photograph_of_48_megapixels_is_decoded_smaller() -> None:
    picture = pictures.decode(portrait_of(8064, 6048))
    assert 16_000_000 < picture.width * picture.height <= decoding.MOST_PIXELS
    assert abs(picture.width / picture.height - 4 / 3) < 0.01
    assert upright(picture)


@pytest.mark.long
def test_a_photograph_of_200_megapixels_is_decoded_smaller() -> None:
    picture = pictures.decode(portrait_of(16384, 12288))
    assert 8_000_000 < picture.width * picture.height <= decoding.MOST_PIXELS
    assert upright(picture)


def test_a_progressive_photograph_is_bounded_by_its_coefficients(monkeypatch: pytest.MonkeyPatch) -> None:
    data = portrait_of(2048, 1536, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    found = header(data)
    assert found is not None
    assert found.coefficients == 2 * 2048 * 1536 * 6 // 4  # 4:2:0
    monkeypatch.setattr(decoding, "MOST_DECODED", found.coefficients + 3_000_000)
    assert pictures.decode(data).width < 2048
    monkeypatch.setattr(decoding, "MOST_DECODED", found.coefficients - 1)
    with pytest.raises(InputError, match="bytes are decoded"):
        pictures.decode(data)


PEAK = """
import sys
from edge.core.imaging import image
from edge.core.errors import InputError
image.decode(open(sys.argv[2], "rb").read())
data = open(sys.argv[1], "rb").read()
open("/proc/self/clear_refs", "w").write("5")
peak = lambda: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
try:
    image.decode(data)
except InputError as error:
    print(error.code, file=sys.stderr)
print((peak() - before) * 1024)
"""


def huge(kind: str) -> bytes:
    side = 5656
    if kind.startswith("png"):
        channels = {"rgba": 4, "rgb": 3}[kind.split()[1]]
        pixels = np.zeros((side, side, channels), np.uint16 if "16" in kind else np.uint8)
        return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    pixels = np.zeros((side, side, 3), np.uint8)
    return {
        "jpeg, turned": lambda: turned(cv2.imencode(".jpg", pixels)[1].tobytes()),
        "jpeg, progressive": lambda: cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(),
        "webp": lambda: cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 10])[1].tobytes(),
    }[kind]()


def turned(jpeg: bytes) -> bytes:
    body = b"Exif\0\0" + TIFFS["SHORT"]
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.long
@pytest.mark.parametrize(
    "kind", ["png rgba 16", "png rgb 16", "png rgba 8", "png rgb 8", "jpeg, turned", "jpeg, progressive", "webp"]
)
def test_no_picture_at_the_bound_takes_more_memory_than_the_bound(kind: str, tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(huge(kind))
    small.write_bytes(KINDS["PNG" if "png" in kind else "JPEG"]())
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(large), str(small)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) <= decoding.MOST_DECODED * 1.1, done.stderr


def test_pictures_that_do_not_fit_together_are_decoded_one_after_the_other() -> None:
    memory, inside, most = DecodingMemory(100), [], []
    lock = threading.Lock()

    def decode() -> None:
        with memory.holding(60), lock:
            inside.append(1)
        with memory.holding(60), lock:
            inside.append(1)
            most.append(memory._taken)

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(inside) == 8
    assert max(most) <= 100


# HEIC


def heic(rgb: np.ndarray) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    buffer = io.BytesIO()
    pillow_heif.from_bytes("RGB", rgb.shape[1::-1], rgb.tobytes()).save(buffer, quality=95)
    return buffer.getvalue()


def test_heic_is_read_with_its_extra() -> None:
    picture = pictures.decode(heic(scene()))
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert upright(picture)


def test_damaged_heic_is_an_input_error() -> None:
    data = heic(scene())
    for broken in (data[: len(data) // 2], data[:40], data[:-30] + bytes(30)):
        try:
            picture = pictures.decode(broken)
        except InputError as error:
            picture = error.code
        assert picture in ("unsupported", "truncated") or picture.width == WIDTH


def test_heic_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"got HEIC.*heic\]"):
        pictures.decode(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
