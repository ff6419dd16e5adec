"""Protocols of a detector and an embedder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from edge.core.types import Detection, Embedding, Picture, Quality, Space


class DetectionModel(Protocol):
    """Detects labels in a picture."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> tuple[int, int]: ...
    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]: ...


class EmbeddingModel(Protocol):
    """Embeds detections as unit vectors."""

    @property
    def space(self) -> Space: ...
    @property
    def quality_floor(self) -> float: ...
    def assess(self, picture: Picture, detection: Detection) -> Quality: ...
    def embed(self, picture: Picture, detections: Sequence[Detection]) -> list[Embedding]: ...
