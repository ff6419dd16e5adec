"""Masks: polygons in fractions of the frame in which motion and detections are ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from edge.core.types import Box, Detection
from edge.pipeline.zones import Polygon, holds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import ByteArray


class Masks:
    """The masks of one camera."""

    def __init__(self, polygons: Mapping[str, Polygon]) -> None:
        self._polygons = tuple(polygons.values())
        self._pixels: NDArray[np.bool_] | None = None

    def hide(self, box: Box) -> bool:
        """Whether the center of a box lies in a mask, edges included."""
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        return any(holds(polygon, x, y) for polygon in self._polygons)

    def visible(self, detections: Sequence[Detection]) -> list[Detection]:
        """Those that no mask hides."""
        return [one for one in detections if not self.hide(one.box)]

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """(height, width), True where a mask lies."""
        if self._pixels is None or self._pixels.shape != (height, width):
            canvas = np.zeros((height, width), np.uint8)
            for polygon in self._polygons:
                corners = np.round(np.array(polygon, np.float64) * (width - 1, height - 1)).astype(np.int32)
                cv2.fillPoly(canvas, cast("list[ByteArray]", [corners]), (1,))
            self._pixels = canvas.astype(np.bool_)
        return self._pixels
