"""Row of a collection in the store: its number, and the embedding space set by its first face."""

from __future__ import annotations

from dataclasses import dataclass

from edge.core.errors import NotFoundError, SpaceError
from edge.core.storage.sqlite import Connection


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """Row of a collection."""

    number: int
    created: float
    """seconds since the epoch"""
    space: str | None
    """fingerprint; None before the first face"""
    dimensions: int
    """0 before the first face"""


def find(db: Connection, name: str) -> CollectionRow | None:
    """The row, or None if there is no such collection."""
    sql = "SELECT id, created, space, coalesce(dimensions, 0) FROM collections WHERE name = ?"
    row = db.execute(sql, (name,)).fetchone()
    return None if row is None else CollectionRow(*row)


def get(db: Connection, name: str) -> CollectionRow:
    """The row of a collection. Raises NotFoundError."""
    row = find(db, name)
    if row is None:
        raise missing(name)
    return row


def claim(db: Connection, name: str, space: str, dimensions: int) -> int:
    """The collection's number; an empty collection takes ``space``. Raises NotFoundError, SpaceError."""
    row = get(db, name)
    if row.space == space:
        return row.number
    if row.space and db.execute("SELECT 1 FROM faces WHERE collection = ? LIMIT 1", (row.number,)).fetchone():
        raise other_space(name, row.space, space)
    db.execute("UPDATE collections SET space = ?, dimensions = ? WHERE id = ?", (space, dimensions, row.number))
    return row.number


def missing(name: str) -> NotFoundError:
    return NotFoundError(f"collection {name!r} does not exist", "edge collection list shows the existing ones")


def other_space(name: str, own: str, other: str) -> SpaceError:
    return SpaceError(
        f"collection {name!r}: expected embeddings of {own}, got {other}",
        f"enroll the pictures again into a new collection, or set back the embedder and the runtime that made {own}",
        code="space",
    )
