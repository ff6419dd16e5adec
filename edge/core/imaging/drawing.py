"""Boxes and captions drawn into a picture, for people to look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.core.imaging import image as pictures
from edge.core.types import Box, Detection, Picture, Point

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray

Color = tuple[int, int, int]
"""red, green, blue"""

BOX: Color = (0, 150, 0)
DOT: Color = (255, 0, 200)
TEXT: Color = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
CAPTION = 0.14
"""height of a caption over that of its box, between the heights below"""
LEAST_CAPTION, MOST_CAPTION = 9, 17
"""pixels"""
PADDING = 3
"""pixels of a caption around its text"""


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box with a caption."""

    box: Box
    text: str
    color: Color = BOX
    landmarks: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rectangle:
    """Pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return max(0, self.right - self.left) * max(0, self.bottom - self.top)

    def common(self, other: _Rectangle) -> int:
        """Pixels in both."""
        return _Rectangle(
            max(self.left, other.left), max(self.top, other.top), min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).area  # fmt: skip


def annotated(rgb: ByteArray, annotations: Sequence[DrawnBox]) -> ByteArray:
    """A copy of (height, width, 3) pixels with boxes and captions.

    A caption lies above, below or beside its box, where it hides least of all boxes and of the captions before it.
    """
    canvas = rgb.copy()
    height, width = rgb.shape[:2]
    line = max(1, round(max(width, height) / 500))
    boxes = [_pixels(one.box.clipped(), width, height) for one in annotations]
    for one, box in zip(annotations, boxes, strict=True):
        cv2.rectangle(canvas, (box.left, box.top), (box.right, box.bottom), one.color, line)
        for point in one.landmarks:
            cv2.circle(canvas, (round(point.x * width), round(point.y * height)), line + 1, DOT, -1)
    placed: list[_Rectangle] = []
    for one, box in zip(annotations, boxes, strict=True):
        placed.append(_caption(canvas, one, box, boxes, placed))
    return canvas


def drawn(rgb: ByteArray, detections: Sequence[Detection]) -> ByteArray:
    """A copy of (height, width, 3) pixels with boxes, labels, scores and landmarks."""
    found = [DrawnBox(one.box, f"{one.label} {one.score:.2f}", landmarks=one.landmarks) for one in detections]
    return annotated(rgb, found)


def _caption(
    canvas: ByteArray, one: DrawnBox, box: _Rectangle, boxes: Sequence[_Rectangle], placed: Sequence[_Rectangle]
) -> _Rectangle:
    """Draw a caption: white on the color of its box. Returns where."""
    text = _ascii(one.text)
    tall = min(MOST_CAPTION, max(LEAST_CAPTION, round(CAPTION * (box.bottom - box.top))))
    scale, thick = tall / 22, 1 if tall < 18 else 2
    (wide, high), below = cv2.getTextSize(text, FONT, scale, thick)
    places = _places(box, wide + 2 * PADDING, high + below + 2 * PADDING, canvas.shape[1], canvas.shape[0])
    place = min(places, key=lambda place: _hidden(place, boxes, placed))
    cv2.rectangle(canvas, (place.left, place.top), (place.right, place.bottom), one.color, -1)
    at = place.left + PADDING, place.bottom - below - PADDING + 1
    cv2.putText(canvas, text, at, FONT, scale, TEXT, thick, cv2.LINE_AA)
    return place


def _places(box: _Rectangle, wide: int, high: int, width: int, height: int) -> list[_Rectangle]:
    """Where a caption may lie, the best first: inside the picture, next to its box."""
    aligned = box.left, box.right - wide, (box.left + box.right - wide) // 2
    rows = box.top - high, box.bottom, box.top - 2 * high, box.bottom + high
    corners = [(left, top) for top in rows for left in aligned]
    corners += [(left, top) for left in (box.right, box.left - wide) for top in (box.top, box.bottom - high)]
    inside = [(max(0, min(width - wide, left)), max(0, min(height - high, top))) for left, top in corners]
    return [_Rectangle(left, top, left + wide, top + high) for left, top in inside]


def _hidden(place: _Rectangle, boxes: Sequence[_Rectangle], placed: Sequence[_Rectangle]) -> float:
    """Sum of the shares that a caption hides, of each box and of each caption."""
    return sum(place.common(one) / max(1, one.area) for one in [*boxes, *placed])


def _pixels(box: Box, width: int, height: int) -> _Rectangle:
    return _Rectangle(
        round(box.left * width), round(box.top * height), round(box.right * width), round(box.bottom * height)
    )


def _ascii(text: str) -> str:
    """What the font can show: letters without their accents, others as ``?``."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).encode("ascii", "replace").decode()


def square_jpeg(picture: Picture, box: Box, side: int, around: float) -> bytes:
    """A JPEG of ``side`` x ``side`` pixels: a box with a share ``around`` of it on each side.

    Near the border the square moves inside the picture; only where the picture is too small is it black outside.
    """
    reach = max(box.width * picture.width, box.height * picture.height, 1.0) * (1 + 2 * around)
    smaller = float(min(picture.width, picture.height))
    reach = min(reach, max(smaller, reach / (1 + 2 * around)))
    scale = side / reach
    left = _inside(box.center.x * picture.width - reach / 2, reach, picture.width)
    top = _inside(box.center.y * picture.height - reach / 2, reach, picture.height)
    matrix: FloatArray = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float32)
    return pictures.encode_jpeg(pictures.warped_rgb(picture, matrix, side, side), quality=80)


def _inside(start: float, reach: float, size: int) -> float:
    """``start`` moved so that ``reach`` pixels from it lie inside ``size``; centered where they do not fit."""
    return (size - reach) / 2 if reach > size else min(max(start, 0.0), size - reach)


def saved_as(path_suffix: str, rgb: ByteArray) -> bytes:
    """The bytes of a PNG where the suffix is ``.png``, else of a JPEG."""
    if path_suffix.lower() == ".png":
        return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    return pictures.encode_jpeg(rgb)
