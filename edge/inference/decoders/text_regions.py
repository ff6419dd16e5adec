"""Words by a map of their center areas: a connected area is a word, grown to the word's full size.

tensors: scores (N, 1), the probability that a cell lies in the center area of a word, row by row. The card's
``decoder.options.stride`` is the side of a cell, pixels of the model input; ``decoder.options.shrink`` is the margin
between a word and its center area, fraction of the word's height. ``landmarks`` of a word are its four corners,
clockwise from its top left (after Liao et al., "Real-time Scene Text Detection with Differentiable Binarization",
AAAI 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.core.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders.base import NOTHING, Candidates, expect
from edge.inference.tensors import Output

if TYPE_CHECKING:
    from edge.core.types import FloatArray

FINER = 2
"""factor by which the map is enlarged before its outlines are traced"""
EDGE = 0.7
"""probability at the outline of a center area"""
LEAST = 1.2
"""minimum length of a center area, cells"""
MOST = 400
"""maximum words of a picture, those with the highest scores"""


def decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates:
    """Words whose center area has a mean probability of at least ``min_score``. Raises ModelError."""
    expect(card, outputs, ("scores (N, 1)",), (2,))
    stride, shrink = card.options.get("stride"), card.options.get("shrink", 0.25)
    if not isinstance(stride, int) or stride < 1 or not isinstance(shrink, float) or not 0 <= shrink < 0.5:
        raise ModelError(
            f"decoder text_regions: expected options.stride in pixels and options.shrink in 0..0.5, "
            f"got {stride!r} and {shrink!r}",
            "correct decoder.options in the card",
        )
    columns, rows = card.width // stride, card.height // stride
    if len(outputs[0]) != columns * rows:
        raise ModelError(
            f"decoder text_regions: the card's stride makes {columns * rows} cells, the file has {len(outputs[0])}",
            "correct decoder.options.stride in the card",
        )
    scores = np.asarray(outputs[0], np.float32).reshape(rows, columns)
    enlarged = cv2.resize(scores, (columns * FINER, rows * FINER), interpolation=cv2.INTER_LINEAR)
    fine: FloatArray = np.asarray(enlarged, np.float32)
    found = [word for word in _words(fine, shrink) if word[0] >= min_score]
    if not found:
        return NOTHING
    found.sort(key=lambda word: -word[0])
    corners: FloatArray = np.stack([word for _, word in found[:MOST]]) / np.array(fine.shape[::-1], np.float32)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    sure = np.array([score for score, _ in found[:MOST]], np.float32)
    return Candidates(boxes, sure, np.zeros(len(sure), np.int_), corners)


def _words(fine: FloatArray, shrink: float) -> list[tuple[float, FloatArray]]:
    """Score and corners (4, 2) of each word, pixels of the enlarged map."""
    inside = (fine >= EDGE).astype(np.uint8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    words = []
    for outline in outlines:
        (x, y), (across, down), angle = cv2.minAreaRect(outline)
        if max(across, down) + 1 < LEAST * FINER:
            continue
        left, top, wide, high = cv2.boundingRect(outline)
        part = np.s_[top : top + high, left : left + wide]
        score = cv2.mean(fine[part], inside[part])[0]
        words.append((score, _grown((x + 0.5, y + 0.5), (across + 0.5, down + 0.5), angle, shrink)))
    return words


def _grown(center: tuple[float, float], size: tuple[float, float], angle: float, shrink: float) -> FloatArray:
    """(4, 2) corners of the word with this center area; its reading direction is the side nearest to the x axis."""
    across, down = size
    while angle > 45:
        across, down, angle = down, across, angle - 90
    while angle < -45:
        across, down, angle = down, across, angle + 90
    height = down / (1 - 2 * shrink)
    half_width, half_height = (across + 2 * shrink * height) / 2, height / 2
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    right, below = np.array([cos, sin], np.float32), np.array([-sin, cos], np.float32)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners: FloatArray = np.array(
        [np.array(center) + x * half_width * right + y * half_height * below for x, y in signs], np.float32
    )
    return corners
