"""``review.sqlite``: small, private, and without traces of what was deleted."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import StoreError

FILE = "review.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS doubts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, reason TEXT NOT NULL, subject TEXT,
    document TEXT NOT NULL, vector BLOB NOT NULL, crop BLOB);
CREATE INDEX IF NOT EXISTS doubts_time ON doubts (time);
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, answer TEXT NOT NULL, subject TEXT, collection TEXT NOT NULL,
    label TEXT NOT NULL, face_id TEXT, crop BLOB);
CREATE TABLE IF NOT EXISTS anchors (
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, subject TEXT NOT NULL, space TEXT NOT NULL, time REAL NOT NULL,
    vector BLOB NOT NULL);
"""


class Database:
    """One connection behind a lock. Several processes may have the file open. Raises StoreError."""

    def __init__(self, state: Path) -> None:
        self.path = state / FILE
        self._lock = threading.RLock()
        try:
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            # what was deleted is overwritten: a face that was forgotten must not be found in a free page
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"{self.path}: cannot be opened: {error}", "check its owner, and the space on disk"
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {error}", "check the space on disk") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: on disk when the block has ended, or nothing of it."""
        with self.reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def version(self) -> int:
        """Moves whenever somebody else has committed."""
        with self.reading() as db:
            return int(db.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()
