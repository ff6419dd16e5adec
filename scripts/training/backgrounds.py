"""Pictures without faces: photographs given to the trainer, drawn ones, and rests of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import data

LONGEST = 900
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZ0123456789&%#@?"


@dataclass(frozen=True)
class Material:
    """Pictures without faces."""

    photographs: list[NDArray[np.uint8]] = field(default_factory=list)
    """RGB, the longer side at most 900 pixels."""
    stamps: list[NDArray[np.uint8]] = field(default_factory=list)
    """RGBA, things cut out of their surroundings, at most 300 pixels."""


def is_kept_aside(path: Path) -> bool:
    """Whether a background, and what was cut out of it (its name and @), is for choosing the threshold."""
    return data.is_held_out(path.stem.partition("@")[0])


def kept_aside(folder: Path | None) -> list[Path]:
    """The whole photographs below a folder that are for choosing the threshold."""
    paths = [path for path in data.picture_files(folder) if is_kept_aside(path)] if folder else []
    return [path for path in paths if "@" not in path.stem and path.suffix != ".png"]


def about(folder: Path | None) -> str:
    """What a folder says of itself, for the card of what is trained with it."""
    told = folder / "ABOUT.txt" if folder else None
    return told.read_text().strip() if told and told.exists() else "drawn, and what surrounds the faces"


def read_material(folder: Path | None) -> Material:
    """Every picture below a folder that is not kept aside; one with an alpha channel is a stamp."""
    material = Material()
    for path in data.picture_files(folder) if folder else ():
        if is_kept_aside(path):
            continue
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.dtype != np.uint8:
            continue
        is_stamp = image.shape[2] == 4
        share = min(1.0, (300 if is_stamp else LONGEST) / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        order = cv2.COLOR_BGRA2RGBA if is_stamp else cv2.COLOR_BGR2RGB
        (material.stamps if is_stamp else material.photographs).append(cv2.cvtColor(small, order))
    return material


class Backgrounds:
    """Makes backgrounds of any size from photographs, drawings and what surrounds faces."""

    def __init__(self, material: Material, surroundings: Sequence[NDArray[np.uint8]]) -> None:
        self._photos, self._stamps = material.photographs, material.stamps
        self._surroundings = surroundings

    def make(self, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
        """One background of `size` (width, height), RGB."""
        canvas = self._plain(size, rng)
        if self._stamps and rng.random() < 0.6:
            for _ in range(int(rng.integers(1, 9))):
                _stamp(canvas, self._stamps[rng.integers(len(self._stamps))], rng)
        return canvas

    def _plain(self, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
        choice = rng.random()
        if choice < 0.55 and self._photos:
            return cut(self._photos[rng.integers(len(self._photos))], size, rng)
        if choice < 0.75 and self._surroundings:
            return self._quilt(size, rng)
        if choice < 0.83:
            return clouds(size, rng)
        return drawing(size, rng)

    def _quilt(self, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Pieces of what surrounds faces, in a grid of uneven sizes."""
        canvas = np.empty((size[1], size[0], 3), np.uint8)
        columns, rows = rng.integers(1, 5, 2)
        xs = np.linspace(0, size[0], columns + 1).astype(int)
        ys = np.linspace(0, size[1], rows + 1).astype(int)
        for left, right in pairwise(xs):
            for top, bottom in pairwise(ys):
                piece = self._surroundings[rng.integers(len(self._surroundings))]
                canvas[top:bottom, left:right] = cut(piece, (right - left, bottom - top), rng)
        return canvas


