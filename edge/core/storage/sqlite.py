"""A small SQLite file of our own: private, durable, one connection behind a lock."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.core.errors import StoreError
from edge.core.storage import vault
from edge.core.storage.damaged import is_damage
from edge.core.storage.vault import PLAIN, Vault

SETUP = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
"""secure_delete: what was forgotten must not be found in a free page"""
BUSY_SECONDS = 10.0
"""that a statement waits for another process"""


class Connection(sqlite3.Connection):
    """A connection that knows how the values of its file are stored."""

    vault: Vault = PLAIN


def connect(path: Path | str, timeout: float, uri: bool = False) -> Connection:
    """For any thread, each statement a transaction of its own until one is begun. Raises sqlite3.Error."""
    return sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False, uri=uri, factory=Connection
    )


@contextmanager
def rewriting(path: Path) -> Iterator[Connection]:
    """A transaction on a file that nobody else has open; then the file is written anew, without what was in it.

    Raises StoreError: where the transaction failed, nothing has changed.
    """
    try:
        with contextlib.closing(connect(path, timeout=BUSY_SECONDS)) as db:
            db.executescript("PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
            db.execute("VACUUM")
            busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be rewritten: {error}", "check the space on disk, and try again") from error
    if busy:
        raise StoreError(f"{path}: another program has it open, and its log is not yet empty", "end it, and try again")


class Database:
    """For any thread; several processes may have the file open. Raises StoreError.

    ``schema``: statements that make what is not there yet (``CREATE TABLE IF NOT EXISTS ...``).
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        opened = vault.of(path.parent)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # only a new file: to open and close one that SQLite has open would drop this process's locks on it
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._db = connect(path, timeout=BUSY_SECONDS)
            self._db.vault = opened
            self._db.executescript(SETUP + schema)
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error, "cannot be opened", "check its owner, and the space on disk") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise self._explained(error, "failed", "check the space on disk") from error

    def _explained(self, error: Exception, what: str, hint: str) -> StoreError:
        if is_damage(error):
            hint = "restart the daemon: it sets the file aside and goes on; without one, move the file away"
            return StoreError(f"{self.path}: is damaged: {error}", hint)
        return StoreError(f"{self.path}: {what}: {error}", hint)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
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
