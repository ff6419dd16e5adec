"""Which labels of a whole picture are there: said by several looks before they are, and missed by several after.

A label that is there stays with a lower probability than the one that it needs to begin, so that one at its threshold
does not come and go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge.core.types import FloatArray

STAYS = 0.8
"""share of its threshold with which a label that is there goes on"""


class LabelPresence:
    """The labels of one version in one camera's pictures; look after look, with the same cost for any number."""

    def __init__(
        self, labels: Sequence[str], thresholds: FloatArray, votes: int, confirm_seconds: float, lost_seconds: float
    ) -> None:
        self.labels = tuple(labels)
        self._thresholds = thresholds
        self._votes, self._confirm, self._lost = votes, confirm_seconds, lost_seconds
        count = len(self.labels)
        self._said, self._missed = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._first, self._last = np.zeros(count), np.zeros(count)
        self._there = np.zeros(count, bool)
        self._scores: FloatArray = np.zeros(count, np.float32)

    @property
    def undecided(self) -> bool:
        """Whether a label that is not there yet was said by the latest look."""
        return bool((self._said[~self._there] > 0).any())

    def look(self, answers: FloatArray, now: float) -> dict[str, float]:
        """The labels that are there after a look at ``now`` (monotonic seconds), each with its probability.

        ``answers``: (labels,) probabilities of the look.
        """
        said = answers >= np.where(self._there, STAYS * self._thresholds, self._thresholds)
        self._first = np.where(said & (self._said == 0), now, self._first)
        self._last = np.where(said, now, self._last)
        self._said, self._missed = np.where(said, self._said + 1, 0), np.where(said, 0, self._missed + 1)
        begins = said & (self._said >= self._votes) & (now - self._first >= self._confirm)
        ends = ~said & (self._missed >= self._votes) & (now - self._last >= self._lost)
        self._there = (self._there | begins) & ~ends
        self._scores = np.where(said, answers, self._scores)
        return {self.labels[i]: float(self._scores[i]) for i in np.flatnonzero(self._there).tolist()}

    def go_on(self, there: Mapping[str, float], now: float) -> None:
        """Another version takes over: what was there is there still, where this one knows it."""
        for i in [i for i, label in enumerate(self.labels) if label in there]:
            self._there[i], self._last[i], self._scores[i] = True, now, there[self.labels[i]]
