"""SQLite files of the state folder: created private, opened durable, checked, and their errors explained.

Everything that stores rows uses these functions: ``Database`` for the small files, the collections, the outbox, the
state of updates and the hub's events with connections of their own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edge.core.errors import EdgeError, StoreError
from edge.core.storage import vault
from edge.core.storage.damaged import is_damage, set_aside
from edge.core.storage.sqlite_codes import SqliteCode, code_of
from edge.core.storage.vault import PLAIN, Vault

T = TypeVar("T")

DURABLE = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
"""a commit that was answered survives a power cut"""
SETUP = f"{DURABLE} PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
"""secure_delete: deleted personal data must not stay in a free page"""
BUSY_SECONDS = 10.0
"""that a statement waits for another process"""
HINT_RESTART = "restart the daemon: it sets the file aside and goes on; without one, move the file away"

log = logging.getLogger(__name__)


class Connection(sqlite3.Connection):
    """A connection that knows how the values of its file are stored."""

    vault: Vault = PLAIN


def create_file(path: Path) -> bool:
    """Create an empty file, mode 600, in a folder of mode 700; whether it was not there before. Raises OSError.

    Only a new file is opened and closed here: closing a descriptor of a database that this process has open would drop
    the POSIX locks of its connections, and with them what they have committed.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True


def connect(path: Path | str, timeout: float, uri: bool = False, opened: Vault = PLAIN) -> Connection:
    """For any thread, each statement a transaction of its own until one is begun. Raises sqlite3.Error."""
    db = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False, uri=uri, factory=Connection
    )
    db.vault = opened
    return db


def connect_read_only(path: Path, timeout: float = BUSY_SECONDS, options: str = "mode=ro") -> Connection:
    """A connection that changes nothing; ``options``: of SQLite's URI. Raises sqlite3.Error."""
    return connect(f"{path.absolute().as_uri()}?{options}", timeout, uri=True)


def open_file(path: Path, setup: str, timeout: float = BUSY_SECONDS, opened: Vault = PLAIN) -> Connection:
    """Create the file if needed, connect, and run the statements of ``setup``. Raises OSError or sqlite3.Error."""
    create_file(path)
    db = connect(path, timeout, opened=opened)
    try:
        db.executescript(setup)
    except BaseException:
        db.close()
        raise
    return db


def check(db: sqlite3.Connection) -> None:
    """Read the whole file, 1 to 3 ms per MiB. Raises sqlite3.DatabaseError, which ``is_damage`` knows."""
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    text = verdict.decode(errors="replace") if isinstance(verdict, bytes) else verdict
    if text != "ok":
        error = sqlite3.DatabaseError(f"quick_check: {text}")
        error.sqlite_errorcode = SqliteCode.CORRUPT  # type: ignore[attr-defined]  # from Python 3.11 on
        raise error


@contextmanager
def transaction(db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """On disk when the block has ended, or nothing of it."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def open_or_set_aside(path: Path, open_it: Callable[[], T], lost: str) -> T:
    """What ``open_it`` returns; where the file is damaged, it is set aside and ``open_it`` is called once more.

    ``lost``: what the owner loses, for the log. Raises what ``open_it`` raises, and StoreError where the damaged file
    cannot be renamed.
    """
    try:
        return open_it()
    except (OSError, sqlite3.Error) as error:
        # an OperationalError without the code of damage is a lock, a full disk or a lack of rights
        content = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if not (path.is_dir() or content or is_damage(error)):
            raise
        aside = set_aside(path)
        log.error("%s is damaged (%s): set aside as %s, %s", path, error, aside.name, lost)
    return open_it()


_READ_ONLY = {SqliteCode.READONLY, SqliteCode.CANTOPEN, SqliteCode.PERM}
_BUSY = {SqliteCode.BUSY, SqliteCode.LOCKED}
HINT_READ_ONLY = "check that the state folder is writable for this user and its file system mounted rw"


def explained(
    path: Path, error: Exception, damaged: str = HINT_RESTART, busy: type[EdgeError] = StoreError
) -> EdgeError:
    """An error of SQLite or of the disk in our words.

    ``damaged``: what to try where the file is broken; ``busy``: the error where another process holds the lock.
    """
    code = code_of(error)
    if is_damage(error) or "decode to UTF-8" in str(error):
        return StoreError(f"{path}: is damaged: {error}", damaged)
    if isinstance(error, UnicodeDecodeError):
        # even the text of SQLite's own error may hold the damaged bytes
        return StoreError(f"{path}: is damaged: it holds text that is not UTF-8", damaged)
    if code == SqliteCode.FULL:
        hint = "free some space on the disk; what was stored before is safe"
        return StoreError(f"{path}: nothing was stored, the disk is full", hint)
    if code in _READ_ONLY or isinstance(error, OSError):
        return StoreError(f"{path}: cannot be opened for writing: {error}", HINT_READ_ONLY)
    if code in _BUSY:
        return busy(f"{path}: another process has been writing for {BUSY_SECONDS:g} s", "try again")
    return StoreError(f"{path}: {error}", "check the disk (dmesg) and the state folder")


@contextmanager
def explaining(path: Path, damaged: str = HINT_RESTART, busy: type[EdgeError] = StoreError) -> Iterator[None]:
    """Errors of SQLite and of damaged text in the block become StoreError, or ``busy``."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise explained(path, error, damaged, busy) from error


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
    """One file with one connection, for any thread; several processes may have the file open. Raises StoreError.

    ``schema``: statements that make what is not there yet (``CREATE TABLE IF NOT EXISTS ...``).
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        opened = vault.of(path.parent)
        try:
            self._db = open_file(path, SETUP + schema, opened=opened)
        except (OSError, sqlite3.Error) as error:
            raise explained(path, error) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._lock, explaining(self.path):
            yield self._db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: on disk when the block has ended, or nothing of it."""
        with self.reading() as db, transaction(db):
            yield db

    def version(self) -> int:
        """Changes whenever another connection has committed."""
        with self.reading() as db:
            return int(db.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()
