"""Uncertainty sampling of custom labels: questions about results near a threshold and pictures without a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.core.imaging.drawing import square_jpeg
from edge.core.types import WHOLE, Detection
from edge.labels import classifier
from edge.recognition.review.pictures import ProposedBox, ReviewPicture, stored_jpeg
from edge.recognition.review.question import Nearest, Reason, ReviewQuestion

if TYPE_CHECKING:
    from edge.core.types import Embedding, FloatArray, Picture
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.labels.classifier import LabelLook
    from edge.labels.head import Head
    from edge.labels.version import Version

NEAR = 0.15
"""maximum distance of a probability from the threshold for a question"""
FURTHER = 5
"""maximum labels per question"""
SIDE, MARGIN = 224, 0.1
"""side of a question's picture in pixels, and the margin around a region as a fraction of it"""
LONGEST_SOURCE = 200
"""maximum characters of a picture's name"""


@dataclass(frozen=True, slots=True)
class PictureQuestions:
    """The questions about one picture, and the picture if its boxes can be corrected."""

    questions: list[ReviewQuestion]
    picture: ReviewPicture | None = None


@dataclass(frozen=True)
class LabelQuestions:
    """Creates questions of one version about pictures. Not thread-safe."""

    version: Version
    head: Head
    embedder: Embedder
    detectors: Sequence[Detector]

    def of(self, picture: Picture, source: str, now: float) -> PictureQuestions:
        """The questions about a picture. ``source``: its name. ``now``: seconds since the epoch."""
        looked = classifier.look(self.version, self.embedder, self.detectors, picture)
        answers = self.head.answers(looked.vectors)
        questions = self._questions(picture, source, now, looked, answers)
        if not questions or not self.version.detectors:
            return PictureQuestions(questions)
        proposed = tuple(
            ProposedBox(self.head.labels[best], place.box.clipped(), float(row[best]), bool(row[best] >= threshold))
            for place, row in zip(looked.places, answers, strict=True)
            for best in [int((row - self.head.thresholds).argmax())]
            for threshold in [self.head.thresholds[best]]
            if row[best] >= max(threshold - NEAR, threshold / 2)
        )
        return PictureQuestions(questions, ReviewPicture(self.version.name, now, stored_jpeg(picture), proposed))

    def _questions(
        self, picture: Picture, source: str, now: float, looked: LabelLook, answers: FloatArray
    ) -> list[ReviewQuestion]:
        found = [
            self._question(picture, source, now, "threshold", place, embedding, vector, row, doubtful)
            for place, embedding, vector, row in zip(
                looked.places, looked.embeddings, looked.vectors, answers, strict=True
            )
            if (doubtful := self._doubtful(row)) is not None
        ]
        if found or (answers >= self.head.thresholds).any():
            return found
        whole = classifier.look_at(self.version, self.embedder, picture, [Detection("picture", 1.0, WHOLE)])
        row = self.head.answers(whole.vectors)[0]
        best = int(row.argmax())
        return [
            self._question(
                picture, source, now, "unmatched", whole.places[0], whole.embeddings[0], whole.vectors[0], row, best
            )
        ]

    def _doubtful(self, row: FloatArray) -> int | None:
        """Index of the label with the probability nearest to its threshold; None if none is near."""
        away = np.abs(row - self.head.thresholds)
        away[row <= 0] = np.inf
        nearest = int(away.argmin())
        return nearest if away[nearest] <= NEAR else None

    def _question(
        self,
        picture: Picture,
        source: str,
        now: float,
        reason: Reason,
        place: Detection,
        embedding: Embedding,
        vector: FloatArray,
        row: FloatArray,
        label: int,
    ) -> ReviewQuestion:
        names = self.head.labels
        best = np.argsort(-row)[:FURTHER].tolist()
        return ReviewQuestion(
            reason=reason,
            time=now,
            camera=source[-LONGEST_SOURCE:],
            track="",
            label=place.label,
            collection="",
            space=embedding.space,
            box=place.box,
            score=place.score,
            quality=embedding.quality.score,
            subject=names[label],
            nearest=tuple(Nearest(names[i], "", float(row[i])) for i in best if row[i] > 0),
            vector=vector,
            crop=square_jpeg(picture, place.box, SIDE, MARGIN if place.box != WHOLE else 0.0),
            version=f"{self.version.name}/{self.version.number}",
        )
