"""Faces from grids of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders.anchor_free_faces import cells, decode
from edge.inference.decoders.base import plain
from edge.inference.tensors import QuantizedTensor, at_least

CELLS = 40 * 30 + 20 * 15 + 10 * 8


def card(strides: object = (8, 16, 32)) -> Decoder:
    options = {"strides": strides}
    return Decoder("anchor_free_faces", ("a", "b", "c"), ("face",), options=options, width=320, height=240)  # type: ignore[arg-type]


def outputs() -> list[np.ndarray]:
    return [np.zeros((CELLS, width), np.float32) for width in (1, 4, 10)]


def test_a_cell_of_each_grid_answers_with_its_place() -> None:
    scores, distances, landmarks = outputs()
    for cell, score in ((1, 0.9), (1200 + 21, 0.8), (1500 + 79, 0.7)):
        scores[cell], distances[cell], landmarks[cell] = score, 1.0, [0.5, -0.5] * 5
    found = decode([scores, distances, landmarks], card(), 0.5)
    pixels = np.array(found.boxes) * np.array([320, 240, 320, 240])
    assert pixels == pytest.approx(np.array([[4, -4, 20, 12], [8, 8, 40, 40], [272, 208, 336, 272]]), abs=1e-3)
    assert found.scores == pytest.approx([0.9, 0.8, 0.7])
    assert found.landmarks is not None
    assert np.array(found.landmarks[0][0]) * (320, 240) == pytest.approx([12 + 4, 4 - 4], abs=1e-3)
    assert found.classes == [0, 0, 0]


def test_cells_below_the_score_stay_out() -> None:
    scores, distances, landmarks = outputs()
    scores[7] = 0.49
    assert len(decode([scores, distances, landmarks], card(), 0.5).scores) == 0


@pytest.mark.parametrize("strides", [(8, 16), (), (8, 0), "8"])
def test_strides_that_do_not_fit_are_refused(strides: object) -> None:
    with pytest.raises(ModelError, match="strides"):
        decode(outputs(), card(strides), 0.5)


@given(st.floats(0.0, 1.0), st.integers(0, 1000))
def test_each_cell_is_read_as_arrays_would_read_it(least: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    stored = [random.integers(-128, 128, (CELLS, width), np.int8) for width in (1, 4, 10)]
    scores, distances, landmarks = (
        QuantizedTensor(one, scale, zero)
        for one, scale, zero in zip(stored, (1 / 256, 0.03, 0.02), (-128, -120, 3), strict=True)
    )
    found = decode([scores, distances, landmarks], card(), least)

    rows = np.array(at_least(scores.stored[:, 0], scores, least), np.int_)
    middle_x, middle_y, across, down = (
        np.array(side)[rows] for side in zip(*cells((8, 16, 32), 320, 240), strict=True)
    )
    left, top, right, bottom = np.asarray(distances)[rows].T
    boxes = [middle_x - left * across, middle_y - top * down, middle_x + right * across, middle_y + bottom * down]
    points = np.asarray(landmarks)[rows].reshape(-1, 5, 2) * np.stack([across, down], 1)[:, np.newaxis]
    points += np.stack([middle_x, middle_y], 1)[:, np.newaxis]
    np.testing.assert_allclose(np.array(found.scores), np.asarray(scores)[rows, 0], rtol=1e-6)
    if len(rows):
        np.testing.assert_allclose(np.array(found.boxes), np.stack(boxes, 1), atol=1e-5)
        np.testing.assert_allclose(np.array(plain(found.landmarks, range(len(rows)))), points, atol=1e-5)
