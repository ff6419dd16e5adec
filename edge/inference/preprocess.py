"""Preprocessing: pictures to model inputs, and model coordinates back to fractions of the frame.

A change that alters the input of an embedder must increment VERSION, which is part of the embedding space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.types import Box, Picture, Point
from edge.inference.card import Input
from edge.inference.interpreter import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import ByteArray, FloatArray

VERSION = 1

TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""positions of the five landmarks in an aligned crop of 112 x 112 pixels (ArcFace)"""
TEMPLATE_SIDE = 112


@dataclass(frozen=True, slots=True)
class Fit:
    """Map from frame to model input, fractions of each: ``input = frame * scale + offset``."""

    scale_x: float = 1.0
    scale_y: float = 1.0
    offset_x: float = 0.0
    offset_y: float = 0.0

    def forward(self, x: float, y: float) -> tuple[float, float]:
        """Position in the input of a point of the frame."""
        return x * self.scale_x + self.offset_x, y * self.scale_y + self.offset_y

    def back(self, x: float, y: float) -> tuple[float, float]:
        """Position in the frame of a point of the input: the inverse of ``forward``."""
        return (x - self.offset_x) / self.scale_x, (y - self.offset_y) / self.scale_y


def fit(card: Input, width: int, height: int) -> Fit:
    """Map of a picture of ``width`` x ``height`` pixels to the input."""
    if card.fit == "stretch":
        return Fit()
    ratios = card.width / width, card.height / height
    if card.fit == "letterbox":
        left, top, inner_width, inner_height = _letterbox(card, width, height)
        return Fit(inner_width / card.width, inner_height / card.height, left / card.width, top / card.height)
    scale = max(ratios)
    shown_x, shown_y = card.width / (width * scale), card.height / (height * scale)
    return Fit(1 / shown_x, 1 / shown_y, (1 - 1 / shown_x) / 2, (1 - 1 / shown_y) / 2)


class Preparation:
    """Converts pictures to a model's input, in one preallocated buffer.

    Normalization and quantization are one table of 256 entries per channel. Raises ModelError if the input
    tensor does not match the card.
    """

    def __init__(self, card: Input, tensor: Tensor, where: str) -> None:
        expected = (1, card.height, card.width, 3)
        if tensor.shape != expected:
            raise ModelError(
                f"{where}: expected input {expected} by the card, got {tensor.shape}",
                "correct [input] in the card",
            )
        self.card = card
        self._table = table(card, tensor, where)
        self._shift = _shift(self._table)
        self._buffer: NDArray[Any] = np.empty(expected, tensor.dtype)
        self._boxed: NDArray[Any] = np.empty(expected, tensor.dtype)
        """the letterboxed input; its padding is filled once per picture size"""
        self._inner = self._boxed[0]
        """the part of it without padding"""
        self._size = (0, 0)
        self._fit = Fit()

    def whole(self, picture: Picture) -> tuple[NDArray[Any], Fit]:
        """The input tensor of a whole picture, and the map to it. Overwritten by the next call."""
        card = self.card
        if (picture.width, picture.height) != self._size:
            self._size = (picture.width, picture.height)
            self._fit = fit(card, *self._size)
            self._fill(np.full((card.height, card.width, 3), card.pad, np.uint8), self._boxed[0])
            left, top, width, height = _letterbox(card, *self._size)
            self._inner = self._boxed[0, top : top + height, left : left + width]
        if card.fit == "stretch":
            return self.tensor(pictures.resized_rgb(picture, card.width, card.height)), self._fit
        if card.fit == "crop":
            return self.tensor(pictures.warped_rgb(picture, self._cropping(), card.width, card.height)), self._fit
        self._draw(picture, self._inner)
        return self._boxed, self._fit

    def tensor(self, rgb: ByteArray) -> NDArray[Any]:
        """The input tensor of (height, width, 3) pixels. Overwritten by the next call."""
        if self._shift == 0 and self.card.color == "rgb":
            return rgb[np.newaxis]
        self._fill(rgb, self._buffer[0])
        return self._buffer

    def _draw(self, picture: Picture, out: NDArray[Any]) -> None:
        """Resize a picture into an input tensor; without a copy if the tensor holds pixels, or shifted pixels."""
        height, width = out.shape[:2]
        if self._shift is None or self.card.color != "rgb":
            self._fill(pictures.resized_rgb(picture, width, height), out)
            return
        pixels = pictures.resized_rgb(picture, width, height, out.view(np.uint8))
        if self._shift:
            np.bitwise_xor(pixels, 0x80, out=pixels)

    def _fill(self, rgb: ByteArray, out: NDArray[Any]) -> None:
        """Normalize pixels into an input tensor."""
        pixels = rgb if self.card.color == "rgb" else np.ascontiguousarray(rgb[:, :, ::-1])
        if self._shift == 0:
            out[:] = pixels
        elif self._shift == -128:
            np.bitwise_xor(pixels, 0x80, out=out.view(np.uint8))
        elif out.flags.c_contiguous:
            cv2.LUT(np.ascontiguousarray(pixels), self._table, dst=out)
        else:
            out[:] = cv2.LUT(np.ascontiguousarray(pixels), self._table)

    def _cropping(self) -> FloatArray:
        """Source pixel centers to input pixel centers."""
        (width, height), card = self._size, self.card
        scale_x, scale_y = self._fit.scale_x * card.width / width, self._fit.scale_y * card.height / height
        shift_x, shift_y = self._fit.offset_x * card.width, self._fit.offset_y * card.height
        return np.array(
            [[scale_x, 0, scale_x / 2 - 0.5 + shift_x], [0, scale_y, scale_y / 2 - 0.5 + shift_y]], np.float32
        )


