from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.core.errors import InputError
from edge.recognition.store import vectors
from edge.recognition.store.vectors import VectorRows

Units = Callable[..., NDArray[np.float32]]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (np.zeros((1, 4)), "not_unit"),
        (np.full((1, 4), np.nan), "not_unit"),
        (np.full((1, 4), np.inf), "not_unit"),
        (np.full((1, 4), 0.6), "not_unit"),
        (np.array([1.0, 0.0, 0.0, 0.0]), "dimensions"),
        (np.eye(3), "dimensions"),
        (np.zeros((0, 3)), "dimensions"),
        (np.zeros((1, 2, 4)), "dimensions"),
    ],
)
def test_what_is_no_unit_vector_is_refused(value: NDArray[np.float64], code: str) -> None:
    with pytest.raises(InputError) as refused:
        vectors.checked(value, 4)
    assert refused.value.code == code
    assert refused.value.hint


def test_one_bad_row_among_good_ones_is_named(unit: Units) -> None:
    rows = unit(5)
    rows[3, 0] = np.nan
    with pytest.raises(InputError, match="row 3"):
        vectors.checked(rows)


def test_rows_that_were_read_never_move_while_the_matrix_grows(unit: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BLOCK_NUMBERS", 256 * 8)
    rows, data = VectorRows(8), unit(1500, dimensions=8)
    queries = unit(3, seed=1, dimensions=8)
    for start in range(0, 1500, 37):
        rows.append(data[start : start + 37])
        known = rows.count
        assert known == min(1500, start + 37)
        np.testing.assert_allclose(rows.similarities(queries, known), queries @ data[:known].T, atol=1e-6)
    np.testing.assert_allclose(rows.similarities(queries, 300), queries @ data[:300].T, atol=1e-6)
    np.testing.assert_array_equal(rows.take([0, 255, 256, 1499]), data[[0, 255, 256, 1499]])


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**31))
def test_the_best_are_the_best_in_order(count: int, limit: int, seed: int) -> None:
    similarities = np.random.default_rng(seed).standard_normal((2, count)).astype(np.float32)
    for row, found in zip(similarities.tolist(), vectors.best(similarities, limit), strict=True):
        assert [value for value, _ in found] == sorted(row, reverse=True)[:limit]
        assert [row[column] for _, column in found] == [value for value, _ in found]
