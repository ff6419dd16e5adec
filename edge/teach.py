"""Custom labels: from pictures to a head, and from a head to labels of pictures.

Whole pictures are embedded as they are. Where examples have boxes, the boxes are embedded, with the regions that a
detector finds: those that lie on a box as further examples of it, those that do not as negative ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge import pictures
from edge.errors import InputError, SpaceError
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.labels import Evaluation, Example, Head, Version, evaluate, fit
from edge.labels.store import Made
from edge.types import Box, Detection, Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.settings import Settings
    from edge.types import ByteArray, FloatArray

BASE = "mobilenet-v1-extractor-224"
"""the embedder that stays as it is, where none is named"""
WHOLE = Box(0.0, 0.0, 1.0, 1.0)
VARIANTS = 3
"""further versions of each picture to learn from: mirrored, cropped, in another light"""
REGION_SCORE = 0.25
"""lowest detector score of a region worth classifying"""
SAME, OTHER = 0.5, 0.3
"""overlap (IoU) from which a region shows what a box shows, and below which it does not"""
NEGATIVES = 5
"""regions of one picture that serve as negative examples, at most"""
SEED = 7


@dataclass(frozen=True, slots=True)
class Prediction:
    """A label that is there."""

    label: str
    probability: float
    """0..1"""
    box: Box | None = None
    """where; None: the picture as a whole"""


@dataclass(slots=True)
class Rows:
    """Embeddings with what they show; ``groups`` numbers the pictures they come from."""

    vectors: list[FloatArray] = field(default_factory=list)
    labels: list[frozenset[str]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    missed: list[frozenset[str]] = field(default_factory=list)
    """boxes on which no region lies"""
    used: list[Example] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """pictures that could not be read"""

    def truth(self, names: Sequence[str]) -> NDArray[np.bool_]:
        everything = [*self.labels, *self.missed]
        return np.array([[name in labels for name in names] for labels in everything], bool).reshape(-1, len(names))


class Teacher:
    """Embeds examples and asks heads. One thread at a time."""

    def __init__(self, embedder: Embedder, detectors: Sequence[Detector] = ()) -> None:
        self.embedder = embedder
        self.detectors = detectors
        self._progress: Callable[[], None] = lambda: None

    def train(
        self,
        learn: Sequence[Example],
        test: Sequence[Example],
        variants: int = VARIANTS,
        progress: Callable[[], None] | None = None,
    ) -> tuple[Made, Rows]:
        """A head and how well it does on ``test``; the rows of the test, to ask another head as well.

        ``progress`` is called after each picture. Raises InputError, ModelError.
        """
        self._progress = progress or self._progress
        self._check(learn, test)
        names = sorted({label for example in learn for label in example.labels})
        rows = self._rows(learn, variants)
        vectors = _stacked(rows, self.embedder.space.dimensions)
        head = fit(names, vectors, rows.truth(names)[: len(vectors)], np.array(rows.groups, np.int64))
        tested = self._rows(test, 0, testing=True)
        made = Made(
            head,
            self.examine(head, tested),
            self.embedder.card.name,
            self.embedder.space.fingerprint,
            tuple(detector.card.name for detector in self.detectors),
            rows.used,
            tested.used,
        )
        tested.problems = [*rows.problems, *tested.problems]
        return made, tested

    def test_rows(self, examples: Sequence[Example], progress: Callable[[], None] | None = None) -> Rows:
        """The rows to examine heads with."""
        self._progress = progress or self._progress
        return self._rows(examples, 0, testing=True)

    def examine(self, head: Head, rows: Rows) -> Evaluation:
        """How well a head does on test rows. A box on which no region lies counts as not found."""
        found = head.answers(_stacked(rows, self.embedder.space.dimensions))
        nothing = np.zeros((len(rows.missed), len(head.labels)), np.float32)
        return evaluate(head.labels, head.thresholds, np.vstack([found, nothing]), rows.truth(head.labels))

    def predict(self, head: Head, picture: Picture, least: float | None = None) -> list[Prediction]:
        """The labels of a picture, best first: those that reach their threshold, or ``least`` where it is given."""
        places = self.regions(picture) if self.detectors else [_detection(WHOLE)]
        if not places:
            return []
        embeddings = self.embedder.embed(picture, places)
        vectors = np.stack([one.vector for one in embeddings])
        probabilities = head.answers(vectors) if least is None else head.probabilities(vectors)
        lowest = head.thresholds if least is None else np.full(len(head.labels), least, np.float32)
        found = [
            Prediction(head.labels[i], float(row[i]), place.box if self.detectors else None)
            for place, row in zip(places, probabilities, strict=True)
            for i in np.flatnonzero(row >= lowest).tolist()
        ]
        return sorted(found, key=lambda one: -one.probability)

    def regions(self, picture: Picture) -> list[Detection]:
        """What the detectors find, whatever they call it; of two on the same place the surer one."""
        found: list[Detection] = []
        for detector in self.detectors:
            found += detector.detect(picture, dict.fromkeys(detector.labels, REGION_SCORE))
        kept: list[Detection] = []
        for one in sorted(found, key=lambda detection: -detection.score):
            if all(one.box.iou(other.box) < 0.6 for other in kept):
                kept.append(replace(one, landmarks=()))
        return kept

    def _check(self, learn: Sequence[Example], test: Sequence[Example]) -> None:
        if any(example.boxed for example in learn) and not self.detectors:
            raise InputError(
                "the examples have boxes, and no detector is named that finds such regions",
                "name one with --detector",
                code="detector",
            )
        if not any(example.marks for example in learn):
            raise InputError("no picture shows any label", "give a folder for each label", code="labels")
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

    def _rows(self, examples: Sequence[Example], variants: int, testing: bool = False) -> Rows:
        rows = Rows()
        random = np.random.default_rng(SEED)
        for group, example in enumerate(examples):
            try:
                picture = pictures.read(example.path)
            except InputError as error:
                rows.problems.append(error.message)
            else:
                places = self._places(picture, example, testing, rows)
                for place, labels in places:
                    for vector in self._embedded(picture, place, variants, random):
                        rows.vectors.append(vector)
                        rows.labels.append(labels)
                        rows.groups.append(group)
                rows.used.append(example)
            self._progress()
        return rows

    def _places(
        self, picture: Picture, example: Example, testing: bool, rows: Rows
    ) -> Iterator[tuple[Box, frozenset[str]]]:
        if not self.detectors:
            yield WHOLE, example.labels
            return
        marks = [mark for mark in example.marks if mark.box is not None]
        regions = [region.box for region in self.regions(picture)]
        overlaps = np.array([[region.iou(mark.box) for mark in marks if mark.box] for region in regions]).reshape(
            len(regions), len(marks)
        )
        for i, mark in enumerate(marks):
            if not testing and mark.box is not None:
                yield mark.box, frozenset({mark.label})
            elif testing and (not regions or overlaps[:, i].max() < SAME):
                rows.missed.append(frozenset({mark.label}))
        negatives = 0
        for region, row in zip(regions, overlaps, strict=True):
            best = int(row.argmax()) if len(row) else -1
            if best >= 0 and row[best] >= SAME:
                yield region, frozenset({marks[best].label})
            elif (testing or negatives < NEGATIVES) and (best < 0 or row[best] < OTHER):
                negatives += 1
                yield region, frozenset()

    def _embedded(self, picture: Picture, box: Box, variants: int, random: np.random.Generator) -> Iterator[FloatArray]:
        crop = self.embedder.crop(picture, _detection(box))
        versions: Iterable[ByteArray] = [crop, *(varied(crop, random, number) for number in range(variants))]
        for one in versions:
            small = Picture(one, "rgb", one.shape[1], one.shape[0])
            yield self.embedder.embed(small, [_detection(WHOLE)])[0].vector


def check_space(version: Version, embedder: Embedder) -> None:
    """Raises SpaceError where a version was learned in another space than ``embedder`` makes."""
    if version.space != embedder.space.fingerprint:
        raise SpaceError(
            f"labels {version.name!r} version {version.number}: expected embeddings of {version.space}, "
            f"got {embedder.space.fingerprint}",
            "train them again with this base and runtime",
            code="space",
        )


def varied(crop: ByteArray, random: np.random.Generator, number: int) -> ByteArray:
    """Another view of (height, width, 3) pixels: a part of it, every other one mirrored, brighter or darker."""
    height, width = crop.shape[:2]
    share = float(random.uniform(0.7, 0.95))
    rows, columns = round(height * share), round(width * share)
    top, left = int(random.integers(0, height - rows + 1)), int(random.integers(0, width - columns + 1))
    part = cv2.resize(crop[top : top + rows, left : left + columns], (width, height), interpolation=cv2.INTER_LINEAR)
    if number % 2 == 0:
        part = part[:, ::-1]
    lit = part.astype(np.float32) * float(random.uniform(0.7, 1.3)) + float(random.uniform(-15, 15))
    bright: ByteArray = np.clip(lit, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(bright)


def load(base: str, detectors: Sequence[str], settings: Settings, state: Path) -> Teacher:
    """The teacher of these models. Raises NotFoundError, ModelError."""
    from edge.inference.load import load_detector, load_embedder

    embedder = load_embedder(base, settings.models, state)
    return Teacher(embedder, [load_detector(name, settings.models, state) for name in detectors])


def _detection(box: Box) -> Detection:
    return Detection("region", 1.0, box)


def _stacked(rows: Rows, dimensions: int) -> FloatArray:
    return np.stack(rows.vectors) if rows.vectors else np.zeros((0, dimensions), np.float32)
