"""What the pipeline asks of a collection and of the rejections made in review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from edge.core.types import Match, Space

if TYPE_CHECKING:
    from edge.core.types import FloatArray


class FaceIndex(Protocol):
    """Unit vectors (k, D) in, the matches of each out."""

    name: str

    def search(self, vectors: FloatArray, limit: int = ..., space: Space | None = ...) -> list[list[Match]]: ...
    def by_subject(self, vectors: FloatArray, found: Sequence[Sequence[Match]], most: int = ...) -> list[list[Match]]:
        """The nearest subjects of what was found, most alike first."""


class RejectionFilter(Protocol):
    """Takes the faces of a subject out of the matches of vectors (k, D) that somebody said are not that subject."""

    def held_away(
        self, collection: str, space: Space, vectors: FloatArray, matches: list[list[Match]]
    ) -> list[list[Match]]: ...
