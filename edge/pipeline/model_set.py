"""The model set: models and collections that are used together.

A ``ModelSet`` is immutable: replacing the reference between two frames is how a release is switched, so one frame sees
one release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.inference.protocols import DetectionModel, EmbeddingModel
from edge.labels.classifier import LabelClassifier
from edge.pipeline.tracking.identity_voting import VotingRules

if TYPE_CHECKING:
    from edge.inference.face_attributes import AttributeModel
    from edge.inference.text_recognizer import TextRecognizer
    from edge.recognition.subject_search import SubjectSearch


@dataclass(frozen=True, slots=True)
class FaceRecognizer:
    """Recognition of one label."""

    embedder: EmbeddingModel
    search: SubjectSearch
    rules: VotingRules


@dataclass(frozen=True, slots=True)
class ModelSet:
    """Models and collections that are used together."""

    release: str
    detectors: Mapping[str, DetectionModel]
    """by name"""
    scores: Mapping[str, float]
    """lowest detector score that starts a track, by label"""
    recognizers: Mapping[str, FaceRecognizer]
    """by label; labels without are detected and not named"""
    classifiers: Mapping[str, LabelClassifier] = field(default_factory=dict)
    """custom labels, by the name that cameras have for them"""
    text_recognizer: TextRecognizer | None = None
    """where a camera detects the label ``text``"""
    attributes: AttributeModel | None = None
    """where the settings want attributes of faces in events"""
