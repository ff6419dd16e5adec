"""Faces by the cells of several grids, without anchors (as FCOS, Tian et al. 2019, with five landmarks).

tensors: scores (N, 1), probabilities; distances (N, 4) from a cell's middle to the left, top, right and bottom of
the box; landmarks (N, 10) x, y from a cell's middle. Distances are in units of the grid's stride. The rows are grid
by grid, row by row, cell by cell. The card's ``decoder.options.strides`` names the grids, pixels of the model input.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders import NOTHING, Candidates, expect
from edge.inference.quantized import Output, at_least, numbers

if TYPE_CHECKING:
    from edge.types import FloatArray


def decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates:
    """The cells whose score is ``min_score`` or more."""
    expect(card, outputs, ("scores (N, 1)", "distances (N, 4)", "landmarks (N, 10)"), (2, 2, 2))
    scores, distances, landmarks = outputs
    places, reach = cells(_strides(card), card.width, card.height)
    if len(places) != len(scores):
        raise ModelError(
            f"decoder anchor_free_faces: the card's strides make {len(places)} cells, the file has {len(scores)}",
            "correct decoder.options.strides in the card",
        )
    found = at_least(numbers(scores)[:, 0], scores, min_score)
    if not len(found):
        return NOTHING
    # corners and landmarks in one go: array calls right after an invoke are what this costs
    points = np.concatenate((distances[found], landmarks[found]), axis=1)
    points *= reach[found]
    points += places[found]
    classes = np.zeros(len(found), np.int_)
    return Candidates(points[:, :4], scores[found, 0], classes, points[:, 4:].reshape(-1, 5, 2))


def _strides(card: Decoder) -> tuple[int, ...]:
    """Pixels from one cell to the next, grid by grid."""
    strides = card.options.get("strides")
    if not isinstance(strides, tuple) or not strides or not all(isinstance(s, int) and s > 0 for s in strides):
        raise ModelError(
            f"decoder anchor_free_faces: expected options.strides to be whole pixels, got {strides!r}",
            "write for example options.strides = [8, 16, 32] in the card",
        )
    return tuple(int(stride) for stride in strides)


@lru_cache(maxsize=16)
def cells(strides: tuple[int, ...], width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Of two corners and five landmarks, x and y: the cells' middles (N, 14), and what a distance of 1 adds (N, 14).

    Fractions of the input; read-only.
    """
    size = np.array([width, height], np.float32)
    middles, units = [], []
    for stride in strides:
        ys, xs = np.mgrid[: -(-height // stride), : -(-width // stride)]
        grid = np.stack([xs.ravel(), ys.ravel()], axis=1).astype(np.float32)
        middles.append((grid + 0.5) * stride / size)
        units.append(np.broadcast_to(stride / size, grid.shape))
    signs = np.array([-1, -1, *[1] * 12], np.float32)
    result = (
        np.tile(np.concatenate(middles).astype(np.float32), 7),
        np.tile(np.concatenate(units).astype(np.float32), 7) * signs,
    )
    for part in result:
        part.setflags(write=False)
    return result
