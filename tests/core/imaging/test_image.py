from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import InputError
from edge.core.imaging import image as pictures
from edge.core.types import Picture


def a_scene(width: int = 96, height: int = 64) -> np.ndarray:
    """Red left, blue right, bright at the top: every turn and flip of it looks different."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, : width // 2, 0] = 200
    rgb[:, width // 2 :, 2] = 200
    rgb[: height // 3, :, 1] = 120
    return rgb


def a_jpeg(rgb: np.ndarray | None = None) -> bytes:
    return simplejpeg.encode_jpeg(a_scene() if rgb is None else rgb, quality=95, colorsubsampling="444")


def encoded(ending: str, pixels: np.ndarray, *options: int) -> bytes:
    done, data = cv2.imencode(ending, pixels, list(options))
    assert done
    return data.tobytes()


def with_orientation(jpeg: bytes, orientation: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tiff = mark + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims to be this large and holds almost nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def padded_i420(rgb: np.ndarray, stride: int) -> Picture:
    """What a camera delivers: planar, each row padded to ``stride`` with garbage."""
    height, width = rgb.shape[:2]
    tight = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    data = np.full((height * 3 // 2, stride), 77, np.uint8)
    data[:height, :width] = tight[:height]
    chroma = data[height:].reshape(2, height // 2, stride // 2)
    chroma[:, :, : width // 2] = tight[height:].reshape(2, height // 2, width // 2)
    return Picture(data, "i420", width, height)


def a_photo(width: int = 320, height: int = 240) -> np.ndarray:
    """Smooth, so that neighboring pixels agree about their color."""
    noise = np.random.default_rng(3).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


class TestDecoding:
    def test_a_jpeg_becomes_rgb(self) -> None:
        picture = pictures.decode(a_jpeg())
        assert (picture.layout, picture.width, picture.height) == ("rgb", 96, 64)
        assert difference(picture.data, a_scene()) < 3

    @pytest.mark.parametrize("ending", [".png", ".webp", ".bmp"])
    def test_other_kinds_become_rgb(self, ending: str) -> None:
        data = encoded(ending, cv2.cvtColor(a_scene(), cv2.COLOR_RGB2BGR))
        assert difference(pictures.decode(data).data, a_scene()) < 4

    def test_a_gray_jpeg_becomes_rgb(self) -> None:
        gray = np.full((20, 30), 90, np.uint8)
        picture = pictures.decode(encoded(".jpg", gray))
        assert picture.data.shape == (20, 30, 3)
        assert difference(picture.data, np.full((20, 30, 3), 90)) < 2

    def test_sixteen_bits_become_eight(self) -> None:
        deep = a_scene()[:, :, ::-1].astype(np.uint16) * 257
        assert difference(pictures.decode(encoded(".png", deep)).data, a_scene()) == 0

    def test_a_gray_png_of_sixteen_bits_becomes_rgb(self) -> None:
        deep = np.full((8, 8), 0x8000, np.uint16)
        assert pictures.decode(encoded(".png", deep)).data[0, 0].tolist() == [128, 128, 128]

    def test_transparent_pixels_are_white(self) -> None:
        bgra = np.dstack([a_scene()[:, :, ::-1], np.full((64, 96), 255, np.uint8)])
        bgra[:10, :10, 3] = 0
        bgra[20, 20, 3] = 128
        rgb = pictures.decode(encoded(".png", bgra)).data
        assert rgb[0, 0].tolist() == [255, 255, 255]
        assert rgb[40, 10].tolist() == [200, 0, 0]
        assert abs(int(rgb[20, 20, 1]) - (120 * 128 + 255 * 127) // 255) <= 1

    def test_cmyk_becomes_rgb(self) -> None:
        ink = np.zeros((16, 16, 4), np.uint8)
        ink[:, :] = (255, 0, 0, 255)  # as Adobe stores it: 255 is no ink, so this is magenta and yellow, no cyan
        data = simplejpeg.encode_jpeg(ink, colorspace="CMYK", colorsubsampling="444", quality=95)
        picture = pictures.decode(data)
        assert (picture.width, picture.height, picture.data.shape[2]) == (16, 16, 3)

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_every_orientation_ends_upright(self, orientation: int, order: str) -> None:
        upright = a_scene()
        stored = {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.transpose(1, 0, 2),
            6: np.rot90(upright, 1),
            7: np.rot90(upright, 2).transpose(1, 0, 2),
            8: np.rot90(upright, -1),
        }[orientation]
        data = with_orientation(a_jpeg(np.ascontiguousarray(stored)), orientation, order)
        assert difference(pictures.decode(data).data, upright) < 4

    def test_an_orientation_out_of_range_is_upright(self) -> None:
        assert difference(pictures.decode(with_orientation(a_jpeg(), 99)).data, a_scene()) < 4


def refusal(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        pictures.decode(data, "that one")
    return caught.value


class TestRefusing:
    def test_no_bytes_are_empty(self) -> None:
        assert refusal(b"").code == "empty"

    def test_a_picture_of_a_phone_is_called_by_its_format(self) -> None:
        error = refusal(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
        assert error.code == "unsupported"
        assert "HEIC" in error.message
        assert "JPEG" in error.hint

    def test_the_message_names_the_picture_and_says_what_to_do(self) -> None:
        error = refusal(b"GIF89a....")
        assert error.code == "unsupported"
        assert "that one" in error.message
        assert error.hint

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
    def test_a_jpeg_that_ends_in_the_middle_is_truncated(self, share: float) -> None:
        data = a_jpeg(a_photo())
        assert refusal(data[: int(len(data) * share)]).code == "truncated"

    def test_a_jpeg_cut_in_the_middle_and_closed_again_is_refused(self) -> None:
        data = a_jpeg(a_photo())
        assert refusal(data[: len(data) // 2] + b"\xff\xd9").code in ("truncated", "unsupported")

    def test_the_thumbnail_of_a_cut_jpeg_does_not_make_it_whole(self) -> None:
        whole, thumbnail = a_jpeg(a_photo()), a_jpeg(np.zeros((8, 8, 3), np.uint8))
        comment = b"\xff\xfe" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
        data = whole[:2] + comment + whole[2:]
        assert pictures.decode(data).width == 320
        assert refusal(data[: len(data) * 2 // 3]).code == "truncated"

    @pytest.mark.parametrize("ending", [".png", ".webp", ".bmp"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
    def test_other_kinds_that_end_in_the_middle_are_truncated(self, ending: str, share: float) -> None:
        data = encoded(ending, a_photo())
        assert refusal(data[: int(len(data) * share)]).code == "truncated"

    def test_a_png_with_flipped_bits_is_refused(self) -> None:
        data = bytearray(encoded(".png", a_photo()))
        data[len(data) // 2] ^= 0x10
        assert refusal(bytes(data)).code == "unsupported"

    def test_a_bomb_is_refused_before_it_is_decoded(self) -> None:
        assert refusal(png_of(30_000, 30_000)).code == "too_large"

    def test_a_jpeg_bomb_is_refused_by_its_header(self) -> None:
        data = bytearray(a_jpeg())
        place = data.index(b"\xff\xc0")
        data[place + 5 : place + 9] = struct.pack(">HH", 30_000, 30_000)
        assert refusal(bytes(data)).code == "too_large"

    def test_a_picture_without_width_is_refused(self) -> None:
        assert refusal(png_of(0, 10)).code == "unsupported"

    def test_thousands_of_scans_are_refused(self) -> None:
        data = a_jpeg()
        scan = data[data.index(b"\xff\xda") : -2]
        assert refusal(data[:-2] + scan * 200 + b"\xff\xd9").code == "unsupported"

    def test_a_missing_file_is_unreadable(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as caught:
            pictures.read(tmp_path / "none.jpg")
        assert caught.value.code == "unreadable"

    def test_a_folder_is_unreadable(self, tmp_path: Path) -> None:
        with pytest.raises(InputError):
            pictures.read(tmp_path)

    def test_an_enormous_file_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "large.bmp").open("wb") as file:
            file.truncate(pictures.MOST_BYTES + 1)
        with pytest.raises(InputError) as caught:
            pictures.read(tmp_path / "large.bmp")
        assert caught.value.code == "too_large"


SEEDS = {
    "jpeg": with_orientation(a_jpeg(a_photo(64, 48)), 6),
    "png": encoded(".png", a_photo(64, 48)),
    "webp": encoded(".webp", a_photo(64, 48)),
    "webp lossless": encoded(".webp", a_photo(64, 48), cv2.IMWRITE_WEBP_QUALITY, 101),
    "bmp": encoded(".bmp", a_photo(64, 48)),
}


def outcome(data: bytes) -> str:
    """What becomes of these bytes: a picture, or the code of an InputError."""
    try:
        picture = pictures.decode(data)
    except InputError as error:
        return error.code
    whole = picture.data.shape == (picture.height, picture.width, 3) and picture.data.dtype == np.uint8
    return "picture" if whole else "a picture that contradicts itself"


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(sorted(SEEDS)), data=st.data())
def test_mutated_bytes_give_a_picture_or_an_input_error(kind: str, data: st.DataObject) -> None:
    mutated = bytearray(SEEDS[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(mutated) - 1, 400)) | st.integers(0, len(mutated) - 1))
        mutated[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        mutated = mutated[: data.draw(st.integers(0, len(mutated)))]
    assert outcome(bytes(mutated)) in {"picture", "empty", "truncated", "too_large", "unsupported"}


@settings(max_examples=200, deadline=None)
@given(
    magic=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF"]), tail=st.binary(max_size=200)
)
def test_arbitrary_bytes_give_an_input_error(magic: bytes, tail: bytes) -> None:
    with pytest.raises(InputError):
        pictures.decode(magic + tail)


class TestConverting:
    @pytest.mark.parametrize("stride", [320, 384, 448])
    def test_i420_with_padding_becomes_rgb(self, stride: int) -> None:
        rgb = a_photo()
        assert difference(pictures.to_rgb(padded_i420(rgb, stride)), rgb) < 3

    def test_the_rows_of_a_300_pixel_camera_picture_are_found(self) -> None:
        rgb = a_photo(300, 300)
        picture = padded_i420(rgb, 384)
        assert picture.data.shape == (450, 384)
        assert difference(pictures.to_rgb(picture), rgb) < 3

    def test_bgr_becomes_rgb(self) -> None:
        bgr = np.ascontiguousarray(a_scene()[:, :, ::-1])
        assert difference(pictures.to_rgb(Picture(bgr, "bgr", 96, 64)), a_scene()) == 0

    @pytest.mark.parametrize("size", [(300, 300), (160, 90), (225, 127), (81, 200)])
    def test_every_layout_is_resized_to_the_same_picture(self, size: tuple[int, int]) -> None:
        rgb = a_photo()
        expected = cv2.resize(rgb, size)
        bgr = Picture(np.ascontiguousarray(rgb[:, :, ::-1]), "bgr", 320, 240)
        for picture in (Picture(rgb, "rgb", 320, 240), bgr, padded_i420(rgb, 384)):
            got = pictures.resized_rgb(picture, *size)
            assert got.shape == (size[1], size[0], 3)
            assert difference(got, expected) < 5

    def test_luma_is_the_same_for_every_layout_up_to_the_range_of_video(self) -> None:
        rgb = a_photo()
        plain = pictures.luma(Picture(rgb, "rgb", 320, 240), 80, 60)
        video = (pictures.luma(padded_i420(rgb, 384), 80, 60).astype(float) - 16) * 255 / 219
        assert plain.shape == (60, 80)
        assert difference(plain, video) < 3

    def test_luma_averages_noise_away(self) -> None:
        noisy = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        assert pictures.luma(Picture(noisy, "rgb", 320, 240), 40, 30).std() < 15

    @pytest.mark.parametrize("degrees", [0, 90, 180, 270])
    def test_turning_is_clockwise_in_every_layout(self, degrees: int) -> None:
        rgb = a_photo()
        expected = np.rot90(rgb, -degrees // 90)
        for picture in (Picture(rgb, "rgb", 320, 240), padded_i420(rgb, 384)):
            turned = pictures.rotated(picture, degrees)
            assert (turned.width, turned.height) == (expected.shape[1], expected.shape[0])
            assert turned.layout == picture.layout
            assert difference(pictures.to_rgb(turned), expected) < 3

    def test_resizing_keeps_the_layout(self) -> None:
        rgb = a_photo()
        small = pictures.resized(padded_i420(rgb, 384), 160, 120)
        assert (small.layout, small.data.shape) == ("i420", (180, 160))
        assert difference(pictures.to_rgb(small), cv2.resize(rgb, (160, 120))) < 3

    def test_an_encoded_picture_comes_back(self) -> None:
        assert difference(pictures.decode(pictures.encode_jpeg(a_photo())).data, a_photo()) < 3


def a_map(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    """Turns and scales about (x, y), which lands in the middle of 112 x 112."""
    matrix = cv2.getRotationMatrix2D((x, y), angle, scale)
    matrix[:, 2] += (55.5 - x, 55.5 - y)
    return matrix


class TestWarping:
    @given(
        angle=st.floats(-180, 180),
        scale=st.floats(0.6, 3),
        x=st.floats(-40, 360),
        y=st.floats(-40, 280),
    )
    @settings(max_examples=60, deadline=None)
    def test_cutting_the_region_first_changes_nothing(self, angle: float, scale: float, x: float, y: float) -> None:
        rgb, matrix = a_photo(), a_map(angle, scale, x, y)
        expected = cv2.warpAffine(rgb, matrix, (112, 112), flags=cv2.INTER_LINEAR)
        assert difference(pictures.warped_rgb(Picture(rgb, "rgb", 320, 240), matrix, 112, 112), expected) < 0.5

    @given(angle=st.floats(-60, 60), scale=st.floats(0.15, 3), x=st.floats(60, 260), y=st.floats(60, 180))
    @settings(max_examples=60, deadline=None)
    def test_every_layout_gives_the_same_crop(self, angle: float, scale: float, x: float, y: float) -> None:
        rgb, matrix = a_photo(), a_map(angle, scale, x, y)
        plain = pictures.warped_rgb(Picture(rgb, "rgb", 320, 240), matrix, 112, 112)
        planar = pictures.warped_rgb(padded_i420(rgb, 384), matrix, 112, 112)
        assert difference(plain, planar) < 4

    def test_a_strong_reduction_does_not_move_the_picture(self) -> None:
        rgb = a_photo(640, 480)
        matrix = np.array([[0.2, 0, -0.4], [0, 0.2, -0.4]])  # pixel centers: 2.0 of the source is 0.0 of the output
        got = pictures.warped_rgb(Picture(rgb, "rgb", 640, 480), matrix, 128, 96)
        assert difference(got, cv2.resize(rgb, (128, 96), interpolation=cv2.INTER_AREA)) < 1.5

    def test_a_strong_reduction_averages(self) -> None:
        noisy = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
        matrix = np.array([[0.2, 0, -0.4], [0, 0.2, -0.4]])
        assert pictures.warped_rgb(Picture(noisy, "rgb", 640, 480), matrix, 100, 80)[5:-5, 5:-5].std() < 25

    def test_outside_is_black(self) -> None:
        far = np.array([[1.0, 0, -5000], [0, 1, -5000]])
        assert pictures.warped_rgb(Picture(a_photo(), "rgb", 320, 240), far, 20, 10).sum() == 0

    def test_a_map_without_an_inverse_gives_black(self) -> None:
        for broken in (np.zeros((2, 3)), np.full((2, 3), np.nan)):
            assert pictures.warped_rgb(Picture(a_photo(), "rgb", 320, 240), broken, 20, 10).shape == (10, 20, 3)


def test_the_stills_can_be_read(shared_data: Path) -> None:
    files = sorted((shared_data / "stills").glob("*.*"))
    assert len(files) >= 10
    assert all(pictures.read(file).width >= 300 for file in files)


@pytest.mark.parametrize(("width", "height"), [(60, 40), (61, 41), (96, 64)])
@pytest.mark.parametrize("layout", ["rgb", "bgr", "i420"])
def test_a_picture_is_resized_into_a_place_as_it_is_without(layout: str, width: int, height: int) -> None:
    scene = a_scene()
    shown = padded_i420(scene, 128) if layout == "i420" else Picture(scene, layout, 96, 64)  # type: ignore[arg-type]
    canvas = np.full((height + 2, width + 4, 3), 7, np.uint8)
    place = canvas[1:-1, 2:-2]

    got = pictures.resized_rgb(shown, width, height, place)

    assert got is place
    assert np.array_equal(place, pictures.resized_rgb(shown, width, height))
    assert (canvas[0] == 7).all()
    assert (canvas[:, :2] == 7).all()
