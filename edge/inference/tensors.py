"""Quantized output tensors, dequantized on access.

A detector's head has thousands of rows, of which a few pass the threshold. Comparing stored numbers and dequantizing
only those few avoids passes over all rows right after inference with cold caches: the first call of each array
operation then takes about 20 us, Python numbers a tenth of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedTensor:
    """A tensor of integers with real values ``(stored - zero_point) * scale``; ``scale`` > 0.

    Indexing and ``np.asarray`` return real values, float32.
    """

    stored: NDArray[Any]
    scale: float
    zero_point: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def ndim(self) -> int:
        return self.stored.ndim

    @property
    def T(self) -> QuantizedTensor:  # noqa: N802
        return QuantizedTensor(self.stored.T, self.scale, self.zero_point)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: Any) -> FloatArray:
        return self._real(self.stored[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        real = self._real(self.stored)
        return real if dtype is None else real.astype(dtype)

    def row(self, number: int) -> list[float]:
        """One row of a two-dimensional tensor."""
        zero, scale = self.zero_point, self.scale
        return [(stored - zero) * scale for stored in self.stored[number].tolist()]

    def least(self, value: float) -> int:
        """The smallest stored number with a real value of at least ``value``; may be outside the range of the dtype."""
        # a value that is a multiple of the scale must not be lost to rounding of the division
        return math.ceil(value / self.scale - 1e-4) + self.zero_point

    def _real(self, stored: NDArray[Any]) -> FloatArray:
        real: FloatArray
        if stored.dtype.itemsize == 1:
            real = _table(self.scale, self.zero_point, stored.dtype.kind == "i")[stored]
        else:
            real = np.multiply(stored, np.float32(self.scale), dtype=np.float32)
            real -= np.float32(self.zero_point * self.scale)
        return real


Output: TypeAlias = "FloatArray | QuantizedTensor"
"""output of a model: float32 values, or a quantized tensor"""


def at_least(values: NDArray[Any], output: Output, least: float) -> list[int]:
    """Indices where ``values`` (as from ``numbers(output)``) have a real value of at least ``least``."""
    if isinstance(output, QuantizedTensor):
        least = output.least(least)
        if values.dtype.itemsize == 1:
            return _marked(values.tobytes().translate(_marks(int(least), values.dtype.kind == "i")))
    found: list[int] = (values >= least).nonzero()[0].tolist()
    return found


def row(output: Output, number: int) -> list[float]:
    """One row of a two-dimensional output, real values."""
    return output.row(number) if isinstance(output, QuantizedTensor) else list(output[number].tolist())


def numbers(output: Output) -> NDArray[Any]:
    """The numbers of an output without conversion: stored ones if it is quantized."""
    return output.stored if isinstance(output, QuantizedTensor) else output


def _marked(marks: bytes) -> list[int]:
    """Indices of the bytes that are 1."""
    found = []
    place = marks.find(1)
    while place >= 0:
        found.append(place)
        place = marks.find(1, place + 1)
    return found


@lru_cache(maxsize=256)
def _marks(least: int, signed: bool) -> bytes:
    """Translation table of 256 bytes: 1 for stored numbers of at least ``least``, else 0."""
    return bytes((byte - 256 if signed and byte > 127 else byte) >= least for byte in range(256))


@lru_cache(maxsize=256)
def _table(scale: float, zero_point: int, signed: bool) -> FloatArray:
    """(256,) real value of each 8-bit number; negative ones are indexed from the end."""
    stored = np.arange(256, dtype=np.int64)
    if signed:
        stored = np.where(stored < 128, stored, stored - 256)
    return np.multiply(stored, np.float32(scale), dtype=np.float32) - np.float32(zero_point * scale)
