"""Decoders turn output tensors into candidates.

Each is a pure function, named in ``edge.registry.DECODERS``::

    decode(outputs: Sequence[FloatArray], card: Decoder, min_score: float) -> Candidates

``outputs`` are dequantized float32 tensors in the order of the card's ``tensors``, the batch axis removed.
Candidates below ``min_score`` are left out; overlapping ones stay, the detector thins them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge.types import FloatArray


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a decoder found, before overlapping boxes are thinned out."""

    boxes: FloatArray
    """(N, 4) left, top, right, bottom: fractions of the model input"""
    scores: FloatArray
    """(N,) 0..1"""
    classes: NDArray[np.int_]
    """(N,) index into the card's labels"""
    landmarks: FloatArray | None = None
    """(N, 5, 2) x, y as in ``Detection.landmarks``: fractions of the model input"""
