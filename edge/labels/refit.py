"""Incremental training: refits a head with its stored rows and the reviewers' answers, on the same test set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import InputError
from edge.labels.evaluation import Evaluation, examine
from edge.labels.examples import ConfirmedExample
from edge.labels.head import Head, fit
from edge.labels.store import Labels
from edge.labels.training_rows import StoredRows
from edge.labels.version import Made, Version

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray

WEIGHT = 4
"""weight of an answer in rows: as many as a training picture with its variants"""
FEWEST = 2
"""minimum answers of a label that is new to the version"""


@dataclass(frozen=True, slots=True)
class Refitted:
    """The new version, compared with the previous one on the same test set."""

    version: Version
    before: Evaluation
    after: Evaluation
    used: bool
    answers: int
    """number of answers used: questions, and pictures with corrected boxes"""
    left_out: tuple[str, ...]
    """new labels with too few answers"""


def refit(store: Labels, name: str, confirmed: Sequence[ConfirmedExample], force: bool = False) -> Refitted:
    """Refit ``name`` with the reviewers' answers; used if F1 on the fixed test set is not lower, or with ``force``.

    Raises NotFoundError, StoreError; InputError without stored rows or answers.
    """
    version = store.version(name)
    taught = store.taught(version)
    if taught is None:
        raise InputError(
            f"labels {name!r} version {version.number} have no stored training rows",
            "train them again from pictures; edge review export writes the confirmed ones",
            code="rows",
        )
    counts = Counter(one.label for one in confirmed if one.label is not None)
    few = {label for label, count in counts.items() if label not in version.labels and count < FEWEST}
    usable = [one for one in confirmed if one.label not in few and one.vector.shape == taught.vectors.shape[1:]]
    if not usable:
        raise InputError(f"labels {name!r}: there are no answers yet", "answer questions: edge review", code="nothing")
    names = [*version.labels, *sorted(counts.keys() - few - set(version.labels))]
    wider = _wider(taught, len(names))
    head = _learned(wider, names, usable)
    before = examine(store.head(version), taught.test_vectors, taught.test_truth)
    after = examine(head, wider.test_vectors, wider.test_truth)
    learned, tested = store.examples(version)
    answers = answers_of(usable)
    made = Made(
        head, after, version.base, version.space, version.detectors, learned, tested, version.regions, wider,
        answers,
    )  # fmt: skip
    saved = store.save(name, made)
    used = force or after.f1 >= before.f1
    if used:
        store.use(saved)
    return Refitted(store.version(name, saved.number), before, after, used, answers, tuple(sorted(few)))


def answers_of(confirmed: Sequence[ConfirmedExample]) -> int:
    """Number of answers behind these examples; a picture with corrected boxes is one answer."""
    return len({one.question for one in confirmed})


def _learned(taught: StoredRows, names: Sequence[str], confirmed: Sequence[ConfirmedExample]) -> Head:
    own: FloatArray = np.repeat(np.stack([one.vector for one in confirmed]), WEIGHT, axis=0)
    confirmed_truth = np.repeat([[name == one.label for name in names] for one in confirmed], WEIGHT, axis=0)
    first = int(taught.groups.max(initial=-1)) + 1
    groups = np.concatenate([taught.groups, first + np.repeat(np.arange(len(confirmed)), WEIGHT)])
    return fit(names, np.vstack([taught.vectors, own]), np.vstack([taught.truth, confirmed_truth]), groups)


def _wider(taught: StoredRows, labels: int) -> StoredRows:
    """The rows with an empty column for each new label."""

    def columns(truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.hstack([truth, np.zeros((len(truth), labels - truth.shape[1]), bool)])

    return replace(taught, truth=columns(taught.truth), test_truth=columns(taught.test_truth))
