"""Unit vectors: validation, and a matrix that grows without copying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.core.errors import InputError

if TYPE_CHECKING:
    from edge.core.types import FloatArray

LEAST, MOST = 0.999, 1.001
"""tolerance of the squared length of a unit vector"""
BLOCK_NUMBERS = 3 << 19
"""float32 numbers of one block (6 MiB): up to the crossover to Annoy a search is one matrix product"""
FEW = 8
"""rows that are checked one by one: ``einsum`` costs more than so many products"""
GONE = -2.0
"""similarity of a deleted row: below every cosine"""


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
    # Python floats: for the few rows of a frame cheaper than one more call into numpy. NaN compares false
    few = len(array) <= FEW
    squares = [float(row.dot(row)) for row in array] if few else np.einsum("ij,ij->i", array, array).tolist()
    if not all(LEAST < square < MOST for square in squares):
        worst = next(row for row, square in enumerate(squares) if not LEAST < square < MOST)
        raise InputError(
            f"embeddings: expected finite vectors of length 1, got length {squares[worst] ** 0.5:g} at row {worst}",
            "normalize embeddings before they are stored or searched",
            code="not_unit",
        )
    return array


class VectorRows:
    """A matrix in blocks: appending never copies existing rows.

    One thread appends; others may concurrently read up to a count that they know.
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
        """Append (m, D) rows."""
        start = 0
        while start < len(vectors):
            used = self._count % self._size
            if used == 0:
                # untouched pages of np.empty use no memory
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


def best(similarities: FloatArray, limit: int) -> list[list[tuple[float, int]]]:
    """(value, column) of the ``limit`` largest values of each row, largest first."""
    count = similarities.shape[1]
    found = []
    for row in similarities:
        # row by row: a frame has few, and numpy's functions along an axis cost more than they save
        columns = row.argpartition(count - limit)[count - limit :] if limit < count else np.arange(count)
        found.append(sorted(zip(row[columns].tolist(), columns.tolist(), strict=True), reverse=True))
    return found
