"""Unit vectors: the check at the door, and a matrix that grows without moving what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import InputError

if TYPE_CHECKING:
    from edge.types import FloatArray

TOLERANCE = 1e-3
"""how far the squared length of a unit vector may be from 1"""
BLOCK_NUMBERS = 1 << 20
"""float32 numbers of one block (4 MiB): up to the crossover to Annoy a search is one matrix product"""
GONE = -2.0
"""similarity of a row that was deleted: below every cosine"""


def checked(vectors: Any, dimensions: int | None = None) -> FloatArray:
    """(k, D) float32 unit vectors. Raises InputError for another shape, NaN, zero or any other length."""
    try:
        array: FloatArray = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            "embeddings: expected rows of equal length", "embed with one model", code="dimensions"
        ) from error
    if array.ndim != 2 or array.shape[1] < 1 or (dimensions is not None and array.shape[1] != dimensions):
        wanted = "D" if dimensions is None else str(dimensions)
        raise InputError(
            f"embeddings: expected shape (k, {wanted}), got {array.shape}",
            "embed with the model that the collection was enrolled with",
            code="dimensions",
        )
    # NaN compares false, so this refuses it as well
    good = np.abs(np.einsum("ij,ij->i", array, array) - 1.0) < TOLERANCE
    if not good.all():
        worst = int(np.argmin(good))
        length = float(np.linalg.norm(array[worst]))
        raise InputError(
            f"embeddings: expected finite vectors of length 1, got length {length:g} at row {worst}",
            "normalise embeddings before they are stored or searched",
            code="not_unit",
        )
    return array


class Rows:
    """A matrix in blocks: appending never copies what is there, whatever its size.

    One thread appends; others may read any count of rows that they were told of.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._size = max(256, BLOCK_NUMBERS // dimensions)
        self._blocks: list[FloatArray] = []
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def append(self, vectors: FloatArray) -> None:
        """Add (m, D) rows at the end."""
        start = 0
        while start < len(vectors):
            used = self._count % self._size
            if used == 0:
                # untouched pages of np.empty cost no memory
                self._blocks.append(np.empty((self._size, self._dimensions), np.float32))
            take = min(self._size - used, len(vectors) - start)
            self._blocks[-1][used : used + take] = vectors[start : start + take]
            self._count += take
            start += take

    def take(self, positions: Sequence[int]) -> FloatArray:
        """(m, D) copies of these rows."""
        rows = [self._blocks[position // self._size][position % self._size] for position in positions]
        return np.stack(rows)

    def similarities(self, queries: FloatArray, count: int) -> FloatArray:
        """(k, count) cosines of (k, D) queries with the first ``count`` rows."""
        blocks = [
            queries @ block[: count - i * self._size].T
            for i, block in enumerate(self._blocks[: -(-count // self._size)])
        ]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)


def best(similarities: FloatArray, limit: int) -> tuple[Sequence[Sequence[int]], Sequence[Sequence[float]]]:
    """Columns and values of the ``limit`` largest of each row, largest first."""
    count = similarities.shape[1]
    if limit < count:
        columns = np.argpartition(similarities, count - limit, axis=1)[:, count - limit :]
        values = np.take_along_axis(similarities, columns, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        columns, values = np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
    else:
        columns = np.argsort(-similarities, axis=1, kind="stable")
        values = np.take_along_axis(similarities, columns, axis=1)
    return columns.tolist(), values.tolist()
