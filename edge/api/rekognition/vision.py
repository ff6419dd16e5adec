"""The endpoint's own models: interpreters that the cameras do not wait for. Loaded when first asked for.

Only the models queue calls ``faces``, ``embed`` and ``things``: an interpreter serves one thread.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.api.rekognition.shapes import DetectedFace, model_version
from edge.core.errors import SettingsError
from edge.core.settings.schema import Settings
from edge.inference.pool import ModelPool
from edge.inference.tiling import Tiling

if TYPE_CHECKING:
    from edge.core.types import Detection, Embedding, Picture, Space
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.inference.face_attributes import AttributeModel
    from edge.inference.scoring import FaceScorer

log = logging.getLogger(__name__)

SURER = 0.36
"""of the way from the card's score to 1, that a face seen in a part alone must reach"""
MOST_FACES = 100
"""faces of one picture, the largest"""


class Vision:
    """Detectors and embedder of the settings, of one pool. ``closely``: look at parts of a still as well."""

    def __init__(self, settings: Settings, models: ModelPool, *, closely: bool = True) -> None:
        self._settings, self.models = settings, models
        self._tiles = settings.api.tiles if closely else 0
        self._told = False

    def load(self) -> None:
        """Have the models of the face operations ready. Raises SettingsError, ModelError or NotFoundError."""
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
        """Of new collections: digits and dots."""
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
        """Their embeddings, in order; ``still``: as Embedder.embed."""
        return self.embedder().embed(picture, [one.detection for one in faces], still=still)

    def things(self, picture: Picture, score: float) -> list[Detection]:
        """What all detectors see in a picture with at least this score 0..1."""
        found: list[Detection] = []
        if not self._told and not any(self._knows_more(name) for name in self._names()):
            log.warning("labels are those of faces alone: edge models get ssd-mobilenet-v1-coco --use adds objects")
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
        """``seen`` in the whole picture, and the small faces that its parts show: as many parts as it is large.

        A part must be surer: there are many of them, and each may take something for a face.
        """
        label = self._settings.api.label
        if not self._tiles or label not in detector.labels:
            return seen
        lowest = detector.card.thresholds.score
        raised = max(score, lowest + SURER * (1 - lowest))
        never = dict.fromkeys(detector.labels, 1.0)
        return Tiling(self._tiles).add(detector, seen, picture, scores={**never, label: raised})

    def must_know(self, label: str) -> None:
        """Raises SettingsError where no detector knows a label."""
        if not any(label in self.models.detector(name).labels for name in self._names()):
            raise SettingsError(
                f"none of the detectors {', '.join(self._names())} knows {label!r}",
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
                f"api: [labels.{self._settings.api.label}] names no embedder", "set api.embedder, or the label's"
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
            f"api: none of the detectors {', '.join(self._names())} knows the label {self._settings.api.label!r}",
            "name one that does in api.detectors",
        )
