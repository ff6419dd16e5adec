"""Robust centroid: weighted mean of the embeddings of one person, with lower weights for outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge.core.types import FloatArray

WEIGHINGS = 3
"""iterations of reweighting; it converges after about two"""
LEAST_WEIGHT = np.float32(1e-3)


def robust_centroid(vectors: FloatArray) -> FloatArray:
    """(dimensions,) of length 1 for (k, dimensions) embeddings of one person, k >= 1."""
    center = _unit(vectors.sum(axis=0), vectors[0])
    for _ in range(WEIGHINGS):
        weights = np.maximum(LEAST_WEIGHT, vectors @ center)
        center = _unit(weights @ vectors, vectors[0])
    return center


def _unit(vector: FloatArray, instead: FloatArray) -> FloatArray:
    """Scaled to length 1; ``instead`` if the sum is zero."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 1e-3 else instead
