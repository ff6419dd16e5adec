"""IMAGE_PROPERTIES of DetectLabels: brightness, sharpness, contrast and dominant colors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge.core.imaging import image as pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import Box, ByteArray, Picture

SIDE = 64
"""pixels of the reduced picture in which colors are counted"""
SIMPLE = {
    "black": (0, 0, 0), "white": (255, 255, 255), "gray": (128, 128, 128), "red": (200, 30, 30),
    "orange": (255, 140, 0), "yellow": (240, 220, 40), "green": (40, 140, 60), "blue": (40, 80, 200),
    "purple": (130, 50, 150), "pink": (255, 160, 190), "brown": (120, 75, 45),
}  # fmt: skip
CSS = {
    "black": (0, 0, 0), "dimgrey": (105, 105, 105), "gray": (128, 128, 128), "darkgrey": (169, 169, 169),
    "silver": (192, 192, 192), "lightgrey": (211, 211, 211), "whitesmoke": (245, 245, 245), "white": (255, 255, 255),
    "maroon": (128, 0, 0), "brown": (165, 42, 42), "firebrick": (178, 34, 34), "red": (255, 0, 0),
    "salmon": (250, 128, 114), "rosybrown": (188, 143, 143), "sienna": (160, 82, 45), "saddlebrown": (139, 69, 19),
    "chocolate": (210, 105, 30), "peru": (205, 133, 63), "tan": (210, 180, 140), "wheat": (245, 222, 179),
    "bisque": (255, 228, 196), "darkorange": (255, 140, 0), "orange": (255, 165, 0), "gold": (255, 215, 0),
    "yellow": (255, 255, 0), "khaki": (240, 230, 140), "olive": (128, 128, 0), "darkolivegreen": (85, 107, 47),
    "yellowgreen": (154, 205, 50), "green": (0, 128, 0), "forestgreen": (34, 139, 34), "lime": (0, 255, 0),
    "darkseagreen": (143, 188, 143), "seagreen": (46, 139, 87), "teal": (0, 128, 128), "darkslategrey": (47, 79, 79),
    "lightseagreen": (32, 178, 170), "turquoise": (64, 224, 208), "cyan": (0, 255, 255), "skyblue": (135, 206, 235),
    "lightblue": (173, 216, 230), "steelblue": (70, 130, 180), "slategrey": (112, 128, 144), "blue": (0, 0, 255),
    "royalblue": (65, 105, 225), "navy": (0, 0, 128), "midnightblue": (25, 25, 112), "indigo": (75, 0, 130),
    "slateblue": (106, 90, 205), "purple": (128, 0, 128), "violet": (238, 130, 238), "plum": (221, 160, 221),
    "magenta": (255, 0, 255), "crimson": (220, 20, 60), "pink": (255, 192, 203), "thistle": (216, 191, 216),
}  # fmt: skip


def image_properties(picture: Picture, most: int, things: Sequence[Box]) -> dict[str, Any]:
    """Quality and up to ``most`` DominantColors of the picture, and of its Foreground and Background.

    The foreground is the union of the boxes ``things``; where that is empty or everything, both are the whole picture.
    """
    pixels = pictures.resized_rgb(picture, SIDE, SIDE)
    luma = pictures.luma(picture, min(picture.width, 512), min(picture.height, 512))
    edges = cv2.Laplacian(luma, cv2.CV_16S)

    def part(small: NDArray[np.bool_], large: NDArray[np.bool_]) -> dict[str, Any]:
        return {"Quality": _quality(luma[large], edges[large]), "DominantColors": _dominant(pixels[small], most)}

    whole = np.ones(pixels.shape[:2], bool), np.ones(luma.shape, bool)
    front = _covered(things, pixels.shape[:2]), _covered(things, luma.shape)
    back = ~front[0], ~front[1]
    if not all(mask.any() for mask in (*front, *back)):
        front = back = whole
    return {**part(*whole), "Foreground": part(*front), "Background": part(*back)}


def instance_colors(picture: Picture, box: Box, most: int) -> list[dict[str, Any]]:
    """Up to ``most`` DominantColors inside a box."""
    inside = box.clipped()
    left, top = math.floor(inside.left * picture.width), math.floor(inside.top * picture.height)
    right, bottom = math.ceil(inside.right * picture.width), math.ceil(inside.bottom * picture.height)
    if right <= left or bottom <= top:
        return []
    part = pictures.cut(picture, left, top, right, bottom)
    return _dominant(pictures.resized_rgb(part, SIDE // 2, SIDE // 2).reshape(-1, 3), most)


def _covered(boxes: Sequence[Box], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(height, width) bool mask of the pixels covered by boxes."""
    height, width = shape
    mask = np.zeros((height, width), bool)
    for box in boxes:
        rows = slice(max(0, math.floor(box.top * height)), max(0, math.ceil(box.bottom * height)))
        mask[rows, max(0, math.floor(box.left * width)) : max(0, math.ceil(box.right * width))] = True
    return mask


def _quality(luma: ByteArray, edges: NDArray[Any]) -> dict[str, float]:
    return {
        "Brightness": float(luma.mean()) / 2.55,
        "Sharpness": 100 * (1 - float(np.exp(-(float(edges.std()) ** 2) / 500))),
        "Contrast": min(100.0, float(luma.std()) / 1.275),
    }


def _dominant(rgb: ByteArray, most: int) -> list[dict[str, Any]]:
    """Up to ``most`` DominantColors of (pixels, 3) RGB values."""
    if most == 0:
        return []
    pixels = rgb.astype(np.float32)
    count = min(most, len(np.unique(pixels, axis=0)))
    cv2.setRNGSeed(1)
    enough = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    _, members, centers = cv2.kmeans(pixels, count, np.empty(0), enough, 1, cv2.KMEANS_PP_CENTERS)
    shares = np.bincount(members.ravel(), minlength=count) / len(pixels)
    order = np.argsort(-shares, kind="stable")
    return [_color(centers[i], float(shares[i])) for i in order if shares[i] > 0]


def _color(center: Any, share: float) -> dict[str, Any]:
    red, green, blue = (int(min(255, max(0, round(float(value))))) for value in center)
    return {
        "Red": red,
        "Green": green,
        "Blue": blue,
        "HexCode": f"#{red:02x}{green:02x}{blue:02x}",
        "CSSColor": _nearest(CSS, (red, green, blue)),
        "SimplifiedColor": _nearest(SIMPLE, (red, green, blue)),
        "PixelPercent": 100 * share,
    }


def _nearest(table: dict[str, tuple[int, int, int]], color: tuple[int, int, int]) -> str:
    return min(table, key=lambda name: sum((a - b) ** 2 for a, b in zip(table[name], color, strict=True)))
