"""Repair of damaged files of the state folder before they are opened: detected, set aside, and recreated if possible.

A daemon starts after a power cut, on a worn card, and after files were edited by hand. Nothing is deleted: a damaged
file becomes ``<file>.damaged-1``, and rows of a database that can still be read are copied into the new one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import EdgeError, StoreError
from edge.core.storage import files, keys, layout, vault
from edge.core.storage.damaged import set_aside
from edge.core.storage.layout import STATE_FILES, StateFile, StateLayout
from edge.core.storage.sqlite import check, connect, connect_read_only
from edge.core.storage.sqlite_codes import SqliteCode, code_of
from edge.core.system.trusted_time import BUILT

log = logging.getLogger(__name__)

CHECKED_BYTES = 32 << 20
"""a database up to this size is read from end to end (about 3 ms per MiB); of a larger one the head alone"""
MOST_FAILURES = 2000
"""rows that cannot be read, after which a table is given up"""
CHUNK = 64
"""rows copied at a time"""


@dataclass(frozen=True, slots=True)
class Repair:
    """A file that was set aside."""

    file: StateFile
    aside: Path
    why: str
    rows: int = 0
    """copied into the new file"""

    def __str__(self) -> str:
        return (
            f"{self.file.name} ({self.file.holds}) was damaged ({self.why}) and is set aside as {self.aside.name}: "
            f"{self.file.damaged} (try: {self.file.way_out}; then delete it)"
        )


def repair(state: Path) -> list[Repair]:
    """Set every damaged file aside. The caller holds the lock of the folder. Raises StoreError where it cannot."""
    found = []
    for file in STATE_FILES:
        path = state / file.name
        why = damage(path, file)
        if not why:
            continue
        aside = set_aside(path)
        rows = _made_anew(file, path, aside)
        found.append(Repair(file, aside, why, rows))
        log.error("%s", found[-1])
    return found


def damage(path: Path, file: StateFile) -> str:
    """What is wrong with a file; empty where nothing is, or it is not there. Changes nothing."""
    try:
        if not path.exists():
            return "it is a link to nothing" if path.is_symlink() else ""
        if file.kind == "folder":
            return "" if path.is_dir() else "it is no folder"
        if path.is_dir():
            return "it is a folder"
        return _CHECKS[file.kind](path)
    except OSError as error:
        return f"it cannot be read: {error.strerror}" if error.errno in _BAD_DISK else ""


_BAD_DISK = (5, 117)
"""EIO, EUCLEAN: a disk that gives no bytes. Permissions and a lack of descriptors are no damage."""


def _json_of(kind: type) -> Callable[[Path], str]:
    def check(path: Path) -> str:
        try:
            return "" if isinstance(json.loads(path.read_bytes()), kind) else "it holds something else"
        except (ValueError, RecursionError):
            return "it is not JSON"

    return check


def _sqlite(path: Path) -> str:
    size = path.stat().st_size
    if not size:
        return "it is empty"
    try:
        with contextlib.closing(connect(path, timeout=10.0)) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if size > CHECKED_BYTES:
                return ""
            check(db)
            for name in tables:
                for _ in db.execute(f'SELECT * FROM "{name}"'):  # noqa: S608  # decodes every text
                    pass
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return "" if code_of(error) in _NO_DAMAGE else str(error)[:200]
    return ""


_NO_DAMAGE = (SqliteCode.BUSY, SqliteCode.LOCKED, SqliteCode.CANTOPEN, SqliteCode.FULL,
              SqliteCode.READONLY, SqliteCode.PERM, SqliteCode.IOERR, SqliteCode.NOMEM)  # fmt: skip
_CHECKS: dict[str, Callable[[Path], str]] = {
    "sqlite": _sqlite, "list": _json_of(list), "table": _json_of(dict), "plain": lambda _: "",
}  # fmt: skip


def _made_anew(file: StateFile, path: Path, aside: Path) -> int:
    """Recreate a file that was set aside as far as possible; the number of rows copied into a database."""
    try:
        if file.kind == "sqlite" and file is not layout.OUTBOX and aside.is_file():
            return salvage(aside, path)
        if file is layout.ENCRYPTION:
            _write_encryption(path)
        if file is layout.COMMANDS:
            # what was signed before now may have been done already
            files.write_bytes(path, json.dumps({"": max(time.time_ns(), int(BUILT * 1e9))}).encode())
    except (OSError, EdgeError) as error:
        log.warning("%s cannot be recreated: %s", path, error)
    return 0


def _write_encryption(path: Path) -> None:
    """Name the key that the values of the folder are sealed with, where it is given. Raises StoreError without it."""
    stores = [path.parent / file.name for file in STATE_FILES if file.kind == "sqlite"]
    for key in keys.known().values():
        mark = vault.MAGIC + key.id
        if any(mark in one.read_bytes() for one in stores if one.is_file()):
            vault.write_state(path.parent, key.name, changing=False)
            return
    raise StoreError("no key that is given is the one that was used", layout.ENCRYPTION.way_out)


def salvage(damaged: Path, target: Path) -> int:
    """Copy every row that can be read of a damaged database into a new one; how many. Nothing is left where none can.

    Indexes and triggers are made again; rows that refer to missing ones go.
    """
    target.unlink(missing_ok=True)
    copied = 0
    try:
        with contextlib.closing(connect_read_only(damaged, 1.0, "mode=ro&immutable=1")) as old:
            schema = old.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
            version = old.execute("PRAGMA user_version").fetchone()[0]
            with contextlib.closing(connect(target, 1.0)) as new:
                new.executescript("PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
                new.execute("BEGIN")
                tables = [
                    (name, sql) for kind, name, sql in schema if kind == "table" and not name.startswith("sqlite_")
                ]
                for name, sql in tables:
                    new.execute(sql)
                    copied += _copy(old, new, name)
                for kind, name, sql in schema:
                    if kind != "table" and not name.startswith("sqlite_"):
                        new.execute(sql)
                _drop_orphans(new)
                new.execute(f"PRAGMA user_version = {int(version)}")
                new.execute("COMMIT")
        target.chmod(0o600)
    except (sqlite3.Error, UnicodeDecodeError):
        copied = 0
    if not copied:
        for suffix in ("", "-wal", "-shm", "-journal"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
    return copied


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> int:
    columns = new.execute("SELECT count(*) FROM pragma_table_info(?)", (table,)).fetchone()[0]
    insert = f'INSERT OR IGNORE INTO "{table}" VALUES ({", ".join("?" * columns)})'  # noqa: S608
    before = new.total_changes
    for rows in _rows(old, table):
        with contextlib.suppress(sqlite3.Error):
            new.executemany(insert, rows)
    return new.total_changes - before


def _rows(db: sqlite3.Connection, table: str) -> Iterator[list[tuple[object, ...]]]:
    """All rows that can be read, past those that cannot."""
    try:
        last = db.execute(f'SELECT max(rowid) FROM "{table}"').fetchone()[0] or 0  # noqa: S608
    except sqlite3.Error:
        yield from _plain_rows(db, table)
        return
    at, failures = -1, 0
    while at < last and failures < MOST_FAILURES:
        try:
            query = f'SELECT rowid, * FROM "{table}" WHERE rowid > ? ORDER BY rowid LIMIT ?'  # noqa: S608
            rows = db.execute(query, (at, CHUNK if not failures % 8 else 1)).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            at, failures = at + 1, failures + 1
            continue
        if not rows:
            return
        yield [row[1:] for row in rows]
        at = int(rows[-1][0])


def _plain_rows(db: sqlite3.Connection, table: str) -> Iterator[list[tuple[object, ...]]]:
    """Of a table without rowid: up to the first row that cannot be read."""
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
        for row in db.execute(f'SELECT * FROM "{table}"'):  # noqa: S608
            yield [row]


def _drop_orphans(db: sqlite3.Connection) -> None:
    for table, row, *_ in db.execute("PRAGMA foreign_key_check").fetchall():
        if row is not None:
            db.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (row,))  # noqa: S608


def delete_personal_leftovers(state: Path) -> list[Path]:
    """Delete files that were set aside and may hold names, embeddings or pictures. Raises StoreError."""
    from edge.core.storage.damaged import remove

    gone = []
    for file, path in StateLayout(state).set_aside():
        if not file.personal:
            continue
        try:
            for suffix in ("-wal", "-shm", ""):
                remove(path.with_name(path.name + suffix))
        except OSError as error:
            raise StoreError(f"{path}: cannot be deleted: {error.strerror}", "check the disk and its owner") from error
        gone.append(path)
    return gone
