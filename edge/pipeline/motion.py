"""Motion detection: a running background of the picture's brightness, about 100 pixels high.

It uses brightness alone and prefers a false alarm to a miss. Periodic detection in still scenes is up to the frame
gate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from edge.core.imaging import image as pictures
from edge.core.types import WHOLE, Box, Frame
from edge.pipeline.masks import Masks
from edge.pipeline.tracking.stillness import SIDE

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray


@dataclass(frozen=True, slots=True)
class MotionResult:
    """Regions with motion."""

    moving: bool
    regions: tuple[Box, ...]
    """fractions of the frame, largest first; the whole frame where the background is not known (any more)"""


_NOTHING = MotionResult(False, ())


class MotionDetector:
    """The background of one camera. Brightness is in steps of 0..255, areas in shares of the picture."""

    def __init__(
        self,
        *,
        threshold: float = 9.0,
        smallest: float = 0.0006,
        settle_seconds: float = 8.0,
        absorb_seconds: float = 20.0,
        sudden: float = 0.5,
        height: int = 100,
        masks: Masks | None = None,
    ) -> None:
        """How it looks.

        ``threshold``: least difference that counts; it rises where a pixel is noisy. ``smallest``: least area.
        ``settle_seconds``: the background follows slow light this fast; ``absorb_seconds``: and what moved and now
        stays. ``sudden``: more than this share changed at once is not a thing that moves, but a new background.
        ``masks``: where nothing is looked for.
        """
        self._threshold, self._smallest, self._sudden, self._height = threshold, smallest, sudden, height
        self._settle, self._absorb = settle_seconds, absorb_seconds
        self._masks = masks
        self._background: FloatArray | None = None
        self._unrest: FloatArray | None = None
        self._time = 0.0

    def look(self, frame: Frame) -> MotionResult:
        """Compare a frame with the background, and learn from it. Frames come in the order of time."""
        plane = self.plane(frame)
        if self._masks is not None:
            plane[self._masks.pixels(*plane.shape)] = 0
        since, self._time = frame.monotonic - self._time, frame.monotonic
        if self._background is None or self._unrest is None or self._background.shape != plane.shape:
            return self._start_over(plane)
        self._background *= _gain(plane, self._background)
        difference = cast("FloatArray", cv2.absdiff(plane, self._background))
        smooth = cast("FloatArray", cv2.blur(difference, (3, 3)))
        noise = min(self._threshold, 2.0 * float(np.median(smooth[::4, ::4])))  # known at once, unlike the unrest
        changed = smooth > max(self._threshold, self._threshold / 2 + noise) + 3.0 * self._unrest
        if changed.mean() > self._sudden:
            return self._start_over(plane)
        self._learn(plane, smooth, changed, max(0.0, since))
        regions = self._regions(changed.astype(np.uint8))
        return MotionResult(True, regions) if regions else _NOTHING

    def plane(self, frame: Frame) -> FloatArray:
        """(height, width) brightness of a frame, about ``height`` rows."""
        picture = frame.small or frame.main
        factor = max(1, round(picture.height / self._height))  # whole factors shrink twenty times faster
        plane = pictures.luma(picture, max(1, picture.width // factor), max(1, picture.height // factor))
        return plane.astype(np.float32)

    def _start_over(self, plane: FloatArray) -> MotionResult:
        self._background, self._unrest = plane.copy(), np.zeros_like(plane)
        return MotionResult(True, (WHOLE,))

    def _learn(self, plane: FloatArray, difference: FloatArray, changed: np.ndarray, since: float) -> None:  # type: ignore[type-arg]
        """Where nothing moved, follow brightness and noise; where something did, absorb it slowly."""
        assert self._background is not None and self._unrest is not None  # noqa: S101, PT018
        share = np.where(changed, _share(since, self._absorb), _share(since, self._settle)).astype(np.float32)
        self._background += share * (plane - self._background)
        self._unrest += share * (np.minimum(difference, 4 * self._threshold) - self._unrest)

    def _regions(self, changed: ByteArray) -> tuple[Box, ...]:
        height, width = changed.shape
        joined = cv2.dilate(changed, np.ones((5, 5), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        pixels = np.bincount(labels[changed > 0], minlength=count)
        least = max(2.0, self._smallest * changed.size)
        kept = [index for index in range(1, count) if pixels[index] >= least]
        kept.sort(key=lambda index: -int(pixels[index]))
        return tuple(_box(stats[index], width, height) for index in kept)


FLAT = 2.0
"""standard deviation of brightness, of 0..255, below which a place shows no structure"""
LEAST_SIDE = 4
"""samples; a smaller place says nothing"""


def place_view(plane: FloatArray, box: Box) -> FloatArray | None:
    """The brightness of a place, (SIDE, SIDE), of mean 0 and length 1, so that light as a whole does not count.

    ``plane``: (height, width) brightness of the frame. None for a place that is too small or shows no structure.
    """
    height, width = plane.shape
    inside = box.clipped()
    left, right = round(inside.left * width), round(inside.right * width)
    top, bottom = round(inside.top * height), round(inside.bottom * height)
    if right - left < LEAST_SIDE or bottom - top < LEAST_SIDE:
        return None
    patch = cv2.resize(plane[top:bottom, left:right], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    patch = patch - np.float32(patch.mean())
    length = float(np.linalg.norm(patch))
    return None if length < FLAT * SIDE else cast("FloatArray", patch / np.float32(length))


def _gain(plane: FloatArray, background: FloatArray) -> float:
    """Global change of brightness: the median over a grid, so that a large moving object does not count."""
    now, before = plane[::4, ::4], background[::4, ::4]
    lit = (before > 8) & (now > 2) & (now < 250)
    if np.count_nonzero(lit) < 16:
        return 1.0
    return float(np.median(now[lit] / before[lit]))


def _share(seconds: float, time_constant: float) -> float:
    return 1 - math.exp(-seconds / time_constant)


def _box(stats: np.ndarray, width: int, height: int) -> Box:  # type: ignore[type-arg]
    left, top, across, down = (int(value) for value in stats[:4])
    return Box(left / width, top / height, (left + across) / width, (top + down) / height)
