"""Outputs as the model stores them, made real only where they are wanted.

A detector's head has thousands of rows, and a handful pass the score. To compare stored numbers, and to make real only
those few, spares the passes over all of them right after an invoke, when no cache is warm: the first use of each array
operation costs some 20 us then, plain numbers a tenth of it.
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
    """A tensor of integers that stand for ``(stored - zero_point) * scale``; ``scale`` is above 0.

    Indexing it like an array gives real values, float32; so does ``np.asarray``.
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
        """One row of a tensor of two dimensions."""
        zero, scale = self.zero_point, self.scale
        return [(stored - zero) * scale for stored in self.stored[number].tolist()]

    def least(self, value: float) -> int:
        """The smallest stored number that stands for ``value`` or more; may lie outside what can be stored."""
        # a value that is a whole number of steps must not be lost to the last digit of a division
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
"""of a model: real values, or what gives them"""


def at_least(values: NDArray[Any], output: Output, least: float) -> list[int]:
    """Where ``values`` stand for ``least`` or more: numbers of ``output``, stored ones where it is quantized."""
    if isinstance(output, QuantizedTensor):
        least = output.least(least)
        if values.dtype.itemsize == 1:
            return _marked(values.tobytes().translate(_marks(int(least), values.dtype.kind == "i")))
    found: list[int] = (values >= least).nonzero()[0].tolist()
    return found


def row(output: Output, number: int) -> list[float]:
    """One row of an output of two dimensions, real values."""
    return output.row(number) if isinstance(output, QuantizedTensor) else list(output[number].tolist())


def numbers(output: Output) -> NDArray[Any]:
    """What is compared without converting: the stored numbers, or the values themselves."""
    return output.stored if isinstance(output, QuantizedTensor) else output


def _marked(marks: bytes) -> list[int]:
    """Where a byte is 1."""
    found = []
    place = marks.find(1)
    while place >= 0:
        found.append(place)
        place = marks.find(1, place + 1)
    return found


@lru_cache(maxsize=256)
def _marks(least: int, signed: bool) -> bytes:
    """For each byte 1 where the number that it stores is ``least`` or more, else 0."""
    return bytes((byte - 256 if signed and byte > 127 else byte) >= least for byte in range(256))


@lru_cache(maxsize=256)
def _table(scale: float, zero_point: int, signed: bool) -> FloatArray:
    """(256,) what each 8-bit number stands for; negative ones are found from the end, as Python counts."""
    stored = np.arange(256, dtype=np.int64)
    if signed:
        stored = np.where(stored < 128, stored, stored - 256)
    return np.multiply(stored, np.float32(scale), dtype=np.float32) - np.float32(zero_point * scale)
