"""Anchor-free face detector on several grids (as FCOS, Tian et al. 2019, with five landmarks).

tensors: scores (N, 1), probabilities; distances (N, 4) from a cell's center to the left, top, right and bottom of
the box; landmarks (N, 10) x, y from a cell's center. Distances are in units of the grid's stride. The rows are grid
by grid, row by row, cell by cell. The card's ``decoder.options.strides`` names the grids, pixels of the model input.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from edge.core.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders.base import NOTHING, Candidates, expect
from edge.inference.tensors import Output, at_least, numbers, row

Cell = tuple[float, float, float, float]
"""center x, y of a cell, and the stride along x and y: fractions of the input"""


def decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates:
    """The cells with a score of at least ``min_score``. Raises ModelError."""
    expect(card, outputs, ("scores (N, 1)", "distances (N, 4)", "landmarks (N, 10)"), (2, 2, 2))
    scores, distances, landmarks = outputs
    grid = cells(card.options.get("strides"), card.width, card.height)
    if len(grid) != len(scores):
        raise ModelError(
            f"decoder anchor_free_faces: expected {len(grid)} cells by the card's strides, got {len(scores)}",
            "correct decoder.options.strides in the card",
        )
    found = at_least(numbers(scores)[:, 0], scores, min_score)
    if not found:
        return NOTHING
    boxes = []
    for number in found:
        x, y, across, down = grid[number]
        left, top, right, bottom = row(distances, number)
        boxes.append((x - left * across, y - top * down, x + right * across, y + bottom * down))
    sure = [row(scores, number)[0] for number in found]
    return Candidates(boxes, sure, [0] * len(found), _Landmarks(landmarks, grid, found))


@lru_cache(maxsize=16)
def cells(strides: object, width: int, height: int) -> tuple[Cell, ...]:
    """The cells of all grids. ``strides``: pixels of the model input, one per grid. Raises ModelError."""
    if not isinstance(strides, tuple) or not strides or not all(isinstance(s, int) and s > 0 for s in strides):
        raise ModelError(
            f"decoder anchor_free_faces: expected options.strides as integers, got {strides!r}",
            "for example options.strides = [8, 16, 32] in the card",
        )
    return tuple(
        ((x + 0.5) * stride / width, (y + 0.5) * stride / height, stride / width, stride / height)
        for stride in strides
        for y in range(-(-height // stride))
        for x in range(-(-width // stride))
    )


class _Landmarks:
    """Landmarks of candidates, computed on access: non-maximum suppression removes most candidates."""

    def __init__(self, landmarks: Output, grid: Sequence[Cell], found: Sequence[int]) -> None:
        self._landmarks, self._grid, self._found = landmarks, grid, found

    def __getitem__(self, candidate: int) -> list[tuple[float, float]]:
        number = self._found[candidate]
        x, y, across, down = self._grid[number]
        points = row(self._landmarks, number)
        return [(x + a * across, y + d * down) for a, d in zip(points[::2], points[1::2], strict=True)]
