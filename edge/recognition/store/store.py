"""``collections.sqlite``: the database of all collections.

WAL with synchronous=FULL: committed data survives a power failure. Several processes may open it; transactions
are short and serialized.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from edge.core.errors import BusyError, StoreError
from edge.core.storage import files, layout
from edge.core.storage import vault as vaults
from edge.core.storage.sqlite import (
    BUSY_SECONDS,
    HINT_READ_ONLY,
    Connection,
    check,
    connect,
    create_file,
    explained,
    explaining,
    transaction,
)
from edge.recognition.store.schema import MIGRATIONS, SEALED_ONLY
from edge.recognition.store.wal_checkpointer import BACKSTOP_PAGES, WalCheckpointer

FILE = layout.COLLECTIONS.name
CHECKED_BYTES = 32 << 20
"""maximum size of a file for an integrity check at every start (about 1 ms per MiB)"""

log = logging.getLogger(__name__)


class CollectionStore:
    """The database of one state folder. Thread-safe.

    Raises StoreError if the file is damaged, of a newer version of edge, or cannot be written; SettingsError if
    it is encrypted with another key.

    ``aside``: checkpoint the WAL in a background thread, not in commits; for long-running processes.
    """

    def __init__(self, folder: Path, aside: bool = False) -> None:
        self.path = folder / FILE
        self.read_only = False
        self.vault = vaults.of(folder)
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._checkpoints = WalCheckpointer(self.connect, self._write_lock) if aside else None
        with self._explaining():
            self._writer = self._open()
            try:
                self._prepare()
                if aside:
                    self._writer.execute(f"PRAGMA wal_autocheckpoint = {BACKSTOP_PAGES}")
                self._reader = self.connect()
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction: committed to disk at the end of the block, or rolled back on an error."""
        with self._write_lock, self._explaining():
            if self.read_only:
                raise StoreError(f"{self.path}: is on a read-only file system", HINT_READ_ONLY)
            with transaction(self._writer):
                yield self._writer
            if self._checkpoints is not None:
                self._checkpoints.wrote(self._writer.total_changes)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction; never waits for a writer."""
        with self._read_lock, self._explaining():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")

    def version(self) -> int:
        """Number that changes with every commit of any process. Takes a few microseconds."""
        # without the context manager of other reads: every look of a camera asks
        try:
            with self._read_lock:
                found: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise explained(self.path, error, _HINT_DAMAGED, BusyError) from error
        return found

    def connect(self) -> Connection:
        """A separate connection for long reads; close it after use."""
        with self._explaining():
            return self._connect_to_read() if self.read_only else self._connect("mode=rw")

    @property
    def identity(self) -> str:
        """Random id of the file, by which an index of another file is detected."""
        with self.reading() as db:
            return str(db.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()[0])

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    def _explaining(self) -> AbstractContextManager[None]:
        return explaining(self.path, _HINT_DAMAGED, BusyError)

    def _open(self) -> Connection:
        try:
            create_file(self.path)
        except OSError as error:
            if not self.path.exists():
                raise StoreError(f"{self.path}: cannot be created: {error.strerror}", HINT_READ_ONLY) from error
        if os.access(self.path, os.W_OK):
            return self._connect("mode=rw")
        log.warning("%s cannot be written: matching continues, nothing can be added", self.path)
        self.read_only = True
        return self._connect_to_read()

    def _connect_to_read(self) -> Connection:
        """Open on a read-only file system: with the WAL if its shared memory file exists, else immutable."""
        try:
            db = self._connect("mode=ro")
            db.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            return self._connect("immutable=1")
        return db

    def _connect(self, options: str) -> Connection:
        uri = f"{self.path.absolute().as_uri()}?{options}"
        db = connect(uri, BUSY_SECONDS, uri=True, opened=self.vault)
        db.executescript("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
        return db

    def _prepare(self) -> None:
        db = self._writer
        if self.path.stat().st_size <= CHECKED_BYTES:
            check(db)
        if self.vault is vaults.PLAIN and has_guard(db):
            raise StoreError(f"{self.path}: is encrypted, and {vaults.FILE} beside it is gone", _HINT_MARK)
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path}: expected format {len(MIGRATIONS)} or older, got {version}, made by a newer edge",
                "install that version of edge again, or move the file away",
            )
        if self.read_only:
            return
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA journal_size_limit = 16777216")
        if version < len(MIGRATIONS):
            self._migrate()
            # before that, a power failure can lose the new file
            files.sync_folder(self.path.parent)

    def _migrate(self) -> None:
        with self.writing() as db:
            # another process may have migrated before the lock was acquired
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in _statements(script):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('identity', ?)", (uuid.uuid4().hex,))


def has_guard(db: Connection) -> bool:
    """Whether the file only accepts encrypted faces."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (SEALED_ONLY,)).fetchone() is not None


_HINT_MARK = "edge encryption on, with the key that was used, creates it again"
_HINT_DAMAGED = "move the file away and import the last export (edge collection import), or enroll the pictures again"


def _statements(script: str) -> Iterator[str]:
    """The statements of a script: executescript would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
