"""Custom labels: from pictures to a head, and how well it does."""

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
"""the embedder that stays as it is, where none is named"""
VARIANTS = 3
"""further versions of each picture to learn from: mirrored, cropped, in another light"""


class LabelTrainer:
    """Embeds examples and asks heads. One thread at a time."""

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
        """A head and how well it does on ``test``; the rows of the test, to ask another head as well.

        ``progress`` is called after each picture. Raises InputError, ModelError.
        """
        self._check(learn, test)
        names = sorted({label for example in learn for label in example.labels})
        rows = rows_of(learn, self.embedder, self.detectors, variants, progress=progress)
        regions, dimensions = rows.regions, self.embedder.space.dimensions
        if self.detectors and not regions:
            raise InputError(
                "the detectors find nothing where the boxes are, so nothing could be told there",
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
        """The rows to examine heads with."""
        return rows_of(examples, self.embedder, self.detectors, 0, testing=True, progress=progress)

    def examine(self, head: Head, rows: TrainingRows, regions: Sequence[str]) -> Evaluation:
        """How well a head of these ``regions`` does on test rows. A box on which no region lies is not found."""
        told = rows.within(regions) if regions else rows
        return examine(head, told.stacked(self.embedder.space.dimensions, regions), told.truth(head.labels))

    def predict(self, version: Version, head: Head, picture: Picture, least: float | None = None) -> list[Prediction]:
        """The labels of a picture, best first: those that reach their threshold, or ``least`` where it is given."""
        return custom_labels.predict(version, head, self.embedder, self.detectors, picture, least)

    def _check(self, learn: Sequence[Example], test: Sequence[Example]) -> None:
        if any(example.boxed for example in learn) and not self.detectors:
            raise InputError(
                "the examples have boxes, and no detector is named that finds such regions",
                "name one with --detector",
                code="detector",
            )
        if not any(example.marks for example in learn):
            raise InputError("no picture shows any label", "give a folder for each label", code="labels")
        count = len({label for example in learn for label in example.labels})
        if count > MOST_LABELS:
            raise InputError(f"expected at most {MOST_LABELS} labels, got {count}", "split them", code="too_many")
        known = {label for example in learn for label in example.labels}
        unlearned = sorted({label for example in test for label in example.labels} - known)
        if unlearned:
            raise InputError(
                f"label {unlearned[0]!r} has no picture to learn from",
                "add pictures of it, or take it out",
                code="labels",
            )
        if not test:
            raise InputError(
                "no pictures are left to test with: each label has only one", "two a label at least", code="too_few"
            )


def load(base: str, detectors: Sequence[str], models: ModelPool) -> LabelTrainer:
    """The trainer of these models, for the thread of the pool. Raises NotFoundError, ModelError."""
    return LabelTrainer(models.embedder(base), [models.detector(name) for name in detectors])
