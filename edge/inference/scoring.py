"""How alike two embeddings are, told against people who are neither: adaptive symmetric score normalization (AS-norm).

An embedding's statistics are mean and standard deviation of its highest cosines with a cohort, embeddings of people
who are enrolled nowhere. The score of a pair is the mean of its cosine in units of either side's statistics:
((cosine - m_a) / s_a + (cosine - m_b) / s_b) / 2 (Matejka et al., Interspeech 2017). It takes out what a face has in
common with everybody of its kind, which a bare cosine takes for likeness.

A cohort cannot hold every origin and every camera. So the other subjects of a collection, and a site's own strangers
where they are kept, count as part of the cohort: who looks a bit like all of them looks like none of them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ModelError
from edge.core.storage import files
from edge.core.types import MODEL_DIGITS
from edge.inference.calibration import Calibration
from edge.inference.card import CohortFile
from edge.inference.model import Model

if TYPE_CHECKING:
    from edge.core.types import FloatArray

MOST_BYTES = 300_000
"""of a cohort's file"""
LEAST_DEVIATION = 0.01
"""of the cosines: a cohort of copies would make scores without bounds"""

HINT = "put the cohort's file beside the card"
GENERAL = Calibration()
"""of cosines, for cards that have none"""

CLIP = 6.0
"""deviations above the cohort's mean that a further person counts for at most: a brother, or a subject enrolled twice
under two names, must not hide the right one"""
SHARED = 2
"""members of a cohort that share a person with a member"""
NOBODY = -1.0
"""cosine in the place of nobody"""

Statistics = tuple[float, float]
"""mean and standard deviation"""
NEUTRAL: Statistics = (0.0, 1.0)
"""without a cohort: the score is the cosine"""


