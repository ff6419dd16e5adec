"""Score normalization of embedding pairs against a cohort: adaptive symmetric score normalization (AS-norm).

The statistics of an embedding are mean and standard deviation of its highest cosines with a cohort: people
outside any collection. The score of a pair is its cosine, normalized by the statistics of both sides:
((cosine - m_a) / s_a + (cosine - m_b) / s_b) / 2 (Matejka et al., Interspeech 2017). It removes the
similarity that a face has to all faces of a similar population, which raises a raw cosine.

A cohort cannot cover every population and camera. So the other subjects of a collection, and a site's strangers
where they are stored, are added to the cohort: a moderate similarity to all of them is not a match with one.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from edge.core.errors import ModelError
from edge.core.types import MODEL_DIGITS
from edge.inference.calibration import Calibration
from edge.inference.card import CohortFile
from edge.inference.model import Model

if TYPE_CHECKING:
    from edge.core.types import FloatArray

MOST_BYTES = 300_000
"""maximum bytes of a cohort's file"""
LEAST_DEVIATION = 0.01
"""minimum standard deviation of the cosines: identical cohort members would give unbounded scores"""

HINT = "put the cohort's file beside the card"
GENERAL = Calibration()
"""generic calibration of cosines, for cards without one"""

CLIP = 6.0
"""maximum standard deviations above the cohort's mean for an added person: a relative, or a subject enrolled twice
under two names, must not suppress the correct match"""
SHARED = 2
"""number of other cohort members that share a person with a member"""
NOBODY = -1.0
"""placeholder cosine for no person"""
NO_STRANGERS: FloatArray = np.empty(0, np.float32)

Statistics = tuple[float, float]
"""mean and standard deviation"""
NEUTRAL: Statistics = (0.0, 1.0)
"""statistics without a cohort: the score is the cosine"""


