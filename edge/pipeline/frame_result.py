"""The result of one frame: ``Pipeline.process`` returns it, and observers of a camera receive it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.core.types import Detection, Embedding, Event, Frame, Match, Track

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.labels.classifier import LabelClassifier
    from edge.pipeline.event_policy import CameraPresence
    from edge.pipeline.model_set import ModelSet


@dataclass(frozen=True, slots=True)
class Observation:
    """One embedding of a track, and its matches in the collection."""

    track: Track
    embedding: Embedding
    matches: Sequence[Match]
    """one per subject, best first"""


@dataclass(frozen=True, slots=True)
class LabelResult:
    """Probabilities of a version of custom labels for one track, or for the whole picture."""

    classifier: LabelClassifier
    track: Track | None
    """None: the whole picture"""
    embedding: Embedding
    vector: FloatArray
    """the input of the head"""
    answers: FloatArray
    """(labels,) probabilities, 0..1"""


@dataclass(slots=True)
class FrameStats:
    """Statistics of one frame: seconds by stage, and counts."""

    stages: dict[str, float] = field(default_factory=dict)
    moving: bool = True
    """whether motion was detected, where motion detection is on"""
    looked: bool = False
    """whether a detector ran"""
    detections: int = 0
    embeddings: int = 0
    declined: dict[str, int] = field(default_factory=dict)
    """crops not worth embedding, by reason code"""
    problems: dict[str, str] = field(default_factory=dict)
    """recognition errors, by part"""


@dataclass(slots=True)
class FrameResult:
    """The result of one frame. Tracks are those of the tracker: later frames change them."""

    frame: Frame
    models: ModelSet
    """the models and collections that the frame was processed with"""
    events: list[Event] = field(default_factory=list)
    tracks: Sequence[Track] = ()
    """followed after the frame: of labels that are reported, or that custom labels describe"""
    presence: CameraPresence | None = None
    """what is reported as present from this frame on; None where it has not changed"""
    observations: list[Observation] = field(default_factory=list)
    label_results: list[LabelResult] = field(default_factory=list)
    weak_detections: list[Detection] = field(default_factory=list)
    """below the score that starts a track, where review of them is enabled"""
    stats: FrameStats = field(default_factory=FrameStats)


class StageTimer:
    """Adds the seconds inside the block to a stage of a frame."""

    __slots__ = ("_began", "_name", "_stats")

    def __init__(self, stats: FrameStats, name: str) -> None:
        self._stats, self._name = stats, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._began
        self._stats.stages[self._name] = self._stats.stages.get(self._name, 0.0) + spent
