"""Whether two models say the same: the gate that a quantized model must pass beside its float original."""

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
"""intersection over union from which two boxes are one"""
FEWEST = 10
"""detections, or embeddings, below which nothing can be said"""


@dataclass
class DetectionAgreement:
    """How far a detector finds what the original finds. Fill it picture by picture."""

    found: int = 0
    """by both"""
    missed: int = 0
    """by the original alone"""
    added: int = 0
    """by the other alone"""
    overlaps: list[float] = field(default_factory=list)

    LOWEST = 0.9
    """of recall and of precision"""

    def compare(self, original: Sequence[Detection], other: Sequence[Detection]) -> None:
        """Pair the boxes of one picture, the surest first."""
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
        """Recall, precision and overlap beside the original. Raises ModelError where there was too little to see."""
        if self.found + self.missed < FEWEST:
            raise ModelError(
                f"the original found {self.found + self.missed} things in the pictures; {FEWEST} are needed to compare",
                "give pictures of what it is meant to find",
            )
        return {
            "detections": self.found + self.missed,
            "recall": self.found / (self.found + self.missed),
            "precision": self.found / max(1, self.found + self.added),
            "overlap": float(np.mean(self.overlaps)) if self.overlaps else 0.0,
        }

    def passes(self) -> bool:
        """Whether the other may take the original's place."""
        figures = self.figures()
        return min(figures["recall"], figures["precision"]) >= self.LOWEST


@dataclass
class EmbeddingAgreement:
    """How near the embeddings of two models are, crop by crop."""

    cosines: list[float] = field(default_factory=list)

    LOWEST_MEAN = 0.93
    """an int8 MobileFaceNet that lost a tenth of a point on pairs of faces reaches 0.956, and 0.931 for the tenth"""
    LOWEST_TENTH = 0.88
    """of the worst tenth of the crops"""

    def compare(self, original: FloatArray, other: FloatArray) -> None:
        """Two unit vectors of one crop."""
        self.cosines.append(float(original @ other))

    def figures(self) -> dict[str, float]:
        """Mean and tenth percentile of the cosines. Raises ModelError where there was too little to see."""
        if len(self.cosines) < FEWEST:
            raise ModelError(
                f"the pictures gave {len(self.cosines)} crops; {FEWEST} are needed to compare",
                "give more pictures of what it is meant to embed",
            )
        return {
            "crops": len(self.cosines),
            "mean_cosine": float(np.mean(self.cosines)),
            "tenth_cosine": float(np.quantile(self.cosines, 0.1)),
        }

    def passes(self) -> bool:
        """Whether the other may take the original's place."""
        figures = self.figures()
        return figures["mean_cosine"] >= self.LOWEST_MEAN and figures["tenth_cosine"] >= self.LOWEST_TENTH


Agreement = DetectionAgreement | EmbeddingAgreement
