"""Users of a collection, and what becomes of faces that are tied to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["CREATED", "ACTIVE"]
Reason = Literal["FACE_NOT_FOUND", "ASSOCIATED_TO_A_DIFFERENT_USER", "LOW_MATCH_CONFIDENCE", "FULL"]


@dataclass(frozen=True, slots=True)
class User:
    """A named person of a collection."""

    row: int
    """grows in the order of creation"""
    user_id: str
    faces: int

    @property
    def status(self) -> Status:
        return "ACTIVE" if self.faces else "CREATED"


@dataclass(frozen=True, slots=True)
class UserMatch:
    """A user beside its similarity to a query."""

    user_id: str
    similarity: float
    """cosine, -1..1"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A face that was not tied to a user, or not untied."""

    face_id: str
    reason: Reason
    user_id: str | None = None
    """who has it instead"""
    similarity: float | None = None
    """cosine to the user's vector, where that was the reason"""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the faces of one call. A face that already was as asked is in neither list."""

    done: tuple[str, ...]
    refused: tuple[Refusal, ...]
    user: User
