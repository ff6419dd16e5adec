"""Databases of the hub: SQLite or PostgreSQL behind one interface."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edge.core.errors import InputError, SettingsError, TransientError
from edge.core.storage.sqlite import SETUP, open_file, transaction

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
FILE = "hub.sqlite"
"""in the state folder, where ``hub.database`` is not set"""
BUSY_SECONDS = 30
"""busy timeout of an SQLite file (s): how long to wait for another process's write lock"""
LARGE = "PRAGMA cache_size=-64000; PRAGMA wal_autocheckpoint=8000; PRAGMA temp_store=MEMORY;"
"""settings of an SQLite file that takes many events: 64 MB of pages in memory, checkpoints of 32 MB"""
PERMANENT_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""errors that a retry with the same values cannot resolve"""


@dataclass(frozen=True, slots=True)
class RowSet:
    """Rows of a transaction, as a temporary table that statements can join."""

    name: str
    columns: tuple[tuple[str, str], ...]
    """name and SQL type"""

    @property
    def names(self) -> str:
        return ", ".join(name for name, _ in self.columns)

    @property
    def definition(self) -> str:
        return ", ".join(f"{name} {kind}" for name, kind in self.columns)


class Transaction(Protocol):
    """Statements that are committed together. ``?`` is the placeholder of a value."""

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Run one statement. Returns the rows of a query, an empty list for any other statement."""

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        """Run ``statement`` for each of ``rows``. Returns the number of changed rows."""

    def fill(self, into: RowSet, rows: Sequence[Sequence[object]]) -> None:
        """Replace the rows of a temporary table by ``rows``."""

    def insert(self, table: str, source: RowSet, rows: Sequence[Sequence[object]]) -> int:
        """Insert ``rows`` with the columns of ``source`` into ``table``, without those whose key exists.

        Returns the number of inserted rows.
        """


class HubDatabase(Protocol):
    """A database of the hub. Not thread-safe.

    ``transaction`` raises TransientError where a retry may succeed (the database is unreachable, full or locked), and
    InputError for values that the database rejects permanently.
    """

    name: str
    """path or address for messages, without credentials"""
    lock_rows: str
    """SQL suffix that locks the selected rows of ``marks`` until the end of the transaction"""

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
            self._db = open_file(self._path, f"{SETUP} {LARGE}", BUSY_SECONDS)
        return self._db


class _SqliteTransaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        return self._db.execute(statement, values).fetchall()

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        return self._db.executemany(statement, rows).rowcount if rows else 0

    def fill(self, into: RowSet, rows: Sequence[Sequence[object]]) -> None:
        self._db.execute(f"CREATE TEMP TABLE IF NOT EXISTS {into.name} ({into.definition})")
        self._db.execute(f"DELETE FROM temp.{into.name}")  # noqa: S608
        self._db.executemany(f"INSERT INTO temp.{into.name} VALUES ({_marks(into)})", rows)  # noqa: S608

    def insert(self, table: str, source: RowSet, rows: Sequence[Sequence[object]]) -> int:
        statement = f"INSERT INTO {table} ({source.names}) VALUES ({_marks(source)}) ON CONFLICT DO NOTHING"  # noqa: S608
        return self.many(statement, rows)


def _marks(row: RowSet) -> str:
    """A placeholder for each column."""
    return ", ".join("?" * len(row.columns))


class Postgres:
    """A PostgreSQL server, through psycopg. Raises SettingsError where psycopg is not installed."""

    lock_rows = " FOR UPDATE OF marks"

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
        self._filled: set[RowSet] = set()
        """temporary tables of this connection"""

    @contextmanager
    def transaction(self, *, reading: bool = False) -> Iterator[Transaction]:  # noqa: ARG002
        psycopg = self._psycopg
        try:
            if self._db is None:
                self._db = psycopg.connect(self._url, connect_timeout=10, autocommit=True)
                self._filled.clear()
            with self._db.transaction(), self._db.cursor() as cursor:
                current = _PostgresTransaction(cursor, self._filled)
                yield current
            self._filled |= current.created
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
    def __init__(self, cursor: psycopg.Cursor[Row], existing: Collection[RowSet]) -> None:
        self._cursor, self._existing = cursor, existing
        self.created: set[RowSet] = set()
        """temporary tables that exist once this transaction is committed"""
        self._full: set[RowSet] = set()
        """temporary tables that this transaction has filled; a commit empties them"""

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        self._cursor.execute(_query(statement), values)
        return self._cursor.fetchall() if self._cursor.description else []

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        if not rows:
            return 0
        self._cursor.executemany(_query(statement), rows)
        return int(self._cursor.rowcount)

    def fill(self, into: RowSet, rows: Sequence[Sequence[object]]) -> None:
        if into not in self._existing and into not in self.created:
            self.execute(f"CREATE TEMP TABLE {into.name} ({into.definition}) ON COMMIT DELETE ROWS")
            self.created.add(into)
        if into in self._full:
            self.execute(f"DELETE FROM {into.name}")  # noqa: S608
        self._full.add(into)
        with self._cursor.copy(_query(f"COPY {into.name} FROM STDIN")) as copy:
            for row in rows:
                copy.write_row(row)

    def insert(self, table: str, source: RowSet, rows: Sequence[Sequence[object]]) -> int:
        if not rows:
            return 0
        self.fill(source, rows)
        columns = source.names
        self.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source.name} ON CONFLICT DO NOTHING")  # noqa: S608
        return int(self._cursor.rowcount)


def _query(statement: str) -> Any:
    """Psycopg's types accept literal strings only, against injection; here they are made of constants."""
    return statement.replace("?", "%s")
