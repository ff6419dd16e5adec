"""Scenes with rendered text for the text detector, and the center areas of their words.

Words as shrunk areas of a map: Liao et al., "Real-time Scene Text Detection with Differentiable Binarization",
AAAI 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.text_rendering import SIZE, Ink, Rng, TextSource, contrasting, drawn, seen_by_camera

STRIDE = 4
"""Pixels of a cell of the map."""
SHRINK = 0.25
"""Margin between a word and its center area, fraction of its height: adjacent words stay apart."""
SMALLEST = 7
"""Pixels of height below which a word is left out of the loss."""
CAPITAL = 0.72
"""Height of a capital letter, fraction of the font size."""
EMPTY_SHARE = 0.12
"""Scenes without text."""
USUAL_AREA = 256 * 320
"""Pixels of a scene with one to six blocks of text; larger ones have more."""


@dataclass(frozen=True)
class Word:
    """A word in a scene."""

    corners: NDArray[np.float32]
    """(4, 2) pixels, clockwise from the top left."""
    text: str

    @property
    def height(self) -> float:
        return float(np.linalg.norm(self.corners[3] - self.corners[0]))


@dataclass(frozen=True)
class _Placed:
    """A word of a block in the block's own coordinates, in pixels of the scene."""

    text: str
    ink: Ink
    left: float
    baseline: float
    scale: float

    @property
    def corners(self) -> NDArray[np.float64]:
        height, width = self.ink.cover.shape
        top, right = self.baseline - self.ink.rise * self.scale, self.left + width * self.scale
        bottom = top + height * self.scale
        return np.array([[self.left, top], [right, top], [right, bottom], [self.left, bottom]])


def scene(source: TextSource, size: tuple[int, int], rng: Rng) -> tuple[NDArray[np.uint8], list[Word]]:
    """A picture (height, width, 3) with blocks of text."""
    image = _background(source, size, rng)
    if rng.random() < 0.5:
        _clutter(image, rng)
    taken = np.zeros(size, np.uint8)
    words: list[Word] = []
    area = size[0] * size[1] / USUAL_AREA
    count = int(rng.integers(1, 7) * area**0.5) if rng.random() > EMPTY_SHARE else 0
    for _ in range(count):
        words += _add_block(source, image, taken, rng)
    return seen_by_camera(image, rng), words


def _background(source: TextSource, size: tuple[int, int], rng: Rng) -> NDArray[np.uint8]:
    height, width = size
    if rng.random() < 0.2:
        return np.clip(source.patch(height, width, rng), 0, 255).astype(np.uint8)
    picture = source.pictures[int(rng.integers(len(source.pictures)))]
    scale = max(height / picture.shape[0], width / picture.shape[1]) * rng.uniform(1.0, 1.8)
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    y, x = (int(rng.integers(0, max(have - want, 0) + 1)) for have, want in zip(large.shape, size, strict=False))
    part = large[y : y + height, x : x + width]
    return part.copy() if part.shape[:2] == size else cv2.resize(part, (width, height))


