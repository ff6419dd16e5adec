"""Models and collections that belong together, and what the pipeline asks of each.

A ``ModelSet`` is immutable: replacing the reference between two frames is how a release is switched, so one frame sees
one release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from edge.core.types import Embedding, Track
from edge.inference.protocols import DetectionModel, EmbeddingModel
from edge.labels.protocols import LabelClassifier
from edge.pipeline.tracking.identity_voting import VotingRules
from edge.recognition.protocols import StrangerVectors, SubjectMatcher


class StrangerObserver(StrangerVectors, Protocol):
    """Knows strangers again: gives their tracks a pseudonym, and shows searches what strangers look like here."""

    def look(self, track: Track, embedding: Embedding, recognizer: FaceRecognizer) -> None:
        """After the vote of each embedding of a track."""

    def left(self, track: Track) -> None:
        """The track has ended."""


@dataclass(frozen=True, slots=True)
class FaceRecognizer:
    """How one label is named."""

    embedder: EmbeddingModel
    search: SubjectMatcher
    rules: VotingRules


@dataclass(frozen=True, slots=True)
class ModelSet:
    """Models and collections that belong together."""

    release: str
    detectors: Mapping[str, DetectionModel]
    """by name"""
    scores: Mapping[str, float]
    """lowest detector score that starts a track, by label"""
    recognizers: Mapping[str, FaceRecognizer]
    """by label; labels without are detected and not named"""
    tellers: Mapping[str, LabelClassifier] = field(default_factory=dict)
    """custom labels, by the name that cameras have for them"""
