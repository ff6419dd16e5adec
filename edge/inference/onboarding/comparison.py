"""Comparison of two models: acceptance test of a quantized model against its float original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ModelError
from edge.core.types import Detection

if TYPE_CHECKING:
    from edge.core.types import FloatArray

SAME_BOX = 0.5
"""intersection over union from which two boxes match"""
FEWEST = 10
"""minimum number of detections, or embeddings, for a comparison"""


@dataclass
class DetectionAgreement:
    """Agreement of a detector with the original, accumulated picture by picture."""

    found: int = 0
    """detections of both models"""
    missed: int = 0
    """detections of the original only"""
    added: int = 0
    """detections of the other model only"""
    overlaps: list[float] = field(default_factory=list)

    LOWEST = 0.9
    """minimum recall and precision"""

    def compare(self, original: Sequence[Detection], other: Sequence[Detection]) -> None:
        """Match the boxes of one picture, highest score first."""
        free = list(other)
        for wanted in original:
            best = max((d for d in free if d.label == wanted.label), key=lambda d: d.box.iou(wanted.box), default=None)
            if best is None or best.box.iou(wanted.box) < SAME_BOX:
                self.missed += 1
                continue
            free.remove(best)
            self.found += 1
            self.overlaps.append(best.box.iou(wanted.box))
        self.added += len(free)

    def figures(self) -> dict[str, float]:
        """Recall, precision and mean IoU relative to the original. Raises ModelError for too few detections."""
        if self.found + self.missed < FEWEST:
            raise ModelError(
                f"expected {FEWEST} or more detections of the original in the pictures, got {self.found + self.missed}",
                "use pictures that show the labels of the model",
            )
        return {
            "detections": self.found + self.missed,
            "recall": self.found / (self.found + self.missed),
            "precision": self.found / max(1, self.found + self.added),
            "overlap": float(np.mean(self.overlaps)) if self.overlaps else 0.0,
        }

    def passes(self) -> bool:
        """Whether the other model may replace the original."""
        figures = self.figures()
        return min(figures["recall"], figures["precision"]) >= self.LOWEST


@dataclass
class EmbeddingAgreement:
    """Cosines between the embeddings of two models, accumulated crop by crop."""

    cosines: list[float] = field(default_factory=list)

    LOWEST_MEAN = 0.93
    """an int8 MobileFaceNet that lost a tenth of a point on pairs of faces reaches 0.956, and 0.931 for the tenth"""
    LOWEST_TENTH = 0.88
    """of the worst tenth of the crops"""

    def compare(self, original: FloatArray, other: FloatArray) -> None:
        """Compare two (dimensions,) unit vectors of one crop."""
        self.cosines.append(float(original @ other))

    def figures(self) -> dict[str, float]:
        """Mean and tenth percentile of the cosines. Raises ModelError for too few crops."""
        if len(self.cosines) < FEWEST:
            raise ModelError(
                f"expected {FEWEST} or more crops in the pictures, got {len(self.cosines)}",
                "use more pictures that show the label of the model",
            )
        return {
            "crops": len(self.cosines),
            "mean_cosine": float(np.mean(self.cosines)),
            "tenth_cosine": float(np.quantile(self.cosines, 0.1)),
        }

    def passes(self) -> bool:
        """Whether the other model may replace the original."""
        figures = self.figures()
        return figures["mean_cosine"] >= self.LOWEST_MEAN and figures["tenth_cosine"] >= self.LOWEST_TENTH


Agreement = DetectionAgreement | EmbeddingAgreement
