"""Classification head: logistic regression on frozen embeddings.

If each picture has one label, the head is a softmax over labels and the negative class; if a picture may
have several labels, each label has its own sigmoid. Both are convex, have the same gradient, and the solver is
deterministic on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import InputError

if TYPE_CHECKING:
    from edge.core.types import FloatArray

STEPS = 400
TIGHT = 1e-4
"""maximum gradient of a converged solution"""
RIDGE = 0.02
"""weight of L2 regularization: few examples must not give confident predictions"""
FOLDS = 5
LEAST_THRESHOLD, MOST_THRESHOLD = 0.05, 0.99


@dataclass(frozen=True)
class Head:
    """A trained head. ``weights`` and ``bias`` have one row more than labels if there is a negative class."""

    labels: tuple[str, ...]
    weights: FloatArray
    """(rows, dimensions) float32"""
    bias: FloatArray
    """(rows,)"""
    thresholds: FloatArray
    """(labels,) minimum probability 0..1 of a prediction"""
    exclusive: bool
    """True: softmax, at most one label per picture; False: one sigmoid per label"""

    def probabilities(self, vectors: FloatArray) -> FloatArray:
        """(k, labels) 0..1 of (k, dimensions) unit vectors. Raises InputError for other dimensions."""
        return self._activated(vectors)[:, : len(self.labels)]

    def answers(self, vectors: FloatArray) -> FloatArray:
        """As ``probabilities``; for an exclusive head, 0 for all but the most probable label."""
        found = self._activated(vectors)
        return (_best_only(found) if self.exclusive else found)[:, : len(self.labels)]

    def _activated(self, vectors: FloatArray) -> FloatArray:
        if vectors.ndim != 2 or vectors.shape[1] != self.weights.shape[1]:
            raise InputError(
                f"head: expected vectors of {self.weights.shape[1]} dimensions, got {vectors.shape}",
                "use the base that the head was trained with",
            )
        return _activated(vectors @ self.weights.T + self.bias, self.exclusive).astype(np.float32)


def fit(labels: Sequence[str], vectors: FloatArray, truth: NDArray[np.bool_], groups: NDArray[np.int64]) -> Head:
    """Train on (n, dimensions) unit vectors and (n, labels) truth; rows without truth are negative examples.

    ``groups`` (n,): source picture of each row. Thresholds maximize F1 in cross-validation; all rows of a picture
    are in the same fold. Raises InputError for fewer than two classes, or a label without examples.
    """
    exclusive = bool((truth.sum(axis=1) <= 1).all())
    negative = bool((~truth.any(axis=1)).any())
    if len(labels) + negative < 2:
        raise InputError(
            f"expected two labels, or one label and negative examples, got {', '.join(labels) or 'none'}",
            "add a folder _negative with pictures that show something else",
            code="labels",
        )
    missing = [label for label, there in zip(labels, truth.any(axis=0), strict=True) if not there]
    if missing:
        raise InputError(f"label {missing[0]!r} has no training pictures", "add pictures of it", code="labels")
    targets = _targets(truth, exclusive, negative)
    weights, bias = _solved(vectors, targets, exclusive)
    held_out = _held_out(vectors, targets, groups, exclusive)
    held_out = (_best_only(held_out) if exclusive else held_out)[:, : len(labels)]
    thresholds = np.array([best_threshold(held_out[:, i], truth[:, i]) for i in range(len(labels))], np.float32)
    return Head(tuple(labels), weights, bias, thresholds, exclusive)


def best_threshold(probabilities: FloatArray, truth: NDArray[np.bool_]) -> float:
    """The threshold with the best F1, midway to the next lower probability; 0.5 without held-out rows."""
    usable = ~np.isnan(probabilities)
    values, there = probabilities[usable].astype(np.float64), truth[usable]
    if not there.any():
        return 0.5
    order = np.argsort(-values)
    values, there = values[order], there[order]
    right = np.cumsum(there)
    f1 = 2 * right / (np.arange(1, len(values) + 1) + there.sum())
    f1[:-1][values[:-1] == values[1:]] = 0.0  # no threshold separates equal values
    best = int(f1.argmax())
    below = values[best + 1] if best + 1 < len(values) else 0.0
    return float(np.clip((values[best] + below) / 2, LEAST_THRESHOLD, MOST_THRESHOLD))


def _targets(truth: NDArray[np.bool_], exclusive: bool, negative: bool) -> NDArray[np.float64]:
    targets = truth.astype(np.float64)
    if exclusive and negative:
        return np.hstack([targets, 1.0 - targets.sum(axis=1, keepdims=True)])
    return targets


def _solved(vectors: FloatArray, targets: NDArray[np.float64], exclusive: bool) -> tuple[FloatArray, FloatArray]:
    """Weights and bias for the raw vectors.

    The vectors are centered and scaled first: embeddings of a base have a large common mean, so the step size would be
    tiny. With fewer rows than dimensions, it is solved in the subspace of the rows, which is exact and smaller.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centered = vectors.astype(np.float64) - mean
    scale = 1.0 / max(1e-9, float(np.sqrt((centered**2).sum(axis=1).mean())))
    rows, basis = centered * scale, None
    if rows.shape[0] < rows.shape[1]:
        left, singular, basis = np.linalg.svd(rows, full_matrices=False)
        rows = left * singular
    weights, bias = _descended(rows, targets, exclusive)
    if basis is not None:
        weights = weights @ basis
    weights = weights * scale
    return weights.astype(np.float32), (bias - weights @ mean).astype(np.float32)