def table(card: Input, tensor: Tensor, where: str) -> NDArray[Any]:
    """Lookup table of input values by pixel value: (1, 256, 3), or (1, 256, 1) for all channels. Raises ModelError."""
    pixels = np.arange(256, dtype=np.float64)[:, np.newaxis]
    real = (pixels - card.mean) / card.std
    if tensor.dtype == np.float32:
        alike = len(set(card.mean)) == len(set(card.std)) == 1
        return real[np.newaxis, :, : 1 if alike else 3].astype(np.float32)
    if tensor.dtype not in (np.uint8, np.int8, np.int16):
        raise ModelError(
            f"{where}: expected an input of uint8, int8, int16 or float32, got {tensor.dtype}",
            "convert the model again",
        )
    limits = np.iinfo(tensor.dtype)
    stored = real / tensor.scale + tensor.zero_point if tensor.scale else real
    quantized: NDArray[Any] = np.clip(np.rint(stored), limits.min, limits.max).astype(tensor.dtype)
    return quantized[np.newaxis]


def _shift(values: NDArray[Any]) -> int | None:
    """0 or -128 if an 8-bit table is the pixel plus this offset, with an error of at most one step; else None.

    A shift takes one pass at memory speed, or none; the table takes eight times as long. One step is
    negligible for the model.
    """
    moves = {np.dtype(np.uint8): 0, np.dtype(np.int8): -128}
    by = moves.get(values.dtype)
    if by is None:
        return None
    shifted = np.arange(256)[np.newaxis, :, np.newaxis] + by
    return by if np.abs(values.astype(np.int64) - shifted).max() <= 1 else None


def aligning(picture: Picture, landmarks: Sequence[Point], width: int, height: int, room: float = 0.0) -> FloatArray:
    """(2, 3) similarity transform from source to crop pixel centers that aligns the landmarks with the template.

    Least squares after Umeyama (1991), which in the plane is one complex division. ``room``: margin around the
    template on each side, fraction of its side.
    """
    target_mean, offsets = _template(width, height, room)
    source = [complex(p.x * picture.width - 0.5, p.y * picture.height - 0.5) for p in landmarks]
    source_mean = sum(source) / len(source)
    spread, paired = 0.0, 0j
    for place, offset in zip(source, offsets, strict=True):
        aside = place - source_mean
        spread += aside.real * aside.real + aside.imag * aside.imag
        paired += aside.conjugate() * offset
    turn = paired / spread if spread > 0 else 1 + 0j
    shift = target_mean - turn * source_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], np.float32)


@lru_cache(maxsize=16)
def _template(width: int, height: int, room: float) -> tuple[complex, tuple[complex, ...]]:
    """The center of the template in a crop of this size, and the landmarks relative to it."""
    scale = height / (TEMPLATE_SIDE * (1 + 2 * room))
    aside, above = (width - TEMPLATE_SIDE * scale) / 2, (height - TEMPLATE_SIDE * scale) / 2
    places = [complex(x * scale + aside, y * scale + above) for x, y in TEMPLATE]
    mean = sum(places) / len(places)
    return mean, tuple(place - mean for place in places)


def squaring(picture: Picture, box: Box, margin: float, width: int, height: int) -> FloatArray:
    """(2, 3) transform from source to crop pixel centers: the box with ``margin`` of its longer side, undistorted.

    Areas outside the picture are black.
    """
    box_width, box_height = box.width * picture.width, box.height * picture.height
    room = 1 + 2 * margin
    scale = min(width, height) / max(1.0, max(box_width, box_height) * room)
    center_x, center_y = box.center.x * picture.width, box.center.y * picture.height
    return np.array(
        [
            [scale, 0, width / 2 - 0.5 - scale * (center_x - 0.5)],
            [0, scale, height / 2 - 0.5 - scale * (center_y - 0.5)],
        ],
        np.float32,
    )


def _letterbox(card: Input, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the picture in the input, integer pixels."""
    scale = min(card.width / width, card.height / height)
    inner_width = min(card.width, max(1, round(width * scale)))
    inner_height = min(card.height, max(1, round(height * scale)))
    return (card.width - inner_width) // 2, (card.height - inner_height) // 2, inner_width, inner_height
