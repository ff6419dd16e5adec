"""YOLO v8 heads without post-processing.

tensors: one of (4 + classes, N), or (N, 4 + classes): center x, center y, width, height, then one score per class.
``options.units``: ``fraction`` of the input (default), or ``pixel``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.core.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders.base import NOTHING, Candidates, corners, expect
from edge.inference.tensors import Output, at_least, numbers


def decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates:
    """The anchors whose best class has a score of at least ``min_score``. Raises ModelError."""
    expect(card, outputs, ("boxes and scores (4 + classes, N)",), (2,))
    rows = 4 + len(card.labels)
    head = outputs[0] if outputs[0].shape[0] == rows else outputs[0].T
    if head.shape[0] != rows:
        raise ModelError(
            f"decoder yolov8: expected 4 + {len(card.labels)} labels = {rows} rows, got {outputs[0].shape}",
            "correct decoder.labels in the card",
        )
    found = at_least(numbers(head)[4:].max(axis=0), head, min_score)
    if not len(found):
        return NOTHING
    picked = head[:, found]
    classes = picked[4:].argmax(axis=0)
    scores = picked[4:][classes, np.arange(len(found))]
    boxes = picked[:4].T
    if card.options.get("units") == "pixel":
        boxes = boxes / np.array([card.width, card.height] * 2, np.float32)
    return Candidates(corners(boxes), scores, classes)
