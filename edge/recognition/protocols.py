"""What the pipeline asks of a search for subjects, and that of the rejections made in review."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge.core.types import Match, Space

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.inference.scoring import FaceScorer
    from edge.recognition.store.collection import Collection


class SubjectMatcher(Protocol):
    """Unit vectors (k, D) in, the most alike subjects of each out. ``edge.recognition.subject_search`` is one."""

    collection: Collection
    strangers: StrangerVectors | None
    """the site's, which are part of the cohort"""

    @property
    def scorer(self) -> FaceScorer:
        """What scores the collection's faces."""

    @property
    def name(self) -> str:
        """The collection's."""

    @property
    def count(self) -> int:
        """Subjects enrolled."""

    @property
    def needed(self) -> float:
        """Likeness 0..100 that a match must reach now."""

    def within(self, collection: Collection) -> SubjectMatcher:
        """The same search in another collection."""

    def subjects(self, vectors: FloatArray, space: Space | None = ..., most: int = ...) -> list[list[Match]]:
        """One match a subject, most alike first."""


class RejectionFilter(Protocol):
    """Takes the faces of a subject out of the matches of vectors (k, D) that somebody said are not that subject."""

    def held_away(
        self, collection: str, space: str, vectors: FloatArray, matches: list[list[Match]]
    ) -> list[list[Match]]:
        """``space``: fingerprint of the embedding space."""


class StrangerVectors(Protocol):
    """Embeddings of people who came by and are not enrolled."""

    def version(self) -> int:
        """Another number after every change."""

    def vectors(self, collection: str, space: str) -> FloatArray:
        """(n, dimensions) of length 1, oldest first; of ``collection`` and embedding space (fingerprint)."""