class Cohort:
    """Embeddings of people who are enrolled nowhere. Threads may share it.

    ``vectors``: (n, dimensions) of any scale; ``nearest``: how many of the highest cosines make the statistics;
    ``usual``: the statistics of a usual face.
    """

    def __init__(self, vectors: FloatArray, nearest: int, usual: Statistics = NEUTRAL) -> None:
        self.usual = usual
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        self.vectors: FloatArray = np.ascontiguousarray(vectors / lengths, dtype=np.float32)
        """(n, dimensions) of length 1"""
        self._nearest = min(nearest, len(vectors))

    @property
    def size(self) -> int:
        """People in it."""
        return len(self.vectors)

    def highest(self, vectors: FloatArray) -> FloatArray:
        """(k, nearest) highest cosines of each of (k, dimensions) unit vectors, in no order."""
        return _highest(self._cosines(vectors), self._nearest)

    def _cosines(self, vectors: FloatArray) -> FloatArray:
        """(k, n); one vector at a time is a frame's usual case, and row by row the fastest for it."""
        return (self.vectors @ vectors[0])[np.newaxis] if len(vectors) == 1 else vectors @ self.vectors.T

    def members(self, most: int) -> tuple[FloatArray, FloatArray]:
        """Up to ``most`` of its own vectors, and the highest cosines of each with the rest.

        A member shares a person with up to two others (``scripts/calibrate`` makes each of two people): those two
        cosines are left out as well.
        """
        step = max(1, -(-self.size // most))
        vectors = np.ascontiguousarray(self.vectors[::step])
        cosines = np.sort(self._cosines(vectors), axis=1)[:, : -1 - SHARED]
        return vectors, cosines[:, -self._nearest :]

    def with_others(self, highest: FloatArray, others: FloatArray) -> list[Statistics]:
        """Statistics of a face where further people count as the cohort.

        ``highest``: (nearest,) as ``highest`` gives it; ``others``: (c, m) cosines with further people, a row for each
        candidate, in which NOBODY stands for none. Cosines far above the cohort's count as CLIP deviations above.
        """
        ((mean, deviation),) = _statistics(highest[np.newaxis])
        clipped = np.minimum(others, np.float32(mean + CLIP * deviation))
        every = np.empty((len(others), len(highest) + others.shape[1]), np.float32)
        every[:, : len(highest)] = highest
        every[:, len(highest) :] = clipped
        return _statistics(_highest(every, self._nearest))


def _highest(cosines: FloatArray, count: int) -> FloatArray:
    start = cosines.shape[1] - count
    return np.partition(cosines, start, axis=1)[:, start:] if start > 0 else cosines


def _statistics(highest: FloatArray) -> list[Statistics]:
    """Mean and deviation of each row."""
    # plain numbers: for the few rows of a frame cheaper than further array operations
    count = highest.shape[1]
    means = [total / count for total in np.einsum("ij->i", highest).tolist()]
    squares = [total / count for total in np.einsum("ij,ij->i", highest, highest).tolist()]
    pairs = zip(means, squares, strict=True)
    return [(mean, max(LEAST_DEVIATION, math.sqrt(max(0.0, square - mean * mean)))) for mean, square in pairs]


def read_cohort(path: Path, card: CohortFile, dimensions: int) -> Cohort:
    """A cohort's file: int8 (n, dimensions) as ``numpy.save`` writes it. Raises ModelError."""
    try:
        data = path.read_bytes()
        digest = files.sha256(path)
        numbers = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"cohort {path}: cannot be read: {error}", HINT) from error
    if card.sha256 and digest != card.sha256:
        raise ModelError(f"cohort {path}: expected sha256 {card.sha256}, got {digest}", HINT)
    if numbers.dtype != np.int8 or numbers.ndim != 2 or numbers.shape[1] != dimensions or len(numbers) < card.nearest:
        raise ModelError(
            f"cohort {path}: expected {card.nearest} or more rows of {dimensions} int8, "
            f"got {numbers.shape} {numbers.dtype}",
            "make it with scripts/calibrate",
        )
    return Cohort(numbers.astype(np.float32), card.nearest, card.usual)


@dataclass(frozen=True)
class FaceScorer:
    """Scores of one embedder: its calibration, and its cohort where the card has one. Threads may share it."""

    calibration: Calibration = GENERAL
    cohort: Cohort | None = None
    model: str = ""
    """sha256, hex, of the embedder's file; empty: any"""

    def fitting(self, space: str | None) -> FaceScorer:
        """Itself, or general scores for embeddings of another embedder. ``space``: fingerprint; None: no face yet."""
        fits = not self.model or space is None or space.startswith(self.model[:MODEL_DIGITS] + "/")
        return self if fits else UNNORMALIZED

    def statistics(self, vectors: FloatArray) -> list[Statistics]:
        """Of each of (k, dimensions) unit vectors; ``NEUTRAL`` without a cohort."""
        return [NEUTRAL] * len(vectors) if self.cohort is None else _statistics(self.cohort.highest(vectors))

    def score(self, cosine: float, one: Statistics, other: Statistics) -> float:
        """Normalized score of two embeddings with these statistics."""
        return ((cosine - one[0]) / one[1] + (cosine - other[0]) / other[1]) / 2.0

    def likeness(self, cosine: float, one: Statistics, other: Statistics) -> float:
        """Likeness 0..100 of two embeddings with these statistics."""
        return self.calibration.likeness(self.score(cosine, one, other))

    def compare(self, vector: FloatArray, others: FloatArray) -> list[float]:
        """Likeness 0..100 of a (dimensions,) embedding with each of (k, dimensions)."""
        if not len(others):
            return []
        (own,) = self.statistics(vector[np.newaxis])
        cosines: Sequence[float] = (others @ vector).tolist()
        return [self.likeness(c, own, s) for c, s in zip(cosines, self.statistics(others), strict=True)]

    def typical_cosine(self, likeness: float) -> float:
        """The cosine at which two usual faces have this likeness 0..100."""
        score = self.calibration.score(likeness)
        if self.cohort is None:
            return score
        mean, deviation = self.cohort.usual
        return min(1.0, max(-1.0, mean + score * deviation))


UNNORMALIZED = FaceScorer()
"""cosines, by a general calibration"""


def scorer_of(model: Model) -> FaceScorer:
    """Calibration and cohort of an embedder's card. Raises ModelError for a cohort that is not there or damaged."""
    card = model.card
    if card.cohort is None or card.embedding is None:
        return FaceScorer(card.map, model=model.sha256)
    path = (model.folder or model.path.parent) / card.cohort.file
    return FaceScorer(card.map, read_cohort(path, card.cohort, card.embedding.dimensions), model.sha256)
