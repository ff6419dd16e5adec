"""Every file of the state folder, damaged in every way: set aside, told, and made anew as far as possible."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.core.errors import ConflictError
from edge.core.storage import keys, layout, vault
from edge.core.storage.layout import COLLECTIONS, COMMANDS, STATE_FILES, StateFile, StateLayout
from edge.core.storage.lock import Lock
from edge.core.storage.repair import damage, delete_personal_leftovers, repair, salvage

ROWS = 400


def write(path: Path, file: StateFile) -> None:
    """A file as it should be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.kind == "folder":
        path.mkdir(exist_ok=True)
    elif file.kind == "sqlite":
        with closing(sqlite3.connect(path)) as db:
            db.executescript(
                "PRAGMA user_version = 7; CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, vector BLOB);"
                "CREATE INDEX people_name ON people (name);"
                "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
            )
            rows = [(number, f"name-{number}", bytes(512)) for number in range(ROWS)]
            db.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
            db.execute("INSERT INTO meta VALUES ('identity', 'x')")
            db.commit()
    else:
        path.write_text({"list": "[]\n", "table": '{"a": 1}\n'}.get(file.kind, "1\n"))


def flipped(data: bytes) -> bytes:
    """64 bytes in the middle, other than they were."""
    middle = len(data) // 2
    noise = random.Random(3).randbytes(64)
    return (
        data[:middle]
        + bytes(a ^ (b | 1) for a, b in zip(data[middle : middle + 64], noise, strict=False))
        + data[middle + 64 :]
    )


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "zeroed": lambda data: bytes(len(data)),
    "cut in half": lambda data: data[: len(data) // 2],
    "garbage": lambda data: random.Random(5).randbytes(max(64, len(data))),
    "64 bytes flipped": flipped,
}
FILES = [file for file in STATE_FILES if file.kind in ("sqlite", "list", "table")]


@pytest.mark.parametrize("kind", [*DAMAGES, "a folder in its place"])
@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path, file: StateFile, kind: str) -> None:
    path = tmp_path / file.name
    write(path, file)
    assert damage(path, file) == ""
    data = path.read_bytes()
    if kind == "a folder in its place":
        path.unlink()
        path.mkdir()
        (path / "something").write_text("x")
    else:
        path.write_bytes(DAMAGES[kind](data))
    found = repair(tmp_path)
    if not found:
        # bytes of a value, which no structure tells: whoever reads it finds out
        assert kind == "64 bytes flipped" or (kind == "cut in half" and file.kind != "sqlite")
        return
    (one,) = found
    assert one.file is file
    assert one.aside.exists()
    assert file.name in str(one)
    assert file.way_out in str(one)
    assert damage(path, file) == ""
    assert repair(tmp_path) == []
    assert StateLayout(tmp_path).set_aside() == [(file, one.aside)]


@pytest.mark.parametrize("file", [file for file in STATE_FILES if file.kind == "folder"], ids=lambda file: file.name)
def test_a_file_in_the_place_of_a_folder_is_set_aside(tmp_path: Path, file: StateFile) -> None:
    (tmp_path / file.name).write_bytes(b"garbage")
    (one,) = repair(tmp_path)
    assert one.file is file
    assert not (tmp_path / file.name).exists()


def test_a_folder_in_the_place_of_the_lock_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / layout.LOCK.name).mkdir()
    with Lock(tmp_path), pytest.raises(ConflictError):
        Lock(tmp_path)


def test_a_whole_folder_is_left_alone(tmp_path: Path) -> None:
    for file in STATE_FILES:
        if file is not layout.CHECKED or not (tmp_path / file.name).exists():
            write(tmp_path / file.name, file)
    before = sorted(tmp_path.rglob("*"))
    assert repair(tmp_path) == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
def test_what_can_be_read_of_a_database_is_taken_over(tmp_path: Path, where: float) -> None:
    path = tmp_path / COLLECTIONS.name
    write(path, COLLECTIONS)
    data = bytearray(path.read_bytes())
    page = int(len(data) * where) // 4096 * 4096
    data[page : page + 64] = random.Random(1).randbytes(64)
    path.write_bytes(bytes(data))
    (one,) = repair(tmp_path)
    assert one.rows >= ROWS * 0.9
    with closing(sqlite3.connect(path)) as db:
        names = {name for (name,) in db.execute("SELECT name FROM people")}
        assert len(names) >= ROWS * 0.9
        assert db.execute("PRAGMA user_version").fetchone() == (7,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT value FROM meta").fetchone() == ("x",)
    assert path.stat().st_mode & 0o077 == 0


def test_nothing_is_left_where_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(random.Random(2).randbytes(9000))
    assert salvage(tmp_path / "a", tmp_path / "b") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_commands_that_were_signed_before_the_damage_are_refused(tmp_path: Path) -> None:
    from edge.mqtt.command_auth import Counters

    (tmp_path / COMMANDS.name).write_bytes(b"garbage")
    repair(tmp_path)
    counters = Counters(tmp_path / COMMANDS.name)
    assert not counters.take("key", time.time_ns() - 10**9)
    assert counters.take("key", time.time_ns() + 10**9)
    assert json.loads((tmp_path / COMMANDS.name).read_bytes())["key"]


def test_the_key_of_an_encrypted_folder_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, used = keys.new_key(), keys.new_key()
    monkeypatch.setattr(keys, "_given", f"{other}\n{used}")
    key = list(keys.known().values())[1]
    vault.write_state(tmp_path, key.name, changing=False)
    write(tmp_path / COLLECTIONS.name, COLLECTIONS)
    with closing(sqlite3.connect(tmp_path / COLLECTIONS.name)) as db:
        db.execute("UPDATE people SET vector = ?", (vault.of(tmp_path).seal(b"x" * 64, "a"),))
        db.commit()
    (tmp_path / vault.FILE).write_bytes(b"")
    (one,) = repair(tmp_path)
    assert one.file is layout.ENCRYPTION
    assert vault.of(tmp_path).key == key


def test_an_erasure_deletes_what_was_set_aside_and_may_name_people(tmp_path: Path) -> None:
    for file in (COLLECTIONS, layout.REVIEW, layout.CLOCK):
        (tmp_path / file.name).write_bytes(b"grace was here")
    repair(tmp_path)
    gone = delete_personal_leftovers(tmp_path)
    assert {path.name for path in gone} == {"collections.sqlite.damaged-1", "review.sqlite.damaged-1"}
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["clock.json.damaged-1"]
