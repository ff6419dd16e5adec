from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.core.errors import StoreError
from edge.core.storage.sqlite import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL);"


def notes(database: Database) -> list[str]:
    with database.reading() as db:
        return [text for (text,) in db.execute("SELECT text FROM notes")]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.sqlite", SCHEMA)
    with pytest.raises(StoreError, match="NOT NULL"), database.writing() as db:
        db.executemany("INSERT INTO notes VALUES (?)", [("lost",), (None,)])
    with database.writing() as db:
        db.execute("INSERT INTO notes VALUES ('kept')")

    assert notes(database) == ["kept"]
    database.close()


def test_the_file_is_private_and_another_handle_sees_what_was_written(tmp_path: Path) -> None:
    one, other = (Database(tmp_path / "a.sqlite", SCHEMA) for _ in range(2))
    before = other.version()
    with one.writing() as db:
        db.execute("INSERT INTO notes VALUES ('kept')")

    assert other.version() != before
    assert notes(other) == ["kept"]
    assert (tmp_path / "a.sqlite").stat().st_mode & 0o777 == 0o600
    one.close()
    other.close()


def test_a_second_handle_does_not_drop_the_locks_of_the_first(tmp_path: Path) -> None:
    one = Database(tmp_path / "a.sqlite", SCHEMA)
    with one.writing() as db:
        db.execute("INSERT INTO notes VALUES ('kept')")
    other = Database(tmp_path / "a.sqlite", SCHEMA)
    visit = f"import sqlite3; db = sqlite3.connect({str(one.path)!r}); db.execute('SELECT * FROM notes'); db.close()"
    # a process that believes to be the last one out would take the WAL away
    subprocess.run([sys.executable, "-c", visit], check=True)

    assert notes(one) == ["kept"]
    assert (tmp_path / "a.sqlite-wal").exists()
    other.close()
    one.close()


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="cannot be opened"):
        Database(tmp_path / "file" / "a.sqlite", SCHEMA)
