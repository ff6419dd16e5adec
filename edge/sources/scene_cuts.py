"""Scene cuts in stored videos: tracks end where another shot begins.

Two consecutive pictures of one shot have the same brightness in the same places, even while the camera pans. Where
they have nothing in common, and much has changed, there is a cut. Dissolves are not found. A camera makes no cuts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray

WIDTH, HEIGHT = 64, 36
LIKE = 0.4
"""correlation of brightness below which two pictures have nothing in common; .6 and more within shots, .25 at cuts"""
CHANGED = 8.0
"""mean difference of brightness, of 0..255, that a cut makes at least"""
CONSECUTIVE = 0.12
"""seconds between pictures that can be compared: in a longer time a shot may change as a whole"""


class SceneCuts:
    """Looks at every picture of a video, in order."""

    def __init__(self) -> None:
        self._before: FloatArray | None = None
        self._at = 0.0

    def begins(self, luma: ByteArray, at: float) -> bool:
        """Whether another shot begins with this picture: its brightness (height, width), ``at`` seconds."""
        step = max(1, luma.shape[0] // (4 * HEIGHT))
        small = cv2.resize(np.ascontiguousarray(luma[::step, ::step]), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        now: FloatArray = small.astype(np.float32) - np.float32(small.mean())
        before, seconds = self._before, at - self._at
        self._before, self._at = now, at
        if before is None or not 0 <= seconds <= CONSECUTIVE:
            return False
        if float(np.abs(now - before).mean()) < CHANGED:
            return False
        energy = float(np.sqrt((now * now).sum() * (before * before).sum()))
        return float((now * before).sum()) < LIKE * energy
