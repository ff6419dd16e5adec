"""Faces as offsets from prior boxes, with or without landmarks (Ultra-Light-Fast, RFB, slim, RetinaFace).

tensors: boxes (N, 4), scores (N, 2) background and face, and, where the model has them, landmarks (N, 10).
Offsets are in units of the prior's size times the card's variances, as in SSD (Liu et al. 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ModelError
from edge.inference.card import Decoder, Priors
from edge.inference.decoders.base import NOTHING, Candidates, corners, expect
from edge.inference.tensors import Output, at_least, numbers

if TYPE_CHECKING:
    from edge.core.types import FloatArray


def decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates:
    """The priors with a face score of at least ``min_score``. Raises ModelError."""
    names = ("boxes (N, 4)", "scores (N, 2)", "landmarks (N, 10)")[: max(2, len(card.tensors))]
    expect(card, outputs, names, (2, 2, 2)[: len(names)])
    offsets, scores = outputs[:2]
    anchors = priors(card.priors, card.width, card.height)
    if len(anchors) != len(offsets):
        raise ModelError(
            f"decoder prior_box_faces: expected {len(anchors)} anchors by the card's priors, got {len(offsets)}",
            "correct [[decoder.priors]] in the card",
        )
    found, confidence = faces(scores, card, min_score)
    if not len(found):
        return NOTHING
    anchor, offset = anchors[found], offsets[found]
    near, far = card.variances
    boxes = np.empty_like(offset)
    boxes[:, :2] = anchor[:, :2] + offset[:, :2] * near * anchor[:, 2:]
    boxes[:, 2:] = anchor[:, 2:] * np.exp(offset[:, 2:] * far)
    landmarks = None
    if len(outputs) > 2:
        points = outputs[2][found].reshape(-1, 5, 2)
        landmarks = anchor[:, np.newaxis, :2] + points * near * anchor[:, np.newaxis, 2:]
    return Candidates(corners(boxes), confidence, np.zeros(len(found), np.int_), landmarks)


def faces(scores: Output, card: Decoder, min_score: float) -> tuple[list[int], FloatArray]:
    """Indices and scores of the rows of (N, 2) that are faces; compared as stored, so that few are converted."""
    if card.scores == "probability":
        found = at_least(numbers(scores)[:, 1], scores, min_score)
        return found, scores[found, 1]
    logits = np.asarray(scores)
    lead = logits[:, 1] - logits[:, 0]
    low = min(max(min_score, 1e-6), 1 - 1e-6)
    found = np.flatnonzero(lead >= math.log(low / (1 - low))).tolist()
    confidence: FloatArray = 1 / (1 + np.exp(-lead[found]))
    return found, confidence


@lru_cache(maxsize=16)
def priors(maps: tuple[Priors, ...], width: int, height: int) -> FloatArray:
    """(N, 4) center x, center y, width, height of the anchors, fractions of the input; read-only.

    Ordered by map, row, cell and size; cell centers are multiples of the stride plus half a stride.
    """
    rows = [
        ((x + 0.5) * level.stride / width, (y + 0.5) * level.stride / height, w / width, h / height)
        for level in maps
        for y, x, (w, h) in product(
            range(math.ceil(height / level.stride)), range(math.ceil(width / level.stride)), level.sizes
        )
    ]
    anchors = np.array(rows, np.float32).reshape(-1, 4)
    anchors.flags.writeable = False
    return anchors
