"""Non-maximum suppression: of boxes that show the same thing, the best one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.types import FloatArray

MOST = 300
"""candidates that are compared, best first; a hostile picture must not cost more"""


def keep(boxes: FloatArray, scores: FloatArray, classes: NDArray[np.int_], iou: float) -> list[int]:
    """Indices of the boxes that stay, best first. Boxes of different classes do not compete.

    boxes (N, 4) left, top, right, bottom; iou: of two that overlap more, the better one stays.
    """
    order = np.argsort(-scores, kind="stable")[:MOST]
    if len(order) < 2:
        return [int(i) for i in order]
    overlap = _overlap(boxes[order]) > iou
    overlap &= classes[order][:, np.newaxis] == classes[order]
    kept: list[int] = []
    gone = np.zeros(len(order), bool)
    for i in range(len(order)):
        if not gone[i]:
            kept.append(int(order[i]))
            gone |= overlap[i]
    return kept


def _overlap(boxes: FloatArray) -> FloatArray:
    """(N, N) intersection over union."""
    low, high = boxes[:, :2], boxes[:, 2:]
    sides = np.minimum(high[:, np.newaxis], high) - np.maximum(low[:, np.newaxis], low)
    common = np.prod(np.maximum(sides, 0), axis=2)
    area = np.prod(np.maximum(high - low, 0), axis=1)
    union = area[:, np.newaxis] + area - common
    result: FloatArray = common / np.maximum(union, np.float32(1e-12))
    return result
