"""``collections.sqlite``: the truth of all collections.

WAL with synchronous=FULL: what was answered survives a power cut. Several processes may have it open; transactions
are short and wait for each other.
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
    explaining,
    transaction,
)
from edge.recognition.store.schema import MIGRATIONS, SEALED_ONLY
from edge.recognition.store.wal_checkpointer import BACKSTOP_PAGES, WalCheckpointer

FILE = layout.COLLECTIONS.name
CHECKED_BYTES = 32 << 20
"""a file up to this size is checked from end to end at every start (about 1 ms per MiB)"""

log = logging.getLogger(__name__)


class CollectionStore:
    """The database of one state folder. Threads may share it.

    Raises StoreError where the file is damaged, from a newer version of edge, or cannot be written; SettingsError where
    it is encrypted with another key.

    ``aside``: the write-ahead log is emptied by a thread, and no commit waits for it; for who stays.
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
        """A transaction that is on disk when the block has ended, or has left nothing."""
        with self._write_lock, self._explaining():
            if self.read_only:
                raise StoreError(f"{self.path}: is on a read-only file system", HINT_READ_ONLY)
            with transaction(self._writer):
                yield self._writer
            if self._checkpoints is not None:
                self._checkpoints.wrote(self._writer.total_changes)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent look at the database; never waits for a writer."""
        with self._read_lock, self._explaining():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")

    def version(self) -> int:
        """Moves whenever anybody, this process included, has committed something. A few microseconds."""
        with self._read_lock, self._explaining():
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def connect(self) -> Connection:
        """A connection of one's own, for long reads. Close it."""
        with self._explaining():
            return self._connect_to_read() if self.read_only else self._connect("mode=rw")

    @property
    def identity(self) -> str:
        """A random word made with the file: an index of another file is not taken for this one's."""
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
        log.warning("%s cannot be written: matching goes on, nothing can be added", self.path)
        self.read_only = True
        return self._connect_to_read()

    def _connect_to_read(self) -> Connection:
        """On a read-only file system: with the write-ahead log where its shared memory is there, else without."""
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
            # until then a power cut can undo the making of the file, and with it all that follows
            files.sync_folder(self.path.parent)

    def _migrate(self) -> None:
        with self.writing() as db:
            # another process may have migrated between our look and our lock
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in _statements(script):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('identity', ?)", (uuid.uuid4().hex,))


def has_guard(db: Connection) -> bool:
    """Whether the file takes sealed faces alone."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (SEALED_ONLY,)).fetchone() is not None


_HINT_MARK = "edge encryption on, with the key that was used, makes it again"
_HINT_DAMAGED = "move the file away and import the last export (edge collection import), or enroll the pictures again"


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: executescript would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
