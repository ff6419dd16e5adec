"""Training and test rows of a head, stored with it for incremental training without the pictures.

The test rows are the same for each refit, so that versions are comparable.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import StoreError

if TYPE_CHECKING:
    from edge.core.types import FloatArray

MOST_NUMBERS = 32_000_000
"""maximum numbers in stored rows, two bytes each; larger versions must be trained again from their pictures"""


@dataclass(frozen=True, slots=True, eq=False)
class StoredRows:
    """Rows of the labels of a version, in their order."""

    vectors: FloatArray
    """(n, dimensions)"""
    truth: NDArray[np.bool_]
    """(n, labels)"""
    groups: NDArray[np.int64]
    """(n,) source picture of each row"""
    test_vectors: FloatArray
    """(m, dimensions)"""
    test_truth: NDArray[np.bool_]
    """(m + boxes without a region, labels)"""

    @property
    def small(self) -> bool:
        """Whether the rows are small enough to be stored."""
        return self.vectors.size + self.test_vectors.size <= MOST_NUMBERS

    def packed(self) -> bytes:
        arrays: dict[str, Any] = {
            "vectors": self.vectors.astype(np.float16), "groups": self.groups,
            "test_vectors": self.test_vectors.astype(np.float16),
        }  # fmt: skip
        for name, truth in (("truth", self.truth), ("test_truth", self.test_truth)):
            arrays[f"{name}_shape"] = np.array(truth.shape)
            arrays[f"{name}_there"] = np.flatnonzero(truth)
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()


def unpacked(data: bytes, where: str) -> StoredRows:
    """Inverse of ``packed``. Raises StoreError for invalid bytes."""
    try:
        arrays = np.load(io.BytesIO(data), allow_pickle=False)
        truths = []
        for name in ("truth", "test_truth"):
            truth = np.zeros(tuple(arrays[f"{name}_shape"]), bool)
            truth.reshape(-1)[arrays[f"{name}_there"]] = True
            truths.append(truth)
        return StoredRows(
            _floats(arrays["vectors"]), truths[0], arrays["groups"], _floats(arrays["test_vectors"]), truths[1]
        )  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError, TypeError, MemoryError, zipfile.BadZipFile) as error:
        raise StoreError(f"{where}: cannot be used: {str(error)[:200]}", "train it again from pictures") from error


def _floats(vectors: NDArray[Any]) -> FloatArray:
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError("expected rows of finite numbers")
    return vectors.astype(np.float32)
