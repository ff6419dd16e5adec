"""Databases of the hub: SQLite or PostgreSQL behind one interface."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from edge.core.errors import InputError, SettingsError, TransientError
from edge.core.storage.sqlite import SETUP, open_file, transaction

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
FILE = "hub.sqlite"
"""in the state folder, where ``hub.database`` is not set"""
BUSY_SECONDS = 30
"""busy timeout of an SQLite file (s): how long to wait for another process's write lock"""
PERMANENT_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""errors that a retry with the same values cannot resolve"""


class Transaction(Protocol):
    """Statements that are committed together. ``?`` is the placeholder of a value."""

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Run one statement. Returns the rows of a query, an empty list for any other statement."""

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        """Run ``statement`` for each of ``rows``. Returns the number of changed rows."""


class HubDatabase(Protocol):
    """A database of the hub. Not thread-safe.

    ``transaction`` raises TransientError where a retry may succeed (the database is unreachable, full or locked), and
    InputError for values that the database rejects permanently.
    """

    name: str
    """path or address for messages, without credentials"""
    lock_rows: str
    """SQL suffix that locks the selected rows until the end of the transaction"""

    def transaction(self, *, reading: bool = False) -> Any:
        """Context manager that yields a ``Transaction``; commits at its end, rolls back on errors."""

    def compact(self) -> None:
        """Remove deleted data from the files where the database allows it. Raises TransientError."""

    def close(self) -> None: ...


def connect(url: str, folder: Path) -> HubDatabase:
    """The database at ``url`` (``hub.database``), not yet opened. Empty: ``hub.sqlite`` in ``folder``.

    Raises SettingsError for an unsupported scheme or a missing driver.
    """
    if url.startswith(("postgresql://", "postgres://")):
        return Postgres(url)
    if "://" in url and not url.startswith("file://"):
        raise SettingsError(
            f"hub.database: expected postgresql://... or a path, got {url.split('://')[0]}://...",
            "set it to a path, or to postgresql://user@host/database",
        )
    return Sqlite(Path(url.removeprefix("file://")) if url else folder / FILE)


class Sqlite:
    """One SQLite file in WAL mode with synchronous=FULL; several processes may use it."""

    lock_rows = ""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._db: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self, *, reading: bool = False) -> Iterator[Transaction]:
        try:
            db = self._opened()
            # SQLite refuses to upgrade a stale read transaction, so writers take the write lock at the start
            with transaction(db, "BEGIN" if reading else "BEGIN IMMEDIATE"):
                yield _SqliteTransaction(db)
        except PERMANENT_ERRORS as error:
            raise InputError(f"{self.name}: {error}", "report this as a bug") from error
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise TransientError(f"{self.name}: {error}", "check that the disk has room and can be written") from error

    def compact(self) -> None:
        try:
            self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise TransientError(f"{self.name}: {error}", "check that the disk has room and can be written") from error

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_file(self._path, f"{SETUP} PRAGMA cache_size=-16000;", BUSY_SECONDS)
        return self._db


class _SqliteTransaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        return self._db.execute(statement, values).fetchall()

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        return self._db.executemany(statement, rows).rowcount if rows else 0


class Postgres:
    """A PostgreSQL server, through psycopg. Raises SettingsError where psycopg is not installed."""

    lock_rows = " FOR UPDATE"

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise SettingsError(
                "hub.database: postgresql:// needs psycopg, which is not installed",
                "pip install 'rekognition-edge[hub]'",
            ) from error
        try:
            parts = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error as error:
            # the error may quote the whole address, including the password
            raise SettingsError(
                "hub.database: invalid PostgreSQL address", "write postgresql://user:password@host/database"
            ) from error
        self.name = f"postgresql://{parts.get('host', '')}/{parts.get('dbname', '')}"
        self._url, self._psycopg = url, psycopg
        self._db: psycopg.Connection[Row] | None = None

    @contextmanager
    def transaction(self, *, reading: bool = False) -> Iterator[Transaction]:  # noqa: ARG002
        psycopg = self._psycopg
        try:
            if self._db is None:
                self._db = psycopg.connect(self._url, connect_timeout=10, autocommit=True)
            with self._db.transaction(), self._db.cursor() as cursor:
                yield _PostgresTransaction(cursor)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
            self.close()
            raise InputError(f"{self.name}: {error}", "report this as a bug") from error
        except (psycopg.Error, OSError) as error:
            self.close()
            raise TransientError(f"{self.name}: {error}", "check that the server runs and is reachable") from error

    def compact(self) -> None:
        """Nothing to do: the server vacuums automatically."""

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class _PostgresTransaction:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        self._cursor.execute(statement.replace("?", "%s"), values)
        return self._cursor.fetchall() if self._cursor.description else []

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        if not rows:
            return 0
        self._cursor.executemany(statement.replace("?", "%s"), rows)
        return int(self._cursor.rowcount)
