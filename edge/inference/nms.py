"""Non-maximum suppression: of overlapping boxes of one class, the best one is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.inference.decoders.base import Rows, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray

FEW = 24
"""number of candidates up to which plain Python is faster than an OpenCV call with cold caches"""
MOST = 300
"""maximum number of candidates, best first; bounds the time for adversarial pictures"""


def keep(
    boxes: Rows, scores: FloatArray | Sequence[float], classes: NDArray[np.int_] | Sequence[int], iou: float
) -> list[int]:
    """Indices of the boxes that are kept, best first. Boxes of different classes do not suppress each other.

    Boxes that are not finite are dropped.

    boxes (N, 4) left, top, right, bottom; iou: of two that overlap more, the better one is kept.
    """
    if len(scores) <= FEW:
        return _of_few(plain(boxes), plain(scores), plain(classes), iou)
    rectangles, best, kinds = np.array(boxes, np.float32), np.asarray(scores, np.float32), np.asarray(classes, np.int32)
    finite = np.flatnonzero(np.isfinite(rectangles).all(axis=1))
    rectangles = rectangles[finite]
    rectangles[:, 2:] -= rectangles[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(rectangles, best[finite], kinds[finite], -1.0, iou, top_k=MOST)  # type: ignore[arg-type]
    return [int(finite[i]) for i in kept]


def _of_few(boxes: list[list[float]], scores: list[float], classes: list[int], iou: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=scores.__getitem__, reverse=True):
        box = boxes[i]
        if not math.isfinite(sum(box)):
            continue
        for j in kept:
            if classes[j] == classes[i] and _overlap(box, boxes[j]) > iou:
                break
        else:
            kept.append(i)
    return kept


def _overlap(box: list[float], other: list[float]) -> float:
    """Intersection over union."""
    left, top, right, bottom = box
    other_left, other_top, other_right, other_bottom = other
    width = min(right, other_right) - max(left, other_left)
    height = min(bottom, other_bottom) - max(top, other_top)
    if width <= 0 or height <= 0:
        return 0.0
    both = (right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top)
    return width * height / (both - width * height)
