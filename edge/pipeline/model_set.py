"""Models and collections that belong together, and what the pipeline asks of each.

A ``Bundle`` is immutable: replacing the reference between two frames is how a release is switched, so one frame sees
one release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edge.core.types import Detection, Embedding, Match, Picture, Quality, Space, Track
from edge.pipeline.tracking.identity_voting import Rules

if TYPE_CHECKING:
    from edge.core.types import FloatArray


class Detects(Protocol):
    """Picture in, detections out."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> tuple[int, int]: ...
    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]: ...


class Embeds(Protocol):
    """Detections in, unit vectors out."""

    @property
    def space(self) -> Space: ...
    def assess(self, picture: Picture, detection: Detection) -> Quality: ...
    def embed(self, picture: Picture, detections: Sequence[Detection]) -> list[Embedding]: ...


class Searches(Protocol):
    """Unit vectors (k, D) in, the matches of each out."""

    name: str

    def search(self, vectors: FloatArray, limit: int = ..., space: Space | None = ...) -> list[list[Match]]: ...
    def by_subject(self, vectors: FloatArray, found: Sequence[Sequence[Match]], most: int = ...) -> list[list[Match]]:
        """The nearest subjects of what was found, most alike first."""


class HoldsAway(Protocol):
    """Takes the faces of a subject out of the matches of vectors (k, D) that somebody said are not that subject."""

    def held_away(
        self, collection: str, space: Space, vectors: FloatArray, matches: list[list[Match]]
    ) -> list[list[Match]]: ...


class Remembers(Protocol):
    """Knows strangers again: gives their tracks a pseudonym."""

    def look(self, track: Track, embedding: Embedding, recogniser: Recogniser) -> None:
        """After the vote of each embedding of a track."""

    def left(self, track: Track) -> None:
        """The track has ended."""


@dataclass(frozen=True, slots=True)
class Recogniser:
    """How one label is named."""

    embedder: Embeds
    collection: Searches
    rules: Rules
    anchors: HoldsAway | None = None


class Tells(Protocol):
    """Unit vectors (k, D) in, the probability of each label out."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def thresholds(self) -> FloatArray: ...
    def answers(self, vectors: FloatArray) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Teller:
    """A version of custom labels with its backbone."""

    version: str
    """``helmets/3``"""
    embedder: Embeds
    head: Tells
    regions: tuple[str, ...] = ()
    """labels of the detectors whose tracks are told, which the head sees as well; empty: whole pictures are told"""


@dataclass(frozen=True, slots=True)
class Look:
    """One embedding of a track, and what the collection said of it."""

    track: Track
    embedding: Embedding
    matches: Sequence[Match]
    """one a subject, best first"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Models and collections that belong together."""

    release: str
    detectors: Mapping[str, Detects]
    """by name"""
    scores: Mapping[str, float]
    """lowest detector score that starts a track, by label"""
    recognisers: Mapping[str, Recogniser]
    """by label; labels without are detected and not named"""
    tellers: Mapping[str, Teller] = field(default_factory=dict)
    """custom labels, by the name that cameras have for them"""
