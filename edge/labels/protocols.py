"""Custom labels joined with their backbone, as the pipeline uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge.inference.protocols import EmbeddingModel

if TYPE_CHECKING:
    from edge.core.types import FloatArray


class ClassifierHead(Protocol):
    """Unit vectors (k, D) in, the probability of each label out."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def thresholds(self) -> FloatArray: ...
    def answers(self, vectors: FloatArray) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class LabelClassifier:
    """A version of custom labels with its backbone."""

    version: str
    """``helmets/3``"""
    embedder: EmbeddingModel
    head: ClassifierHead
    regions: tuple[str, ...] = ()
    """labels of the detectors whose tracks are told, which the head sees as well; empty: whole pictures are told"""
