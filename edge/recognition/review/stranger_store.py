"""Stranger store: unknown faces, stored separately from collections, so that they are not exported or published.

A stranger seen once has embeddings and no number; one seen again has the pseudonym ``unknown-7``. A number
is never reused. Naming a stranger enrolls its embeddings and deletes the stranger.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.core.errors import NotFoundError
from edge.core.settings.services import StrangerSettings
from edge.core.storage import ages
from edge.core.storage.sqlite import Connection, Database
from edge.core.storage.vault import Vault
from edge.core.types import Space
from edge.recognition.review.database import STRANGER

if TYPE_CHECKING:
    from edge.core.types import FloatArray

PREFIX = "unknown-"
PSEUDONYM = re.compile(rf"{PREFIX}([1-9][0-9]{{0,8}})")
SELECT = """SELECT strangers.*, coalesce(ages.trusted, 0.0) AS trusted FROM strangers
    LEFT JOIN ages ON ages.kind = 'strangers' AND ages.id = strangers.id"""
RESERVED = 16
"""size of a reserved block of numbers; a crash skips the rest of it, no number is reused"""


@dataclass(slots=True)
class Stranger:
    """A person outside the collection."""

    id: int
    """id of the row; 0: not stored yet"""
    number: int | None
    """number of the pseudonym; None: seen only once"""
    collection: str
    label: str
    space: Space
    first: float
    """seconds since the epoch"""
    last: float
    times: int
    """number of ended tracks"""
    quality: float
    """quality of the best embedding, 0..1"""
    looks: FloatArray
    """(k, dimensions) unit vectors, k >= 1"""
    trusted: float = 0.0
    """trusted time of the last write, seconds since the epoch; ``first`` and ``last`` are informational"""
    seen: float | None = None
    """monotonic time of the latest track's end in this process, seconds"""

    @property
    def name(self) -> str | None:
        return None if self.number is None else f"{PREFIX}{self.number}"


class StrangerStore:
    """The strangers of a state folder's ``review.sqlite``. Thread-safe. Raises StoreError."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        """``now``: trusted time, seconds since the epoch."""
        self._db = database
        self.now = now

    def all(self) -> list[Stranger]:
        """All strangers, the one seen last comes last."""
        with self._db.reading() as db:
            return [_stranger(db.vault, row) for row in db.execute(f"{SELECT} ORDER BY 11, strangers.id")]

    def get(self, name: str) -> Stranger:
        """The stranger of a pseudonym. Raises NotFoundError."""
        found = PSEUDONYM.fullmatch(name)
        number = int(found[1]) if found else -1
        with self._db.reading() as db:
            row = db.execute(f"{SELECT} WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise NotFoundError(f"there is no stranger {name!r}", "edge strangers list shows the stored ones")
            return _stranger(db.vault, row)

    def put(self, strangers: Sequence[Stranger], settings: StrangerSettings) -> None:
        """Store strangers, set their ids, delete expired and surplus ones. Deleted ones stay deleted."""
        now = self.now()
        with self._db.writing() as db:
            for one in strangers:
                one.trusted = now
                _put(db, one)
            ages.expire(db, "strangers", now, settings.days * 86400)
            for kind in ("number IS NULL", "number IS NOT NULL"):
                newest = f"SELECT id FROM ({SELECT}) WHERE {kind} ORDER BY trusted DESC, id DESC LIMIT ?"  # noqa: S608
                db.execute(f"DELETE FROM strangers WHERE {kind} AND id NOT IN ({newest})", (settings.most,))  # noqa: S608

    def expire(self, settings: StrangerSettings) -> None:
        """Delete expired strangers."""
        with self._db.writing() as db:
            ages.expire(db, "strangers", self.now(), settings.days * 86400)

    def remove(self, ids: Collection[int]) -> int:
        """Delete strangers by row id; returns the number of deleted ones."""
        with self._db.writing() as db:
            return sum(db.execute("DELETE FROM strangers WHERE id = ?", (one,)).rowcount for one in ids)

    def restore(self, stranger: Stranger) -> None:
        """Undo ``remove`` of one stranger."""
        stranger.id, stranger.trusted = 0, self.now()
        with self._db.writing() as db:
            _put(db, stranger)

    def reserve(self, following: int) -> int:
        """Reserve numbers below the returned one. ``following``: the next unused number; 0: as stored."""
        with self._db.writing() as db:
            row = db.execute("SELECT value FROM counters WHERE name = 'stranger'").fetchone()
            below = max(following, int(row[0]) if row and not following else 1) + RESERVED
            db.execute("INSERT OR REPLACE INTO counters VALUES ('stranger', ?)", (below,))
        return below

    def settle(self, following: int) -> None:
        """Release unused numbers: the next process continues with ``following``."""
        with self._db.writing() as db:
            db.execute("INSERT OR REPLACE INTO counters VALUES ('stranger', ?)", (following,))

    def version(self) -> int:
        """Number that changes with every commit of another connection."""
        return self._db.version()


def _put(db: Connection, one: Stranger) -> None:
    looks = db.vault.seal(one.looks.astype("<f4").tobytes(), STRANGER, one.collection, one.label, one.first)
    changing = (one.number, one.last, one.times, one.quality, looks)
    if one.id:
        sql = "UPDATE strangers SET number = ?, last = ?, times = ?, quality = ?, looks = ? WHERE id = ?"
        if db.execute(sql, (*changing, one.id)).rowcount:
            ages.touch(db, "strangers", one.id, one.trusted)
        return
    sql = (
        "INSERT INTO strangers (number, last, times, quality, looks, collection, label, space, first) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    row = (*changing, one.collection, one.label, json.dumps(asdict(one.space)), one.first)
    one.id = int(db.execute(sql, row).lastrowid or 0)
    ages.touch(db, "strangers", one.id, one.trusted)


def _stranger(vault: Vault, row: tuple[Any, ...]) -> Stranger:
    number, count, collection, label, fingerprint, first, last, times, quality, blob, trusted = row
    space = Space(**json.loads(fingerprint))
    data = vault.open(blob, STRANGER, collection, label, first)
    looks = np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, space.dimensions)
    return Stranger(number, count, collection, label, space, first, last, times, quality, looks, trusted)
