"""Presence of labels of whole pictures: a label appears and disappears after several consistent predictions.

A present label has a lower threshold than an absent one (hysteresis), so that a probability near the threshold
does not toggle it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge.core.types import FloatArray

STAYS = 0.8
"""factor of the threshold of a present label"""


class LabelPresence:
    """Presence of the labels of one version in one camera's pictures, vectorized over labels."""

    def __init__(
        self, labels: Sequence[str], thresholds: FloatArray, votes: int, confirm_seconds: float, lost_seconds: float
    ) -> None:
        self.labels = tuple(labels)
        self._thresholds = thresholds
        self._votes, self._confirm, self._lost = votes, confirm_seconds, lost_seconds
        count = len(self.labels)
        self._hits, self._missed = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._first, self._last = np.zeros(count), np.zeros(count)
        self._present = np.zeros(count, bool)
        self._scores: FloatArray = np.zeros(count, np.float32)

    @property
    def undecided(self) -> bool:
        """Whether the latest prediction included a label that is not present yet."""
        return bool((self._hits[~self._present] > 0).any())

    def look(self, answers: FloatArray, now: float) -> dict[str, float]:
        """Update with the prediction at ``now`` (monotonic seconds); the present labels with their probabilities.

        ``answers``: (labels,) probabilities of the prediction.
        """
        predicted = answers >= np.where(self._present, STAYS * self._thresholds, self._thresholds)
        self._first = np.where(predicted & (self._hits == 0), now, self._first)
        self._last = np.where(predicted, now, self._last)
        self._hits, self._missed = (
            np.where(predicted, self._hits + 1, 0),
            np.where(predicted, 0, self._missed + 1),
        )
        begins = predicted & (self._hits >= self._votes) & (now - self._first >= self._confirm)
        ends = ~predicted & (self._missed >= self._votes) & (now - self._last >= self._lost)
        self._present = (self._present | begins) & ~ends
        self._scores = np.where(predicted, answers, self._scores)
        return {self.labels[i]: float(self._scores[i]) for i in np.flatnonzero(self._present).tolist()}

    def go_on(self, there: Mapping[str, float], now: float) -> None:
        """Take over the present labels of a previous version, as far as this version has them."""
        for i in [i for i, label in enumerate(self.labels) if label in there]:
            self._present[i], self._last[i], self._scores[i] = True, now, there[self.labels[i]]