def cut(image: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random part of a picture with the proportions of `size`, resized to it."""
    height, width = image.shape[:2]
    fits = min(width / size[0], height / size[1])
    share = fits * rng.uniform(0.35, 1.0)
    part = (max(int(size[0] * share), 2), max(int(size[1] * share), 2))
    left, top = (int(rng.integers(0, most + 1)) for most in (width - part[0], height - part[1]))
    piece = image[top : top + part[1], left : left + part[0]]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    if rng.random() < 0.15:
        piece = piece[::-1]
    return cv2.resize(
        np.ascontiguousarray(piece),
        size,
        interpolation=cv2.INTER_AREA if share > 1 else cv2.INTER_LINEAR,
    )


def _stamp(canvas: NDArray[np.uint8], stamp: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Put a thing somewhere on the canvas, at any size."""
    reach = np.exp(rng.uniform(np.log(16), np.log(220))) / max(stamp.shape[:2])
    size = [max(int(side * reach), 2) for side in stamp.shape[1::-1]]
    size = [min(side, most) for side, most in zip(size, canvas.shape[1::-1], strict=True)]
    small = cv2.resize(stamp, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        small = small[:, ::-1]
    left, top = (int(rng.integers(0, most - side + 1)) for side, most in zip(size, canvas.shape[1::-1], strict=True))
    below = canvas[top : top + size[1], left : left + size[0]]
    share = small[..., 3:].astype(np.float32) / 255
    below[:] = small[..., :3] * share + below * (1 - share)


def surroundings(
    images: Sequence[NDArray[np.uint8]], pictures: Sequence[data.Picture], most: int = 1500
) -> list[NDArray[np.uint8]]:
    """What lies left and right of and below the faces of pictures, without any of them."""
    pieces = []
    for image, picture in zip(images, pictures, strict=True):
        height, width = image.shape[:2]
        boxes = np.stack([face.box for face in picture.faces])
        reach = 0.15 * (boxes[:, 2:] - boxes[:, :2]).max(axis=0)
        left = max(int((boxes[:, 0]).min() - reach[0]), 0)
        right = min(int((boxes[:, 2]).max() + reach[0]), width)
        bottom = min(int((boxes[:, 3]).max() + 0.5 * reach[1]), height)
        parts = (image[:, :left], image[:, right:], image[bottom:])
        pieces.extend(part for part in parts if min(part.shape[:2]) >= 36)
        if len(pieces) >= most:
            break
    return pieces


def clouds(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Smooth noise of several scales in a few colors."""
    half = (size[0] // 2 + 1, size[1] // 2 + 1)
    total = np.zeros((half[1], half[0]), np.float32)
    for level in range(1, 7):
        cells = rng.normal(0, 1, (2**level, 2**level)).astype(np.float32)
        total += cv2.resize(cells, half, interpolation=cv2.INTER_LINEAR) * rng.uniform(0, 1)
    total = (total - total.min()) / (np.ptp(total) + 1e-6)
    colors = rng.uniform(0, 255, (3, 3))
    image = colors[0] + total[..., None] * (colors[1] - colors[0])
    image += (np.abs(total - 0.5) * 2)[..., None] * (colors[2] - image) * rng.uniform(0, 0.7)
    return cv2.resize(np.clip(image, 0, 255).astype(np.uint8), size)


def drawing(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Stripes, blobs, rings with dots in them, boxes and letters on a slope of color."""
    slope = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    canvas = cv2.resize(slope, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    for _ in range(int(rng.integers(3, 40))):
        _draw_one(canvas, size, rng)
    return canvas


def skin(rng: np.random.Generator) -> tuple[int, int, int]:
    """Some color of skin or wood."""
    level = rng.uniform(50, 235)
    return int(level), int(level * rng.uniform(0.6, 0.85)), int(level * rng.uniform(0.4, 0.75))


def _draw_one(canvas: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator) -> None:
    color = skin(rng) if rng.random() < 0.35 else tuple(rng.integers(0, 256, 3).tolist())
    dark = tuple(rng.integers(0, 90, 3).tolist())
    middle = (int(rng.integers(0, size[0])), int(rng.integers(0, size[1])))
    reach = int(np.exp(rng.uniform(np.log(3), np.log(80))))
    axes = (max(int(reach * rng.uniform(0.5, 1)), 1), reach)
    thick = -1 if rng.random() < 0.7 else int(rng.integers(1, 6))
    turn = float(rng.uniform(0, 180))
    choice = rng.random()
    if choice < 0.45:
        cv2.ellipse(canvas, middle, axes, turn, 0, 360, color, thick, cv2.LINE_AA)
        for _ in range(int(rng.integers(0, 5))):
            spot = rng.uniform(-0.7, 0.7, 2) * axes
            place = (int(middle[0] + spot[0]), int(middle[1] + spot[1]))
            cv2.circle(canvas, place, max(reach // 9, 1), dark, -1, cv2.LINE_AA)
    elif choice < 0.65:
        corner = (middle[0] + axes[0], middle[1] + axes[1])
        cv2.rectangle(canvas, middle, corner, color, thick)
    elif choice < 0.8:
        letters = "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 8))))
        cv2.putText(
            canvas, letters, middle, int(rng.integers(0, 8)), reach / 25, color,
            max(reach // 15, 1), cv2.LINE_AA,
        )  # fmt: skip
    else:
        end = (int(rng.integers(0, size[0])), int(rng.integers(0, size[1])))
        cv2.line(canvas, middle, end, color, max(reach // 6, 1), cv2.LINE_AA)
