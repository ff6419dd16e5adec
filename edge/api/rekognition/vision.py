"""Models of the endpoint, loaded on first use: separate interpreters, so that cameras do not wait for them.

Only the thread of the models queue may call ``faces``, ``embed`` and ``things``: interpreters are not thread-safe.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.api.rekognition.shapes import DetectedFace, model_version
from edge.api.rekognition.text_lines import TextWord
from edge.core.errors import SettingsError
from edge.core.settings.schema import Settings
from edge.inference.pool import ModelPool
from edge.inference.text_detection import detected_words
from edge.inference.tiling import Tiling

if TYPE_CHECKING:
    from edge.core.types import Detection, Embedding, Picture, Space
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.inference.face_attributes import AttributeModel
    from edge.inference.scoring import FaceScorer

log = logging.getLogger(__name__)

SURER = 0.36
"""how far from the card's score (0) to 1 (1) the score of a face found only in a tile must be"""
MOST_RECOGNIZED = 150
"""words per picture that are recognized, those with the highest scores"""
MOST_FACES = 100
"""faces per picture, the largest"""


class Vision:
    """Detectors and embedder of the settings, from one pool. ``closely``: also run on tiles of still pictures."""

    def __init__(self, settings: Settings, models: ModelPool, *, closely: bool = True) -> None:
        self._settings, self.models = settings, models
        self._tiles = settings.api.tiles if closely else 0
        self._told = False

    def load(self) -> None:
        """Load the models of the face operations. Raises SettingsError, ModelError or NotFoundError."""
        self.face_detector()
        self.embedder()

    @property
    def space(self) -> Space:
        return self.embedder().space

    @property
    def scorer(self) -> FaceScorer:
        return self.embedder().scorer

    @property
    def model_version(self) -> str:
        """Face model version of new collections: digits and dots."""
        return model_version(self.space.fingerprint)

    def faces(self, picture: Picture) -> list[DetectedFace]:
        """The faces of a picture with their quality, largest first, at most MOST_FACES."""
        detector = self.face_detector()
        seen = self._looked_closely(detector, detector.detect(picture), picture)
        found = [one for one in seen if one.label == self._settings.api.label]
        found.sort(key=lambda one: one.box.area, reverse=True)
        embedder = self.embedder()
        return [DetectedFace(one, embedder.assess(picture, one)) for one in found[:MOST_FACES]]

    def embed(self, picture: Picture, faces: Sequence[DetectedFace], *, still: bool) -> list[Embedding]:
        """Embeddings of the faces, in order; ``still``: as in Embedder.embed."""
        return self.embedder().embed(picture, [one.detection for one in faces], still=still)

    def words(self, picture: Picture) -> list[TextWord]:
        """Words of a picture with their text, at most MOST_RECOGNIZED. Raises NotFoundError or ModelError."""
        detector = self.models.detector(self._settings.api.text_detector)
        recognizer = self.models.recognizer(self._settings.api.text_recognizer)
        words = []
        for one in detected_words(detector, picture, self._tiles)[:MOST_RECOGNIZED]:
            first, second, third, fourth = one.landmarks
            read = recognizer.recognize(picture, one.landmarks)
            if read.text:
                words.append(TextWord(read.text, read.probability, (first, second, third, fourth)))
        return words

    def things(self, picture: Picture, score: float) -> list[Detection]:
        """Detections of all detectors with at least ``score`` (0..1)."""
        found: list[Detection] = []
        if not self._told and not any(self._knows_more(name) for name in self._names()):
            log.warning("only face labels are available; add objects with: edge models get ssd-mobilenet-v1-coco --use")
        self._told = True
        for name in self._names():
            detector = self.models.detector(name)
            seen = detector.detect(picture, dict.fromkeys(detector.labels, score))
            found += self._looked_closely(detector, seen, picture, score)
        return found

    def _knows_more(self, name: str) -> bool:
        return bool(set(self.models.detector(name).labels) - {self._settings.api.label})

    def _looked_closely(
        self, detector: Detector, seen: list[Detection], picture: Picture, score: float = 0.0
    ) -> list[Detection]:
        """``seen`` in the whole picture, and small faces found in tiles; larger pictures have more tiles.

        Tiles need a higher score: with many tiles, false detections are more likely.
        """
        label = self._settings.api.label
        if not self._tiles or label not in detector.labels:
            return seen
        lowest = detector.card.thresholds.score
        raised = max(score, lowest + SURER * (1 - lowest))
        never = dict.fromkeys(detector.labels, 1.0)
        return Tiling(self._tiles).add(detector, seen, picture, scores={**never, label: raised})

    def must_know(self, label: str) -> None:
        """Raises SettingsError where no detector has the label."""
        if not any(label in self.models.detector(name).labels for name in self._names()):
            raise SettingsError(
                f"none of the detectors {', '.join(self._names())} has the label {label!r}",
                "edge models get ssd-mobilenet-v1-coco --use",
            )

    def attribute_model(self) -> AttributeModel:
        """Raises NotFoundError or ModelError."""
        return self.models.attributes(self._settings.api.attribute_model)

    def embedder(self) -> Embedder:
        return self.models.embedder(self._settings.api.embedder or self._label_embedder())

    def _label_embedder(self) -> str:
        label = self._settings.labels.get(self._settings.api.label)
        if label is None or not label.embedder:
            raise SettingsError(
                f"api: [labels.{self._settings.api.label}] has no embedder", "set api.embedder, or the label's"
            )
        return label.embedder

    def _names(self) -> list[str]:
        cameras = (name for camera in self._settings.cameras for name in camera.detectors)
        return list(dict.fromkeys(self._settings.api.detectors or cameras))

    def face_detector(self) -> Detector:
        for name in self._names():
            detector = self.models.detector(name)
            if self._settings.api.label in detector.labels:
                return detector
        raise SettingsError(
            f"api: none of the detectors {', '.join(self._names())} has the label {self._settings.api.label!r}",
            "add a detector with this label to api.detectors",
        )