def _descended(
    rows: NDArray[np.float64], targets: NDArray[np.float64], exclusive: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nesterov's accelerated gradient descent with restarts; step size from the largest singular value."""
    count, classes = targets.shape
    balance = _balanced(targets, exclusive)
    reach = float(np.linalg.norm(rows, 2)) ** 2 / count + 1.0
    step = 1.0 / (float(balance.max()) * reach * (0.5 if exclusive else 0.25) + RIDGE)
    weights, bias = np.zeros((classes, rows.shape[1])), np.zeros(classes)
    ahead_weights, ahead_bias, momentum = weights, bias, 1.0
    for _ in range(STEPS):
        wrong = balance * (_activated(rows @ ahead_weights.T + ahead_bias, exclusive) - targets) / count
        slope, lean = wrong.T @ rows + RIDGE * ahead_weights / classes, wrong.sum(axis=0)
        new_weights, new_bias = ahead_weights - step * slope, ahead_bias - step * lean
        if max(float(np.abs(slope).max()), float(np.abs(lean).max())) < TIGHT:
            return new_weights, new_bias
        backwards = float((slope * (new_weights - weights)).sum() + (lean * (new_bias - bias)).sum()) > 0
        later = 1.0 if backwards else (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        push = 0.0 if backwards else (momentum - 1) / later
        ahead_weights, ahead_bias = new_weights + push * (new_weights - weights), new_bias + push * (new_bias - bias)
        weights, bias, momentum = new_weights, new_bias, later
    return weights, bias


def _balanced(targets: NDArray[np.float64], exclusive: bool) -> NDArray[np.float64]:
    """(n, 1) or (n, classes): sample weights with equal total weight per label."""
    count, classes = targets.shape
    share = np.maximum(1.0, targets.sum(axis=0))
    if exclusive:
        weight = (targets @ (count / (classes * share)))[:, np.newaxis]
        return np.asarray(weight)
    return np.where(targets > 0, count / (2 * share), count / (2 * np.maximum(1.0, count - share)))


def _activated(logits: NDArray[Any], exclusive: bool) -> NDArray[Any]:
    if not exclusive:
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _best_only(probabilities: FloatArray) -> FloatArray:
    """Set all but the largest value of each row to 0; rows of NaN are unchanged."""
    best = probabilities.max(axis=1, keepdims=True)
    return np.where(np.isnan(best) | (probabilities == best), probabilities, np.float32(0))


def _held_out(
    vectors: FloatArray, targets: NDArray[np.float64], groups: NDArray[np.int64], exclusive: bool
) -> FloatArray:
    """(n, classes) cross-validated probabilities: each row by a head trained without its picture; NaN if impossible.

    Folds are stratified by label, so that a label with two pictures is in two folds.
    """
    pictures, first = np.unique(groups, return_index=True)
    kind = targets[first].argmax(axis=1)
    fold_of = {int(picture): i % FOLDS for i, picture in enumerate(pictures[np.argsort(kind, kind="stable")])}
    folds = np.array([fold_of[int(group)] for group in groups])
    found = np.full(targets.shape, np.nan, np.float32)
    for fold in range(FOLDS):
        out, kept = folds == fold, folds != fold
        if not out.any() or not (targets[kept].sum(axis=0) > 0).all():
            continue
        weights, bias = _solved(vectors[kept], targets[kept], exclusive)
        found[out] = _activated(vectors[out] @ weights.T + bias, exclusive)
    return found
