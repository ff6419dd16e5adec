"""Label trainer: trains a head on pictures, evaluates it and predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import InputError
from edge.core.types import Picture
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.labels import classifier as custom_labels
from edge.labels.dataset import TrainingRows, rows_of
from edge.labels.evaluation import Evaluation, examine
from edge.labels.examples import Example
from edge.labels.head import Head, fit
from edge.labels.manifests import MOST_LABELS
from edge.labels.training_rows import StoredRows
from edge.labels.version import Made, Version

if TYPE_CHECKING:
    from edge.inference.pool import ModelPool
    from edge.labels.classifier import Prediction

BASE = "mobilenet-v1-extractor-224"
"""default backbone: the frozen embedder"""
VARIANTS = 3
"""augmented versions per training picture: mirrored, cropped, with other brightness"""


class LabelTrainer:
    """Embeds examples, trains and evaluates heads. Not thread-safe."""

    def __init__(self, embedder: Embedder, detectors: Sequence[Detector] = ()) -> None:
        self.embedder = embedder
        self.detectors = detectors

    def train(
        self,
        learn: Sequence[Example],
        test: Sequence[Example],
        variants: int = VARIANTS,
        progress: Callable[[], None] = lambda: None,
    ) -> tuple[Made, TrainingRows]:
        """Train on ``learn`` and evaluate on ``test``. Also returns the test rows, to evaluate other heads.

        ``progress`` is called after each picture. Raises InputError, ModelError.
        """
        self._check(learn, test)
        names = sorted({label for example in learn for label in example.labels})
        rows = rows_of(learn, self.embedder, self.detectors, variants, progress=progress)
        regions, dimensions = rows.regions, self.embedder.space.dimensions
        if self.detectors and not regions:
            raise InputError(
                "the detectors find no region that matches a box",
                "name another detector",
                code="regions",
            )
        vectors, truth, groups = rows.stacked(dimensions, regions), rows.truth(names), np.array(rows.groups, np.int64)
        truth = truth[: len(vectors)]
        head = fit(names, vectors, truth, groups)
        tested = self.test_rows(test, progress)
        within = tested.within(regions)
        taught = StoredRows(vectors, truth, groups, within.stacked(dimensions, regions), within.truth(names))
        made = Made(
            head=head,
            evaluation=examine(head, taught.test_vectors, taught.test_truth),
            base=self.embedder.card.name,
            space=self.embedder.space.fingerprint,
            detectors=tuple(detector.card.name for detector in self.detectors),
            learned=rows.used,
            tested=tested.used,
            regions=regions,
            taught=taught,
        )
        tested.problems = [*rows.problems, *tested.problems]
        return made, tested

    def test_rows(self, examples: Sequence[Example], progress: Callable[[], None] = lambda: None) -> TrainingRows:
        """The rows of test examples. Raises ModelError."""
        return rows_of(examples, self.embedder, self.detectors, 0, testing=True, progress=progress)

    def examine(self, head: Head, rows: TrainingRows, regions: Sequence[str]) -> Evaluation:
        """Evaluate a head of these ``regions`` on test rows. A box without a matching region counts as missed."""
        told = rows.within(regions) if regions else rows
        return examine(head, told.stacked(self.embedder.space.dimensions, regions), told.truth(head.labels))

    def predict(self, version: Version, head: Head, picture: Picture, least: float | None = None) -> list[Prediction]:
        """The labels of a picture, best first: those that reach their threshold, or ``least``. Raises ModelError."""
        return custom_labels.predict(version, head, self.embedder, self.detectors, picture, least)

    def _check(self, learn: Sequence[Example], test: Sequence[Example]) -> None:
        if any(example.boxed for example in learn) and not self.detectors:
            raise InputError(
                "the examples have boxes, and no detector is given",
                "name one with --detector",
                code="detector",
            )
        if not any(example.marks for example in learn):
            raise InputError("no picture has a label", "create one subfolder of pictures per label", code="labels")
        count = len({label for example in learn for label in example.labels})
        if count > MOST_LABELS:
            raise InputError(f"expected at most {MOST_LABELS} labels, got {count}", "split them", code="too_many")
        known = {label for example in learn for label in example.labels}
        unlearned = sorted({label for example in test for label in example.labels} - known)
        if unlearned:
            raise InputError(
                f"label {unlearned[0]!r} has no training pictures",
                "add pictures of it, or remove it",
                code="labels",
            )
        if not test:
            raise InputError(
                "no pictures are left for the test: each label has only one",
                "add pictures: two or more per label",
                code="too_few",
            )


def load(base: str, detectors: Sequence[str], models: ModelPool) -> LabelTrainer:
    """The trainer with these models; used on the thread of the pool. Raises NotFoundError, ModelError."""
    return LabelTrainer(models.embedder(base), [models.detector(name) for name in detectors])
