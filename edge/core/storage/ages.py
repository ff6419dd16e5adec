"""How long rows of a database have been there, by trusted time: what wall time says in a row is a label.

A row is as old as the time since it was first counted here. Rows of a table ``kind`` are known by their integer ``id``.
"""

from __future__ import annotations

from edge.core.storage.sqlite import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS ages (
    kind TEXT NOT NULL, id INTEGER NOT NULL, trusted REAL NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
"""


def count(db: Connection, kind: str, now: float) -> None:
    """New rows start at ``now`` (trusted time); deleted rows are removed from the table of ages."""
    db.execute(f"INSERT OR IGNORE INTO ages SELECT ?, id, ? FROM {kind}", (kind, now))  # noqa: S608
    db.execute(f"DELETE FROM ages WHERE kind = ? AND id NOT IN (SELECT id FROM {kind})", (kind,))  # noqa: S608
    db.execute("UPDATE ages SET trusted = ? WHERE kind = ? AND trusted > ?", (now, kind, now))


def touch(db: Connection, kind: str, number: int, now: float) -> None:
    """The row's age starts now."""
    db.execute("INSERT OR REPLACE INTO ages VALUES (?, ?, ?)", (kind, number, now))


def expire(db: Connection, kind: str, now: float, seconds: float) -> int:
    """Delete the rows that are older; how many. In a transaction of the caller's."""
    count(db, kind, now)
    old = f"DELETE FROM {kind} WHERE id IN (SELECT id FROM ages WHERE kind = ? AND trusted < ?)"  # noqa: S608
    return db.execute(old, (kind, now - seconds)).rowcount
