"""Measures of embeddings: pairs, thresholds, identification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def tar_at(same: NDArray[np.float32], different: NDArray[np.float32], far: float) -> float:
    """Share of same pairs above the cosine that a share `far` of the different ones exceeds."""
    return float((same > threshold_at(different, far)).mean())


def threshold_at(different: NDArray[np.float32], far: float) -> float:
    """The cosine that a share `far` of the different pairs exceeds."""
    ordered = np.sort(different)[::-1]
    return float(ordered[min(int(far * len(ordered)), len(ordered) - 1)])


def fold_accuracy(same: NDArray[np.float32], different: NDArray[np.float32], folds: int = 10) -> tuple[float, float]:
    """Accuracy with the threshold chosen on the other folds: mean, and the mean threshold."""
    accuracies, thresholds = [], []
    for fold in range(folds):
        kept = [np.delete(part, np.s_[fold::folds]) for part in (same, different)]
        threshold = _best(*kept)
        good = [(same[fold::folds] > threshold).mean(), (different[fold::folds] <= threshold).mean()]
        accuracies.append(np.mean(good))
        thresholds.append(threshold)
    return float(np.mean(accuracies)), float(np.mean(thresholds))


def _best(same: NDArray[np.float32], different: NDArray[np.float32]) -> float:
    candidates = np.linspace(-0.2, 0.9, 551)
    accept = 1 - np.searchsorted(np.sort(same), candidates, "right") / len(same)
    refuse = np.searchsorted(np.sort(different), candidates, "right") / len(different)
    return float(candidates[np.argmax(accept + refuse)])


def area(same: NDArray[np.float32], different: NDArray[np.float32]) -> float:
    """Area under the ROC curve."""
    below = np.searchsorted(np.sort(different), same)
    return float(below.mean() / len(different))


def all_pairs(
    vectors: NDArray[np.float32], people: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines of every pair of one person, and of every pair of two."""
    cosines = vectors @ vectors.T
    upper = np.triu(np.ones(cosines.shape, bool), 1)
    equal = people[:, None] == people[None]
    return cosines[equal & upper], cosines[~equal & upper]


def among_groups(
    vectors: NDArray[np.float32], people: NDArray[np.int64], groups: NDArray[np.str_]
) -> dict[str, NDArray[np.float32]]:
    """Cosines of all pairs of two people of one group, by the first word of the group's name."""
    result: dict[str, NDArray[np.float32]] = {}
    for group in np.unique(groups):
        rows, kind = groups == group, str(group).split()[0]
        cosines = all_pairs(vectors[rows], people[rows])[1]
        result[kind] = np.concatenate([result[kind], cosines]) if kind in result else cosines
    return result
