from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge.core.errors import StoreError
from edge.core.storage.sqlite import Database, open_file, open_or_set_aside, transaction

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


def test_a_damaged_file_is_set_aside_and_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"no database at all" * 100)

    db = open_or_set_aside(path, lambda: open_file(path, SCHEMA), "its notes are lost")

    assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)
    assert (tmp_path / "a.sqlite.damaged-1").read_bytes().startswith(b"no database")
    db.close()


def test_a_file_that_is_only_locked_is_not_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            open_or_set_aside(path, lambda: open_file(path, SCHEMA, timeout=0.0), "its notes are lost")
    other.close()

    assert [file.name for file in tmp_path.iterdir()] == ["a.sqlite"]


def test_a_full_disk_and_a_lock_are_explained(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.sqlite", SCHEMA)
    with database.reading() as db:
        db.execute("PRAGMA max_page_count = 3")

    with pytest.raises(StoreError, match="the disk is full") as full, database.writing() as db:
        db.execute("INSERT INTO notes VALUES (zeroblob(100000))")

    assert "free some space" in full.value.hint
    assert notes(database) == []
    database.close()


def test_a_transaction_that_was_ended_inside_keeps_its_error(tmp_path: Path) -> None:
    db = open_file(tmp_path / "a.sqlite", SCHEMA)

    with pytest.raises(sqlite3.OperationalError, match="no transaction is active"), transaction(db):
        db.executescript("ROLLBACK")

    assert not db.in_transaction
    db.close()
