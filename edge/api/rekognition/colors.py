"""What IMAGE_PROPERTIES tells: brightness, sharpness, contrast, and the colors that a picture is made of."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from edge.core.imaging import image as pictures
from edge.core.types import Picture

SIDE = 64
"""pixels of the picture that colors are counted in"""
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


def image_properties(picture: Picture, most: int) -> dict[str, Any]:
    """Quality and up to ``most`` DominantColors of the whole picture."""
    luma = pictures.luma(picture, min(picture.width, 512), min(picture.height, 512))
    _, spread = cv2.meanStdDev(luma)
    _, edges = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    quality = {
        "Brightness": float(luma.mean()) / 2.55,
        "Sharpness": 100 * (1 - float(np.exp(-(float(edges[0, 0]) ** 2) / 500))),
        "Contrast": min(100.0, float(spread[0, 0]) / 1.275),
    }
    return {"Quality": quality, "DominantColors": _dominant(picture, most)}


def _dominant(picture: Picture, most: int) -> list[dict[str, Any]]:
    if most == 0:
        return []
    pixels = pictures.resized_rgb(picture, SIDE, SIDE).reshape(-1, 3).astype(np.float32)
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