def _clutter(image: NDArray[np.uint8], rng: Rng) -> None:
    """Draw shapes that are no text: lines, stripes, grids, boxes, circles."""
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 6))):
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        reach, thick = int(rng.integers(8, 120)), int(rng.integers(1, 5))
        kind = int(rng.integers(0, 5))
        if kind == 0:
            end = int(x + rng.normal(0, reach)), int(y + rng.normal(0, reach))
            cv2.line(image, (x, y), end, color, thick, cv2.LINE_AA)
        elif kind == 1:
            cv2.circle(image, (x, y), reach // 3, color, thick if rng.random() < 0.7 else -1, cv2.LINE_AA)
        elif kind == 2:
            cv2.rectangle(image, (x, y), (x + reach, y + int(rng.integers(5, 90))), color, thick)
        else:
            step, tall = int(rng.integers(4, 16)), int(rng.integers(6, 60))
            for left in range(x, x + reach, step):
                cv2.line(image, (left, y), (left, y + tall), color, max(1, thick // 2))
            for top in range(y, y + tall, step) if kind == 4 else ():
                cv2.line(image, (x, top), (x + reach, top), color, max(1, thick // 2))


def _add_block(source: TextSource, image: NDArray[np.uint8], taken: NDArray[np.uint8], rng: Rng) -> list[Word]:
    """Draw lines of words of one font, sometimes on a label of one color; none where there is no room."""
    height, width = image.shape[:2]
    words = _block(source, rng)
    if not words:
        return []
    outline = np.concatenate([word.corners for word in words])
    low, high = outline.min(axis=0), outline.max(axis=0)
    margin = (high[1] - low[1]) * rng.uniform(0.08, 0.4) if rng.random() < 0.7 else 3.0
    low, high = low - margin, high + margin
    angle = rng.normal(0, 0.07) if rng.random() < 0.9 else rng.uniform(-0.4, 0.4)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.array([[1, rng.normal(0, 0.08)], [0, 1]])
    start = np.array([rng.uniform(-0.15 * width, 0.75 * width), rng.uniform(0.02, 0.95) * height])
    frame = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]]) @ turn.T + start
    covered = np.zeros((height, width), np.uint8)
    cv2.fillPoly(covered, [np.round(frame).astype(np.int32)], 1)
    if not covered.any() or (covered & taken).any():
        return []
    taken |= covered
    left, top, wide, tall = cv2.boundingRect(covered)
    part = np.s_[top : top + tall, left : left + wide]
    ground, here = image[part].astype(np.float32), covered[part]
    if rng.random() < 0.45:
        ground = np.where(here[..., None] > 0, source.patch(tall, wide, rng), ground)
    color = contrasting(float(np.clip(ground[here > 0].mean(), 0, 255)), rng)
    cover = np.zeros((tall, wide), np.uint8)
    offset = np.array([left, top], np.float32)
    found = []
    for word in words:
        corners = (word.corners @ turn.T + start).astype(np.float32)
        cover = np.maximum(cover, _warped(word, corners - offset, (wide, tall)))
        found.append(Word(corners, word.text))
    ground += (color - ground) * (cover[..., None] * np.float32(1 / 255))
    image[part] = np.clip(ground, 0, 255).astype(np.uint8)
    return found


def _block(source: TextSource, rng: Rng) -> list[_Placed]:
    """One to four lines of one to five words, the first baseline at 0."""
    font = source.font(rng)
    tall = float(np.exp(rng.uniform(np.log(9), np.log(80))))
    scale = tall / (CAPITAL * SIZE)
    gap, pitch = rng.uniform(0.3, 0.7) * tall, rng.uniform(1.35, 2.1) * tall
    lines = int(rng.integers(2, 5)) if rng.random() < 0.35 else 1
    words = []
    for line in range(lines):
        left = 0.0
        for _ in range(int(rng.integers(1, 6))):
            text = source.text(rng)
            ink = drawn(text, font, rng)
            if ink is not None:
                words.append(_Placed(text, ink, left, line * pitch, scale))
                left += ink.cover.shape[1] * scale + gap
    return words


def _warped(word: _Placed, corners: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Coverage of a word in a part of the scene of (width, height)."""
    cover = word.ink.cover
    height, width = cover.shape
    corner = np.array([[0, 0], [width, 0], [width, height]], np.float32)
    if word.scale < 0.8:
        cover = cv2.GaussianBlur(cover, (0, 0), max(0.45 / word.scale - 0.3, 0.01))
    return cv2.warpAffine(cover, cv2.getAffineTransform(corner, corners[:3]), size, flags=cv2.INTER_LINEAR)


def centers(words: Sequence[Word], size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Share of each cell in a center area, and the cells that count in the loss: (h / 4, w / 4)."""
    height, width = size
    fine = 2
    target = np.zeros((height * fine // STRIDE, width * fine // STRIDE), np.uint8)
    counts = np.ones((height // STRIDE, width // STRIDE), np.uint8)
    for word in words:
        if word.height < SMALLEST:
            cv2.fillPoly(counts, [np.round(word.corners / STRIDE).astype(np.int32)], 0)
            continue
        cv2.fillPoly(target, [np.round(shrunk(word.corners) * fine / STRIDE * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    small = cv2.resize(target.astype(np.float32), counts.shape[::-1], interpolation=cv2.INTER_AREA)
    return small, counts.astype(np.float32)


def shrunk(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """The center area of a word's (4, 2) corners."""
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    wide, high = max(float(np.linalg.norm(across)), 1e-3), float(np.linalg.norm(down))
    inset = min(SHRINK * high / wide, 0.3) * across
    lower = SHRINK * down
    return corners + np.stack([inset + lower, lower - inset, -inset - lower, inset - lower])
