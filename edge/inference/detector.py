"""Detector: runs a detection model on a picture."""

from __future__ import annotations

from collections.abc import Mapping

from edge.core import plugins as registry
from edge.core.errors import ModelError
from edge.core.types import Box, Detection, Picture, Point
from edge.inference import nms
from edge.inference.decoders.base import Candidates, plain
from edge.inference.interpreter import Interpreter
from edge.inference.model import Model
from edge.inference.preprocess import Fit, Preparation

NOTHING = "n/a"
"""label of an unused class number"""


class Detector:
    """A detection model. Not thread-safe. Raises ModelError if card and file disagree."""

    def __init__(self, model: Model, interpreter: Interpreter) -> None:
        card = model.card
        if card.kind != "detector" or card.decoder is None:
            raise ModelError(f"model {card.name!r}: expected a detector, got a {card.kind}", "choose another model")
        self.model = model
        self.card = card
        self.interpreter = interpreter
        self.labels = tuple(label for label in card.decoder.labels if label != NOTHING)
        """labels that can be reported"""
        self.size = card.input.width, card.input.height
        """(width, height) of the input, pixels"""
        self._spec = card.decoder
        self._decode = registry.load("decoder", registry.DECODERS, card.decoder.name)
        self._preparation = Preparation(card.input, interpreter.input, f"model {card.name!r}")
        self._positions = interpreter.positions(card.decoder.tensors)

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        """Detections in the picture, highest score first.

        ``scores``: minimum score by label; labels that are absent are not reported. None: every label,
        with the card's threshold. Raises ModelError.
        """
        lowest = self._lowest(scores)
        if lowest is None:
            return []
        tensor, fit = self._preparation.whole(picture)
        self.interpreter.invoke(tensor)
        found = self._candidates(lowest)
        if not len(found.scores):
            return []
        kept = nms.keep(found.boxes, found.scores, found.classes, self.card.thresholds.iou)
        return [d for d in self._detections(found, kept, fit) if scores is None or d.score >= scores.get(d.label, 2.0)]

    def _candidates(self, lowest: float) -> Candidates:
        found: Candidates = self._decode([self.interpreter.output(i) for i in self._positions], self._spec, lowest)
        return found

    def _lowest(self, scores: Mapping[str, float] | None) -> float | None:
        """The lowest minimum score of any label; None if no label is requested."""
        if scores is None:
            return self.card.thresholds.score
        return min((scores[label] for label in self.labels if label in scores), default=None)

    def _detections(self, found: Candidates, kept: list[int], fit: Fit) -> list[Detection]:
        # Python numbers from here: for the few remaining boxes, one array operation costs more than all of them
        labels = self._spec.labels
        classes, scores, boxes = plain(found.classes, kept), plain(found.scores, kept), plain(found.boxes, kept)
        landmarks = [()] * len(kept) if found.landmarks is None else plain(found.landmarks, kept)
        # Fit.back inlined, for seven points per face
        wide, high, aside, down = fit.scale_x, fit.scale_y, fit.offset_x, fit.offset_y
        detections = []
        for number, score, (left, top, right, bottom), five in zip(classes, scores, boxes, landmarks, strict=True):
            if 0 <= number < len(labels) and labels[number] != NOTHING and left < right and top < bottom:
                box = Box((left - aside) / wide, (top - down) / high, (right - aside) / wide, (bottom - down) / high)
                points = tuple([Point((x - aside) / wide, (y - down) / high) for x, y in five])
                detections.append(Detection(labels[number], min(1.0, score), box, points))
        return detections
