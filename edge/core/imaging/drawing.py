"""Detections drawn into a picture, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.core.imaging import image as pictures
from edge.core.types import Box, Detection, Picture

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray

BOX, DOT, TEXT = (0, 200, 0), (255, 0, 200), (255, 255, 255)
"""red, green, blue"""


def drawn(rgb: ByteArray, detections: Sequence[Detection]) -> ByteArray:
    """A copy of (height, width, 3) pixels with boxes, labels, scores and landmarks."""
    canvas = rgb.copy()
    height, width = rgb.shape[:2]
    line = max(1, round(max(width, height) / 400))
    for found in detections:
        box = found.box.clipped()
        corner = round(box.left * width), round(box.top * height)
        cv2.rectangle(canvas, corner, (round(box.right * width), round(box.bottom * height)), BOX, line)
        for point in found.landmarks:
            cv2.circle(canvas, (round(point.x * width), round(point.y * height)), line + 1, DOT, -1)
        _caption(canvas, f"{found.label} {found.score:.2f}", corner, line)
    return canvas


def _caption(canvas: ByteArray, text: str, corner: tuple[int, int], line: int) -> None:
    """White on green above the corner, or below it where there is no room; other letters than ASCII become ``?``."""
    text = text.encode("ascii", "replace").decode()
    scale = line * 0.45
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line)
    x, y = corner
    y = y if y >= height + below else y + height + below
    cv2.rectangle(canvas, (x, y - height - below), (x + width, y), BOX, -1)
    cv2.putText(canvas, text, (x, y - below // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT, line, cv2.LINE_AA)


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
