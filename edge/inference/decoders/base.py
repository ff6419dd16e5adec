"""Decoders turn output tensors into candidates.

Each is a pure function, named in ``edge.core.plugins.DECODERS``::

    decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates

``outputs`` are in the order of the card's ``tensors``, the batch axis removed: float32 arrays, or ``Quantized`` ones,
which convert to float32 the requested rows (``output[rows]``), or all (``np.asarray(output)``).
Candidates below ``min_score`` are omitted; overlapping ones are left to non-maximum suppression in the detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from edge.core.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.tensors import Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray

Rows: TypeAlias = "FloatArray | Sequence[Sequence[float]]"


class LandmarkSource(Protocol):
    """Source of a candidate's five landmarks."""

    def __getitem__(self, candidate: int, /) -> Rows: ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """Output of a decoder, before non-maximum suppression: arrays, or lists of numbers for a few candidates."""

    boxes: Rows
    """(N, 4) left, top, right, bottom: fractions of the model input"""
    scores: FloatArray | Sequence[float]
    """(N,) 0..1"""
    classes: NDArray[np.int_] | Sequence[int]
    """(N,) index into the card's labels"""
    landmarks: FloatArray | LandmarkSource | None = None
    """(N, 5, 2) x, y as in ``Detection.landmarks``: fractions of the model input"""


NOTHING = Candidates(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int_))


def plain(values: Any, chosen: Sequence[int] | None = None) -> list[Any]:
    """A field of candidates as Python numbers: of the ``chosen`` ones, or of all."""
    if isinstance(values, np.ndarray):
        numbers: list[Any] = (values if chosen is None else values[chosen]).tolist()
        return numbers
    return list(values) if chosen is None else [values[number] for number in chosen]


def expect(card: Decoder, outputs: Sequence[Output], names: Sequence[str], dimensions: Sequence[int]) -> None:
    """Raises ModelError unless there is one output per name, with the given number of dimensions."""
    got = [output.ndim for output in outputs]
    if got != list(dimensions):
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise ModelError(
            f"decoder {card.name}: expected tensors {', '.join(names)}, got {shapes}",
            "correct decoder.tensors in the card",
        )


def corners(boxes: FloatArray) -> FloatArray:
    """(N, 4) center x, center y, width, height to left, top, right, bottom."""
    half = boxes[:, 2:] * np.float32(0.5)
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