class Cohort:
    """Embeddings of people outside any collection. Thread-safe.

    ``vectors``: (n, dimensions) of any scale; ``nearest``: number of highest cosines in the statistics;
    ``usual``: statistics of a typical face.
    """

    def __init__(self, vectors: FloatArray, nearest: int, usual: Statistics = NEUTRAL) -> None:
        self.usual = usual
        unit: FloatArray = np.array(vectors, np.float32, order="C")
        unit /= np.maximum(np.sqrt(np.einsum("ij,ij->i", unit, unit)), np.float32(1e-6))[:, np.newaxis]
        self.vectors = unit
        """(n, dimensions) of length 1"""
        self._nearest = min(nearest, len(vectors))

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.vectors)

    def highest(self, vectors: FloatArray) -> FloatArray:
        """(k, nearest) highest cosines of each of (k, dimensions) unit vectors, unordered."""
        cosines = self._cosines(vectors)
        start = self.size - self._nearest
        if start > 0:
            cosines.partition(start, axis=1)
        highest: FloatArray = cosines[:, start:]
        return highest

    def _cosines(self, vectors: FloatArray) -> FloatArray:
        """(k, n) cosines, a new array. In this order of the factors, the product for a few vectors is fastest."""
        if len(vectors) == 1:
            row: FloatArray = self.vectors @ vectors[0]
            return row[np.newaxis]
        cosines: FloatArray = np.ascontiguousarray((self.vectors @ vectors.T).T)
        return cosines

    def members(self, most: int) -> tuple[FloatArray, FloatArray]:
        """Up to ``most`` of its members, and the highest cosines of each with the rest.

        A member shares a person with up to two others (``scripts/calibrate`` averages two people per member): these two
        cosines are excluded as well.
        """
        step = max(1, -(-self.size // most))
        vectors = np.ascontiguousarray(self.vectors[::step])
        cosines = np.sort(self._cosines(vectors), axis=1)[:, : -1 - SHARED]
        return vectors, cosines[:, -self._nearest :]

    def with_others(
        self, highest: FloatArray, others: Sequence[float], candidates: int, strangers: FloatArray = NO_STRANGERS
    ) -> list[Statistics]:
        """Statistics of a face with further people added to the cohort: for each candidate, without the candidate.

        ``highest``: (nearest,) as ``highest`` gives it; ``others``: cosines with further people, of whom the first
        ``candidates`` are candidates; ``strangers``: (m,) cosines with more people. NOBODY is not added.
        Cosines are limited to CLIP standard deviations above the cohort's mean.
        """
        cohort = highest.tolist()
        alone = _moments(sum(cohort), sum([one * one for one in cohort]), len(cohort))
        limit, least = alone[0] + CLIP * alone[1], min(cohort)
        added = [min(one, limit) for one in (*others, *strangers[strangers > least].tolist()) if one > least]
        if not added:
            return [alone] * candidates
        ranked = sorted(cohort + added, reverse=True)
        top, following = ranked[: len(cohort)], ranked[len(cohort)]
        total, squares, lowest = sum(top), sum([one * one for one in top]), top[-1]
        everybody = _moments(total, squares, len(top))
        found = []
        for one in others[:candidates]:
            cosine = min(one, limit)
            if one > least and cosine >= lowest:  # it is among the highest, and the next one takes its place
                replaced = squares - cosine * cosine + following * following
                found.append(_moments(total - cosine + following, replaced, len(top)))
            else:
                found.append(everybody)
        return found


def _moments(total: float, squares: float, count: int) -> Statistics:
    """Mean and deviation of ``count`` cosines with this sum and this sum of squares."""
    mean = total / count
    return mean, max(LEAST_DEVIATION, math.sqrt(max(0.0, squares / count - mean * mean)))


def _statistics(highest: FloatArray) -> list[Statistics]:
    """Mean and deviation of each row."""
    # Python numbers: for the few rows of a frame cheaper than further array operations
    totals = np.einsum("ij->i", highest).tolist()
    squares = np.einsum("ij,ij->i", highest, highest).tolist()
    return [_moments(total, square, highest.shape[1]) for total, square in zip(totals, squares, strict=True)]


_cohorts: WeakValueDictionary[tuple[str, int, Statistics, int], Cohort] = WeakValueDictionary()
"""cohorts in use: (sha256, nearest, usual, dimensions) -> cohort"""


def read_cohort(path: Path, card: CohortFile, dimensions: int) -> Cohort:
    """Read a cohort's file: int8 (n, dimensions) in ``.npy`` format. Raises ModelError.

    The same cohort is in memory once, however many embedders use it.
    """
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        key = (digest, card.nearest, card.usual, dimensions)
        if (there := _cohorts.get(key)) is not None and card.sha256 in ("", digest):
            return there
        numbers = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"cohort {path}: cannot be read: {error}", HINT) from error
    if card.sha256 and digest != card.sha256:
        raise ModelError(f"cohort {path}: expected sha256 {card.sha256}, got {digest}", HINT)
    if numbers.dtype != np.int8 or numbers.ndim != 2 or numbers.shape[1] != dimensions or len(numbers) < card.nearest:
        raise ModelError(
            f"cohort {path}: expected {card.nearest} or more rows of {dimensions} int8, "
            f"got {numbers.shape} {numbers.dtype}",
            "create it with scripts/calibrate",
        )
    return _cohorts.setdefault(key, Cohort(numbers, card.nearest, card.usual))


@dataclass(frozen=True)
class FaceScorer:
    """Scores of one embedder: calibration, and the cohort if the card has one. Thread-safe."""

    calibration: Calibration = GENERAL
    cohort: Cohort | None = None
    model: str = ""
    """sha256, hex, of the embedder's file; empty: any"""

    def fitting(self, space: str | None) -> FaceScorer:
        """The same scorer, or generic scores for the faces of another embedder. ``space``: fingerprint; None: none."""
        fits = not self.model or space is None or space.startswith(self.model[:MODEL_DIGITS] + "/")
        return self if fits else UNNORMALIZED

    def statistics(self, vectors: FloatArray) -> list[Statistics]:
        """Statistics of each of (k, dimensions) unit vectors; ``NEUTRAL`` without a cohort."""
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
        """The cosine at which two typical faces have this likeness 0..100."""
        score = self.calibration.score(likeness)
        if self.cohort is None:
            return score
        mean, deviation = self.cohort.usual
        return min(1.0, max(-1.0, mean + score * deviation))


UNNORMALIZED = FaceScorer()
"""cosines with the generic calibration"""


def scorer_of(model: Model) -> FaceScorer:
    """Scorer of an embedder's card: calibration and cohort. Raises ModelError for a missing or damaged cohort."""
    card = model.card
    if card.cohort is None or card.embedding is None:
        return FaceScorer(card.map, model=model.sha256)
    path = (model.folder or model.path.parent) / card.cohort.file
    return FaceScorer(card.map, read_cohort(path, card.cohort, card.embedding.dimensions), model.sha256)
