"""BlazeFace: faces with six keypoints.

tensors: regressors (N, 16) center, size and keypoints in pixels from the anchor; scores (N, 1), logits.
The keypoints are both eyes, the nose, the mouth center and both ears. The landmarks are eyes, nose and the corners
of the mouth: the corners are not measured but derived, half a mouth's usual width (0.828 of the eyes' distance)
to either side of its center, along the line of the eyes. Sufficient to align a face, not to detect a smile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders.base import NOTHING, Candidates, corners, expect
from edge.inference.decoders.prior_box_faces import priors
from edge.inference.tensors import Output

if TYPE_CHECKING:
    from edge.core.types import FloatArray

HALF_MOUTH = np.float32(0.414)
"""fraction of the distance between the eyes, from the ArcFace template"""


def decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates:
    """The anchors with a score of at least ``min_score``. Raises ModelError."""
    expect(card, outputs, ("regressors (N, 16)", "scores (N, 1)"), (2, 2))
    regressors, logits = outputs[0], np.asarray(outputs[1])
    anchors = priors(card.priors, card.width, card.height)
    if len(anchors) != len(regressors):
        raise ModelError(
            f"decoder blazeface: expected {len(anchors)} anchors by the card's priors, got {len(regressors)}",
            "correct [[decoder.priors]] in the card",
        )
    low = min(max(min_score, 1e-6), 1 - 1e-6)
    found = np.flatnonzero(logits[:, 0] >= math.log(low / (1 - low)))
    if not len(found):
        return NOTHING
    points = regressors[found].reshape(-1, 8, 2) / np.array([card.width, card.height], np.float32)
    points[:, 0] += anchors[found, :2]
    points[:, 2:] += anchors[found, np.newaxis, :2]
    confidence = 1 / (1 + np.exp(-np.minimum(logits[found, 0], 80)))
    boxes = corners(points[:, :2].reshape(-1, 4))
    return Candidates(boxes, confidence, np.zeros(len(found), np.int_), _landmarks(points[:, 2:]))


def _landmarks(points: FloatArray) -> FloatArray:
    """Eyes, nose and derived mouth corners (N, 5, 2) of keypoints (N, 6, 2)."""
    eyes = points[:, 1] - points[:, 0]
    return np.stack(
        [points[:, 0], points[:, 1], points[:, 2], points[:, 3] - HALF_MOUTH * eyes, points[:, 3] + HALF_MOUTH * eyes],
        axis=1,
    )
