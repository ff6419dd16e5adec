"""SSD with TFLite_Detection_PostProcess inside the model.

tensors: boxes (N, 4) top, left, bottom, right in fractions; classes (N,); scores (N,); count (1,).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.inference.card import Decoder
from edge.inference.decoders.base import Candidates, expect
from edge.inference.tensors import Output

_CORNERS = (1, 0, 3, 2)


def decode(outputs: Sequence[Output], card: Decoder, min_score: float) -> Candidates:
    """The first ``count`` rows with a score of at least ``min_score``. Raises ModelError."""
    expect(card, outputs, ("boxes (N, 4)", "classes (N,)", "scores (N,)", "count (1,)"), (2, 1, 1, 1))
    boxes, classes, scores, count = (np.asarray(output) for output in outputs)
    rows = np.flatnonzero(scores[: int(count[0])] >= min_score)
    return Candidates(boxes[rows][:, _CORNERS], scores[rows], classes[rows].astype(np.int_))
