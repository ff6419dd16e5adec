"""Faces from grids of cells."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders.anchor_free_faces import cells, decode

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
    pixels = found.boxes * np.array([320, 240, 320, 240])
    assert pixels == pytest.approx(np.array([[4, -4, 20, 12], [8, 8, 40, 40], [272, 208, 336, 272]]), abs=1e-3)
    assert found.scores == pytest.approx([0.9, 0.8, 0.7])
    assert found.landmarks is not None
    assert found.landmarks[0, 0] * (320, 240) == pytest.approx([12 + 4, 4 - 4], abs=1e-3)
    assert found.classes.tolist() == [0, 0, 0]


def test_cells_below_the_score_stay_out() -> None:
    scores, distances, landmarks = outputs()
    scores[7] = 0.49
    assert len(decode([scores, distances, landmarks], card(), 0.5).scores) == 0


@pytest.mark.parametrize("strides", [(8, 16), (), (8, 0), "8"])
def test_strides_that_do_not_fit_are_refused(strides: object) -> None:
    with pytest.raises(ModelError, match="strides"):
        decode(outputs(), card(strides), 0.5)


def test_cells_are_shared_and_cannot_be_changed() -> None:
    middles, _ = cells((8, 16, 32), 320, 240)
    with pytest.raises(ValueError, match="read-only"):
        middles[0] = 0
