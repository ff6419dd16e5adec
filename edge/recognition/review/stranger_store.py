"""Strangers: unknown faces, stored apart from collections, so that none is exported or published.

A stranger that was seen once has looks and no number; one that came again has the pseudonym ``unknown-7``. A number
is never given twice. Naming one makes its looks faces of a collection, and the stranger is no more.
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
"""numbers that may be given before the next write; a crash skips them, and none comes twice"""


@dataclass(slots=True)
class Stranger:
    """A person who is not in the collection."""

    id: int
    """of its row; 0: not stored yet"""
    number: int | None
    """None: has not come again"""
    collection: str
    label: str
    space: Space
    first: float
    """seconds since the epoch"""
    last: float
    times: int
    """tracks that ended"""
    quality: float
    """of its best look, 0..1"""
    looks: FloatArray
    """(k, dimensions) unit vectors, k >= 1"""
    trusted: float = 0.0
    """trusted time, seconds since the epoch, at which it was stored last; ``first`` and ``last`` are labels"""
    seen: float | None = None
    """monotonic seconds of its latest track's end, where that was in this process"""

    @property
    def name(self) -> str | None:
        return None if self.number is None else f"{PREFIX}{self.number}"


class StrangerStore:
    """The strangers of a state folder's ``review.sqlite``. Any thread. Raises StoreError."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        """``now``: trusted time, seconds since the epoch."""
        self._db = database
        self.now = now

    def all(self) -> list[Stranger]:
        """The one seen last comes last."""
        with self._db.reading() as db:
            return [_stranger(db.vault, row) for row in db.execute(f"{SELECT} ORDER BY 11, strangers.id")]

    def get(self, name: str) -> Stranger:
        """By its pseudonym. Raises NotFoundError."""
        found = PSEUDONYM.fullmatch(name)
        number = int(found[1]) if found else -1
        with self._db.reading() as db:
            row = db.execute(f"{SELECT} WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise NotFoundError(f"there is no stranger {name!r}", "edge strangers list shows those that are kept")
            return _stranger(db.vault, row)

    def put(self, strangers: Sequence[Stranger], settings: StrangerSettings) -> None:
        """Store them; ids are set. One that was deleted meanwhile stays deleted. Those too old, or too many, go."""
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
        """Those too old go, also where nobody comes."""
        with self._db.writing() as db:
            ages.expire(db, "strangers", self.now(), settings.days * 86400)

    def remove(self, ids: Collection[int]) -> int:
        """Delete strangers by the ids of their rows; how many were there."""
        with self._db.writing() as db:
            return sum(db.execute("DELETE FROM strangers WHERE id = ?", (one,)).rowcount for one in ids)

    def restore(self, stranger: Stranger) -> None:
        """Put back one that was removed."""
        stranger.id, stranger.trusted = 0, self.now()
        with self._db.writing() as db:
            _put(db, stranger)

    def reserve(self, following: int) -> int:
        """Numbers below the returned one may be given. ``following``: the next that is not given yet; 0: go on."""
        with self._db.writing() as db:
            row = db.execute("SELECT value FROM counters WHERE name = 'stranger'").fetchone()
            below = max(following, int(row[0]) if row and not following else 1) + RESERVED
            db.execute("INSERT OR REPLACE INTO counters VALUES ('stranger', ?)", (below,))
        return below

    def settle(self, following: int) -> None:
        """No more numbers are given: the next process goes on with ``following``."""
        with self._db.writing() as db:
            db.execute("INSERT OR REPLACE INTO counters VALUES ('stranger', ?)", (following,))

    def version(self) -> int:
        """Moves whenever somebody else has committed."""
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
