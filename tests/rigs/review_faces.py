"""Looks at made-up people."""

from __future__ import annotations

import numpy as np

from edge.core.types import Box, Space

SPACE = Space("cd" * 32, "litert", 1, 16)
BOX = Box(0.1, 0.1, 0.5, 0.5)
CROP = b"\xff\xd8 a picture of somebody \xff\xd9"


def look(person: int, number: int = 0, like: int | None = None, share: float = 0.5) -> np.ndarray:
    """(16,) a look at a person: cosine about .8 to others of the same, or in between two people."""
    vector = np.zeros(16, np.float32)
    vector[person] = 1.0
    if like is not None:
        vector[like] = share
    vector[8 + number % 8] += 0.45
    return vector / np.linalg.norm(vector)
