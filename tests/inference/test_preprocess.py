"""How pictures become inputs: exact, and exactly reversible."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ModelError
from edge.core.imaging.image import resized_rgb
from edge.core.types import Box, Picture, Point
from edge.inference.card import Input
from edge.inference.interpreter import Tensor
from edge.inference.preprocess import TEMPLATE, Preparation, aligning, fit, squaring, table

SIDES = st.integers(1, 4000)
FRACTIONS = st.floats(0, 1)


def tensor(dtype: str, scale: float = 0.0, zero_point: int = 0, side: int = 8) -> Tensor:
    return Tensor("in", 0, (1, side, side, 3), np.dtype(dtype), scale, zero_point)


def picture(pixels: Any) -> Picture:
    data = np.ascontiguousarray(pixels, np.uint8)
    return Picture(data, "rgb", data.shape[1], data.shape[0])


@given(
    st.sampled_from(["stretch", "letterbox", "crop"]), st.integers(1, 640), st.integers(1, 640), SIDES, SIDES,
    FRACTIONS, FRACTIONS,
)  # fmt: skip
def test_there_and_back_is_the_same_place(
    how: Any, width: int, height: int, picture_width: int, picture_height: int, x: float, y: float
) -> None:
    lies = fit(Input(width, height, how), picture_width, picture_height)

    back = lies.back(*lies.forward(x, y))

    assert back == pytest.approx((x, y), abs=1e-9)


@given(st.integers(1, 640), st.integers(1, 640), SIDES, SIDES)
def test_a_letterbox_holds_the_whole_picture_and_a_crop_fills_the_whole_input(
    width: int, height: int, picture_width: int, picture_height: int
) -> None:
    boxed = fit(Input(width, height, "letterbox"), picture_width, picture_height)
    cropped = fit(Input(width, height, "crop"), picture_width, picture_height)

    corners = [boxed.forward(0, 0), boxed.forward(1, 1), cropped.back(0, 0), cropped.back(1, 1)]

    assert all(-1e-9 <= value <= 1 + 1e-9 for corner in corners for value in corner)


def test_a_letterbox_keeps_the_shape_of_things_and_pads_with_gray() -> None:
    preparation = Preparation(Input(8, 8, "letterbox", pad=100), tensor("uint8"), "x")

    shown, lies = preparation.whole(picture(np.full((20, 40, 3), 255)))

    assert (shown[0, 2:6] == 255).all()
    assert (shown[0, :2] == 100).all()
    assert (shown[0, 6:] == 100).all()
    assert lies.forward(0.5, 0.5) == (0.5, 0.5)
    assert lies.back(0.5, 0.25) == (0.5, 0.0)


def test_the_bars_of_one_camera_do_not_stay_in_the_picture_of_the_next() -> None:
    preparation = Preparation(Input(8, 8, "letterbox", pad=100), tensor("uint8"), "x")
    preparation.whole(picture(np.full((40, 20, 3), 255)))

    shown, _ = preparation.whole(picture(np.full((20, 40, 3), 50)))

    assert set(np.unique(shown)) == {50, 100}


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("layout", ["rgb", "bgr", "i420"])
@pytest.mark.parametrize("size", [(8, 4), (4, 8), (40, 22), (22, 40)])
def test_a_letterbox_holds_the_pixels_of_the_resized_picture(
    size: tuple[int, int], layout: Any, dtype: str, color: Any
) -> None:
    card = Input(8, 8, "letterbox", color=color, pad=100, mean=(127.5,) * 3, std=(127.5,) * 3)
    scale, zero = {"uint8": (1 / 127.5, 128), "int8": (1 / 127.5, 0), "float32": (0.0, 0)}[dtype]
    preparation = Preparation(card, tensor(dtype, scale, zero), "x")
    width, height = size
    shape = (height * 3 // 2, width) if layout == "i420" else (height, width, 3)
    pixels = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    shown = Picture(pixels, layout, width, height)

    got = preparation.whole(shown)[0].copy()

    canvas = np.full((8, 8, 3), 100, np.uint8)
    inner = np.ascontiguousarray(resized_rgb(shown, 8 if width > height else 4, 4 if width > height else 8))
    canvas[(8 - inner.shape[0]) // 2 :, (8 - inner.shape[1]) // 2 :][: inner.shape[0], : inner.shape[1]] = inner
    assert np.array_equal(got, preparation.tensor(canvas))
    assert np.array_equal(preparation.whole(shown)[0], got), "the second picture lies on the first one"


def test_a_crop_shows_the_middle() -> None:
    pixels = np.zeros((10, 30, 3))
    pixels[:, 10:20] = 200
    preparation = Preparation(Input(8, 8, "crop"), tensor("uint8"), "x")

    shown, lies = preparation.whole(picture(pixels))

    assert (shown[0, :, 1:-1] == 200).all()
    assert lies.back(0, 0) == pytest.approx((1 / 3, 0))


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "mean", "std"),
    [
        ("uint8", 0.0078125, 128, (128.0,) * 3, (128.0,) * 3),
        ("int8", 1 / 255, -128, (0.0,) * 3, (255.0,) * 3),
        ("int8", 0.9711, -128, (0.0,) * 3, (1.0,) * 3),
        ("int8", 0.02, 3, (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)),
        ("float32", 0.0, 0, (127.5,) * 3, (127.5,) * 3),
        ("float32", 0.0, 0, (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)),
        ("int16", 0.001, 0, (0.0,) * 3, (255.0,) * 3),
    ],
)
def test_an_input_is_what_plain_arithmetic_makes_of_the_pixels(
    dtype: str, scale: float, zero_point: int, mean: Any, std: Any
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    preparation = Preparation(Input(8, 8, mean=mean, std=std), tensor(dtype, scale, zero_point), "x")

    got = preparation.tensor(pixels)

    wanted = (pixels.astype(np.float64) - mean) / std
    if scale:
        limits = np.iinfo(dtype)
        wanted = np.clip(np.rint(wanted / scale + zero_point), limits.min, limits.max)
    assert got.shape == (1, 8, 8, 3)
    assert got.dtype == dtype
    assert np.allclose(got[0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "std", "shift"),
    [("int8", 0.003892407286912203, 0, 255.0, -128), ("uint8", 1 / 127.5, 127, 127.5, 0)],
)
def test_a_table_within_one_step_of_a_shift_is_taken_as_that_shift(
    dtype: str, scale: float, zero_point: int, std: float, shift: int
) -> None:
    card = Input(8, 8, mean=(127.5,) * 3, std=(std,) * 3)
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    target = tensor(dtype, scale, zero_point)

    got = Preparation(card, target, "x").tensor(pixels)[0].astype(int)

    assert np.array_equal(got, pixels.astype(int) + shift)
    assert np.abs(got - table(card, target, "x")[0, pixels, 0]).max() == 1


def test_colors_are_swapped_where_the_card_wants_bgr() -> None:
    pixels = np.full((8, 8, 3), (10, 20, 30), np.uint8)

    assert Preparation(Input(8, 8, color="bgr"), tensor("uint8"), "x").tensor(pixels)[0, 0, 0].tolist() == [30, 20, 10]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((1, 8, 9, 3), "uint8"), ((1, 3, 8, 8), "uint8"), ((1, 8, 8, 3), "float16"), ((8, 8, 3), "int8")],
)
def test_a_card_that_lies_about_the_input_is_refused(shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(ModelError, match="model x"):
        Preparation(Input(8, 8), Tensor("in", 0, shape, np.dtype(dtype), 0.0, 0), "model x")


@given(st.floats(0.2, 4), st.floats(-3.1, 3.1), st.floats(-200, 800), st.floats(-200, 800), st.sampled_from([112, 160]))
def test_alignment_undoes_any_turn_size_and_place_of_a_face(
    size: float, turn: float, x: float, y: float, side: int
) -> None:
    turned = [complex(*point) * size * np.exp(1j * turn) + complex(x, y) for point in TEMPLATE]
    landmarks = [Point((p.real + 0.5) / 640, (p.imag + 0.5) / 480) for p in turned]

    matrix = aligning(Picture(np.zeros((480, 640, 3), np.uint8), "rgb", 640, 480), landmarks, side, side)

    aligned = np.array([[p.real, p.imag, 1] for p in turned]) @ matrix.T
    assert np.allclose(aligned, np.array(TEMPLATE) * side / 112, atol=0.05)


def test_alignment_is_the_least_squares_similarity() -> None:
    random = np.random.default_rng(3)
    points = np.array(TEMPLATE) * 1.7 + random.normal(0, 4, (5, 2)) + 60
    landmarks = [Point((x + 0.5) / 640, (y + 0.5) / 480) for x, y in points]

    matrix = aligning(Picture(np.zeros((480, 640, 3), np.uint8), "rgb", 640, 480), landmarks, 112, 112)

    x, y = points[:, 0], points[:, 1]
    ones, zeros = np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, c, d = np.linalg.lstsq(rows, np.array(TEMPLATE).T.reshape(-1), rcond=None)[0]
    assert np.allclose(matrix, [[a, -b, c], [b, a, d]], atol=1e-3)


def test_five_landmarks_on_one_spot_do_not_break_alignment() -> None:
    matrix = aligning(Picture(np.zeros((480, 640, 3), np.uint8), "rgb", 640, 480), [Point(0.5, 0.5)] * 5, 112, 112)

    assert np.isfinite(matrix).all()


def test_a_square_crop_shows_the_box_undistorted_with_its_margin() -> None:
    box = Box(0.25, 0.25, 0.5, 0.75)  # 160 x 240 pixels
    matrix = squaring(Picture(np.zeros((480, 640, 3), np.uint8), "rgb", 640, 480), box, 0.25, 90, 90)

    corners = np.array([[159.5, 119.5, 1], [319.5, 359.5, 1]]) @ matrix.T

    assert matrix[0, 0] == pytest.approx(90 / 360)
    assert matrix[0, 0] == matrix[1, 1]
    assert np.allclose(corners.mean(axis=0), 44.5)
    assert np.allclose(corners[:, 1], [14.5, 74.5])


def test_a_crop_of_a_real_picture_agrees_with_its_matrix() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    cv2.circle(pixels, (70, 30), 3, (255, 255, 255), -1)
    from edge.core.imaging import image as pictures

    matrix = squaring(picture(pixels), Box(0.6, 0.2, 0.8, 0.4), 0.0, 40, 40)
    crop = pictures.warped_rgb(picture(pixels), matrix, 40, 40)

    y, x = np.argwhere(crop[:, :, 0] > 128).mean(axis=0)
    assert (x, y) == pytest.approx((20.5, 20.5), abs=0.6)
