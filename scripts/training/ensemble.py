"""Several teachers as one: what they say of a face, without what people of one origin and one kind of picture share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
MOST = 8
"""Faces of one person that count for how far pictures of one person lie apart."""


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


@dataclass(frozen=True)
class Projection:
    """An affine map of the teachers' joined embeddings to the embedding that the student learns.

    It shrinks the directions in which pictures of one person differ, and those in which whole groups of people differ
    from one another: who resembles each other by origin, sex or kind of picture is told apart by what is left.
    Within-class covariance normalization: Hatch, Kajarekar, Stolcke, Interspeech 2006. Its covariance has that of the
    groups' means added, as for nuisance attributes (Solomonoff, Campbell, Boardman, ICASSP 2005).
    """

    mean: Vectors
    """(D,) the mean of the groups."""
    matrix: Vectors
    """(D, 128)."""

    def __call__(self, vectors: Vectors) -> Vectors:
        """(N, D) joined embeddings as (N, 128) targets of unit length."""
        return unit((vectors - self.mean) @ self.matrix)

    def toward(self, vectors: Vectors, wanted: Vectors) -> Projection:
        """The same one turned so that the targets of (N, D) embeddings come nearest to (N, 128) wanted ones.

        Turning changes no cosine between targets (orthogonal Procrustes problem: Schoenemann 1966).
        """
        left, _, right = np.linalg.svd(self(vectors).T @ wanted)
        return Projection(self.mean, self.matrix @ (left @ right).astype(np.float32))

    def save(self, path: Path) -> None:
        """Write it as .npz."""
        np.savez(path, mean=self.mean, matrix=self.matrix)

    @classmethod
    def load(cls, path: Path) -> Projection:
        """Read what `save` wrote."""
        stored = np.load(path)
        return cls(stored["mean"], stored["matrix"])


def fit(
    vectors: Vectors,
    people: NDArray[np.int64],
    groups: NDArray[np.str_],
    dimensions: int = 128,
    between: float = 3.0,
    floor: float = 1.0,
) -> Projection:
    """The projection of (N, D) embeddings of known people in known groups.

    `between`: weight of the groups' covariance against that of one person's pictures; `floor`: what is added to the
    eigenvalues of their sum, in units of their mean, so that nothing is stretched without limit.
    """
    means = np.stack([vectors[groups == group].mean(axis=0) for group in np.unique(groups)])
    counts = np.array([(groups == group).sum() for group in np.unique(groups)])
    weights = np.sqrt(counts) / np.sqrt(counts).sum()
    middle = weights @ means
    spread = (means - middle).T @ ((means - middle) * weights[:, None])
    within = _within(vectors, people)
    values, axes = np.linalg.eigh(within / np.trace(within) + between * spread / np.trace(spread))
    whiten = (axes / np.sqrt(values + floor * values.mean())) @ axes.T
    seen = unit((vectors - middle) @ whiten)
    kept = np.linalg.eigh(seen.T @ seen)[1][:, -dimensions:]
    return Projection(middle.astype(np.float32), (whiten @ kept).astype(np.float32))


def _within(vectors: Vectors, people: NDArray[np.int64]) -> NDArray[np.float64]:
    """Covariance (D, D) of the pictures of one person around their mean."""
    order = np.argsort(people, kind="stable")
    _, starts, counts = np.unique(people[order], return_index=True, return_counts=True)
    total, freedom = np.zeros((vectors.shape[1],) * 2), 0
    for start, count in zip(starts, counts, strict=True):
        if count > 1:
            own = vectors[order[start : start + min(count, MOST)]]
            away = own - own.mean(axis=0)
            total += away.T @ away
            freedom += len(own) - 1
    if not freedom:
        raise SystemExit("error: nobody has two pictures\ntry: data with several pictures of some people")
    return total / freedom


def toward_people(targets: Vectors, people: NDArray[np.int64], share: float) -> Vectors:
    """Targets moved toward the mean of their person's, the first `len(people)` rows; the rest stays."""
    result = targets.copy()
    count = int(people.max()) + 1
    totals = np.zeros((count, targets.shape[1]), np.float32)
    np.add.at(totals, people, targets[: len(people)])
    result[: len(people)] = unit((1 - share) * targets[: len(people)] + share * unit(totals)[people])
    return result


def neighbors(vectors: Vectors, count: int, block: int = 512) -> NDArray[np.int32]:
    """(N, count) rows of the most similar others of unit vectors, most similar first."""
    result = np.empty((len(vectors), count), np.int32)
    for start in range(0, len(vectors), block):
        cosines = vectors[start : start + block] @ vectors.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -2
        near = np.argpartition(-cosines, count, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, near, axis=1), axis=1)
        result[start : start + block] = np.take_along_axis(near, order, axis=1)
    return result
