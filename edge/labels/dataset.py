"""Dataset builder: examples as training and test rows, which are embeddings with their labels.

Whole pictures are embedded as they are. If examples have boxes, the boxes are embedded, and the regions that
detectors find: regions that match a box as further examples of it, other regions as negative examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.core.errors import InputError
from edge.core.imaging import image as pictures
from edge.core.types import WHOLE, Box, Detection, Picture
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.labels.classifier import regions, seen
from edge.labels.examples import Annotation, ConfirmedExample, Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import ByteArray, FloatArray

SAME, OTHER = 0.5, 0.3
"""IoU from which a region matches a box, and below which it does not"""
NEGATIVES = 5
"""maximum regions of one picture that are used as negative examples"""
SEED = 7


@dataclass(slots=True)
class TrainingRows:
    """Embeddings with their labels; ``groups``: the number of the source picture of each."""

    vectors: list[FloatArray] = field(default_factory=list)
    labels: list[frozenset[str]] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    """detector label of each place; empty if no detector found it"""
    groups: list[int] = field(default_factory=list)
    missed: list[frozenset[str]] = field(default_factory=list)
    """boxes without a matching region"""
    used: list[Example] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """pictures that could not be read"""

    @property
    def regions(self) -> tuple[str, ...]:
        """Detector labels of the regions that show a custom label, in alphabetical order."""
        return tuple(sorted({name for name, labels in zip(self.called, self.labels, strict=True) if name and labels}))

    def within(self, regions: Sequence[str]) -> TrainingRows:
        """The rows without regions of other detector labels; their custom labels count as missed."""
        kept = [i for i, name in enumerate(self.called) if not name or name in regions]
        gone = [self.labels[i] for i in range(len(self.labels)) if i not in set(kept) and self.labels[i]]
        return replace(
            self,
            vectors=[self.vectors[i] for i in kept],
            labels=[self.labels[i] for i in kept],
            called=[self.called[i] for i in kept],
            groups=[self.groups[i] for i in kept],
            missed=[*self.missed, *gone],
        )

    def truth(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Labels of the rows: (vectors and missed boxes, names)."""
        place = {name: i for i, name in enumerate(names)}
        found = np.zeros((len(self.labels) + len(self.missed), len(names)), bool)
        for row, labels in enumerate([*self.labels, *self.missed]):
            found[row, [place[label] for label in labels if label in place]] = True
        return found

    def stacked(self, dimensions: int, regions: Sequence[str]) -> FloatArray:
        """Inputs of the head for all rows: (rows, dimensions + regions)."""
        vectors = np.stack(self.vectors) if self.vectors else np.zeros((0, dimensions), np.float32)
        return seen(vectors, self.called, regions)


def rows_of(
    examples: Sequence[Example],
    embedder: Embedder,
    detectors: Sequence[Detector],
    variants: int,
    testing: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> TrainingRows:
    """Embed every example. ``variants``: augmented versions per place; ``testing``: only detected regions."""
    rows = TrainingRows()
    random = np.random.default_rng(SEED)
    for group, example in enumerate(examples):
        try:
            picture = pictures.read(example.path)
        except InputError as error:
            rows.problems.append(error.message)
        else:
            for place, labels, called in _places(picture, example, detectors, testing, rows):
                for vector in _embedded(embedder, picture, place, variants, random):
                    rows.vectors.append(vector)
                    rows.labels.append(labels)
                    rows.called.append(called)
                    rows.groups.append(group)
            rows.used.append(example)
        progress()
    return rows


def confirmed_regions(
    picture: Picture,
    marks: Sequence[Annotation],
    embedder: Embedder,
    detectors: Sequence[Detector],
    regions: Sequence[str],
    question: int,
) -> list[ConfirmedExample]:
    """Examples of a picture with a reviewer's boxes: each box, and detected ``regions`` without a box (negative)."""
    rows = TrainingRows()
    random = np.random.default_rng(SEED)
    for place, labels, called in _places(picture, Example(Path(), tuple(marks)), detectors, False, rows):
        rows.vectors += _embedded(embedder, picture, place, 0, random)
        rows.labels.append(labels)
        rows.called.append(called)
        rows.groups.append(0)
    within = rows.within(regions)
    stacked = within.stacked(embedder.space.dimensions, regions)
    return [
        ConfirmedExample(question, next(iter(labels), None), vector)
        for labels, vector in zip(within.labels, stacked, strict=True)
    ]


def varied(crop: ByteArray, random: np.random.Generator, number: int) -> ByteArray:
    """Augmented (height, width, 3) crop: random crop and brightness, every other one mirrored."""
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


def _places(
    picture: Picture, example: Example, detectors: Sequence[Detector], testing: bool, rows: TrainingRows
) -> Iterator[tuple[Box, frozenset[str], str]]:
    """Each place with its custom labels and its detector label."""
    if not detectors:
        yield WHOLE, example.labels, ""
        return
    marks = [mark for mark in example.marks if mark.box is not None]
    found = regions(detectors, picture)
    overlaps = np.array([[region.box.iou(mark.box) for mark in marks if mark.box] for region in found]).reshape(
        len(found), len(marks)
    )
    for i, mark in enumerate(marks):
        best = int(overlaps[:, i].argmax()) if found else -1
        lies = best >= 0 and overlaps[best, i] >= SAME
        if not testing and mark.box is not None:
            yield mark.box, frozenset({mark.label}), found[best].label if lies else ""
        elif not lies:
            rows.missed.append(frozenset({mark.label}))
    negatives = 0
    for place, (region, row) in enumerate(zip(found, overlaps, strict=True)):
        best = int(row.argmax()) if len(row) else -1
        if best >= 0 and row[best] >= SAME:
            # of several regions on one box, the test uses the one with the largest overlap
            if not testing or int(overlaps[:, best].argmax()) == place:
                yield region.box, frozenset({marks[best].label}), region.label
        elif (testing or negatives < NEGATIVES) and (best < 0 or row[best] < OTHER):
            negatives += 1
            yield region.box, frozenset(), region.label


def _embedded(
    embedder: Embedder, picture: Picture, box: Box, variants: int, random: np.random.Generator
) -> Iterator[FloatArray]:
    crop = embedder.crop(picture, Detection("region", 1.0, box))
    versions: Iterable[ByteArray] = [crop, *(varied(crop, random, number) for number in range(variants))]
    for one in versions:
        small = Picture(one, "rgb", one.shape[1], one.shape[0])
        yield embedder.embed(small, [Detection("region", 1.0, WHOLE)])[0].vector
