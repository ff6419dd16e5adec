"""Codes of SQLite's errors, with Python's attribute and, as in Python 3.10, by the message alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.core.storage.sqlite_codes import SqliteCode, code_of


def full(folder: Path) -> None:
    db = sqlite3.connect(folder / "a")
    db.execute("PRAGMA max_page_count = 2")
    db.execute("CREATE TABLE t (x)")
    db.execute("INSERT INTO t VALUES (zeroblob(100000))")


def not_a_database(folder: Path) -> None:
    (folder / "a").write_bytes(b"nothing of the kind" * 100)
    sqlite3.connect(folder / "a").execute("SELECT * FROM sqlite_master")


def corrupt(folder: Path) -> None:
    db = sqlite3.connect(folder / "a")
    db.executescript("CREATE TABLE t (x); INSERT INTO t SELECT zeroblob(9000);")
    db.close()
    data = bytearray((folder / "a").read_bytes())
    data[4096:4200] = b"\xff" * 104
    (folder / "a").write_bytes(data)
    sqlite3.connect(folder / "a").execute("SELECT * FROM t").fetchall()


def locked(folder: Path) -> None:
    sqlite3.connect(folder / "a", isolation_level=None).execute("CREATE TABLE t (x)")
    first = sqlite3.connect(folder / "a", isolation_level=None)
    first.execute("BEGIN IMMEDIATE")
    sqlite3.connect(folder / "a", timeout=0).execute("INSERT INTO t VALUES (1)")


def read_only(folder: Path) -> None:
    sqlite3.connect(folder / "a").execute("CREATE TABLE t (x)")
    sqlite3.connect(f"file:{folder / 'a'}?mode=ro", uri=True).execute("CREATE TABLE u (x)")


def cannot_open(folder: Path) -> None:
    sqlite3.connect(folder / "none/a")


CASES = {
    SqliteCode.FULL: full, SqliteCode.NOTADB: not_a_database, SqliteCode.CORRUPT: corrupt, SqliteCode.BUSY: locked,
    SqliteCode.READONLY: read_only, SqliteCode.CANTOPEN: cannot_open,
    SqliteCode.OTHER: lambda folder: sqlite3.connect(":memory:").execute("SELEKT"),
}  # fmt: skip


@pytest.mark.parametrize("code", CASES)
def test_the_code_is_found_with_and_without_pythons_attribute(code: SqliteCode, tmp_path: Path) -> None:
    provoke: Callable[[Path], object] = CASES[code]
    with pytest.raises(sqlite3.Error) as told:
        provoke(tmp_path)

    assert code_of(told.value) is code
    assert code_of(type(told.value)(str(told.value))) is code
