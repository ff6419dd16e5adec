"""Non-maximum suppression: of boxes that show the same thing, the best one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.types import FloatArray

MOST = 300
"""candidates that are compared, best first; a hostile picture must not cost more"""


def keep(boxes: FloatArray, scores: FloatArray, classes: NDArray[np.int_], iou: float) -> list[int]:
    """Indices of the boxes that stay, best first. Boxes of different classes do not compete.

    Boxes that are not finite never stay.

    boxes (N, 4) left, top, right, bottom; iou: of two that overlap more, the better one stays.
    """
    if len(scores) == 1 and all(map(math.isfinite, boxes[0].tolist())):
        return [0]
    if not math.isfinite(float(boxes.sum())):
        finite = np.flatnonzero(np.isfinite(boxes).all(axis=1))
        return [int(finite[i]) for i in keep(boxes[finite], scores[finite], classes[finite], iou)]
    if len(scores) < 2:
        return list(range(len(scores)))
    rectangles = boxes.copy()
    rectangles[:, 2:] -= rectangles[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(rectangles, scores, classes.astype(np.int32), -1.0, iou, top_k=MOST)  # type: ignore[arg-type]
    return [int(i) for i in kept]
