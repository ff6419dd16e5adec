"""Alignment of a face by five points, for training."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.crops import CROP

TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float32,
)
"""(5, 2) where the landmarks lie in an aligned crop of 112 x 112, pixels."""
TEMPLATE.setflags(write=False)


def similarity(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (2, 3) rotation, scale and shift that takes (N, 2) `source` nearest to `target`."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a = (source - source_mean) @ np.array([1, 1j])
    b = (target - target_mean) @ np.array([1, 1j])
    turn = np.vdot(a, b) / np.vdot(a, a)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, target_mean - matrix @ source_mean]).astype(np.float32)


def align(image: NDArray[np.uint8], points: NDArray[np.float32], margin: int = 0) -> NDArray[np.uint8]:
    """Warp a face to (112 + 2 margin) squared pixels with its landmarks on the template."""
    matrix = similarity(points, TEMPLATE + margin)
    side = CROP + 2 * margin
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
