"""``collections.sqlite``: the truth of all collections, and what becomes of SQLite's errors.

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
from contextlib import contextmanager
from pathlib import Path

from edge.core.errors import BusyError, StoreError
from edge.core.storage import files, layout
from edge.core.storage import vault as vaults
from edge.core.storage.sqlite import BUSY_SECONDS, Connection, connect
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
        with _explained(self.path):
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
        with self._write_lock, _explained(self.path):
            if self.read_only:
                raise StoreError(f"{self.path}: is on a read-only file system", _HINT_READ_ONLY)
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            if self._checkpoints is not None:
                self._checkpoints.wrote(self._writer.total_changes)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent look at the database; never waits for a writer."""
        with self._read_lock, _explained(self.path):
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")

    def version(self) -> int:
        """Moves whenever anybody, this process included, has committed something. A few microseconds."""
        with self._read_lock, _explained(self.path):
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def connect(self) -> Connection:
        """A connection of one's own, for long reads. Close it."""
        with _explained(self.path):
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

    def _open(self) -> Connection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # only ever a file that was not there: closing a descriptor of one that is would drop the locks of this
            # process's other connections, and the next process to close would delete the log under their feet
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            if not self.path.exists():
                raise StoreError(f"{self.path}: cannot be created: {error.strerror}", _HINT_READ_ONLY) from error
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
        db = connect(uri, BUSY_SECONDS, uri=True)
        db.vault = self.vault
        db.executescript("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
        return db

    def _prepare(self) -> None:
        db = self._writer
        if self.path.stat().st_size <= CHECKED_BYTES:
            answer = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if answer != "ok":
                raise StoreError(f"{self.path}: is damaged: {answer}", _HINT_DAMAGED)
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
_HINT_READ_ONLY = "check that the state folder is writable for this user and its file system mounted rw"
_HINT_DAMAGED = "move the file away and import the last export (edge collection import), or enroll the pictures again"
_FULL = {sqlite3.SQLITE_FULL}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _FULL:
            hint = "free some space on the disk; what was stored before is safe"
            raise StoreError(f"{path}: nothing was stored, the disk is full", hint) from error
        if code in _READ_ONLY:
            raise StoreError(f"{path}: cannot be opened for writing: {error}", _HINT_READ_ONLY) from error
        if code in _DAMAGED or "decode to UTF-8" in str(error):
            raise StoreError(f"{path}: is damaged: {error}", _HINT_DAMAGED) from error
        if code in _BUSY:
            raise BusyError(f"{path}: another process has been writing for {BUSY_SECONDS:g} s", "try again") from error
        raise StoreError(f"{path}: {error}", "check the disk (dmesg) and the state folder") from error
    except UnicodeDecodeError as error:
        # even the text of SQLite's own error may hold the damaged bytes
        raise StoreError(f"{path}: is damaged: it holds text that is not UTF-8", _HINT_DAMAGED) from error


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: executescript would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
