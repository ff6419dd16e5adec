from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.errors import StoreError
from edge.core.settings.vision import CollectionSettings
from edge.core.storage.sqlite import Connection
from edge.core.types import Space
from edge.recognition.store import wal_checkpointer as checkpoints
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.store import FILE, CollectionStore
from edge.recognition.store.wal_checkpointer import ROWS

Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]


def in_the_file(folder: Path) -> int:
    """Faces that the database has without its log."""
    with closing(sqlite3.connect(f"{(folder / FILE).as_uri()}?immutable=1", uri=True)) as db:
        try:
            return int(db.execute("SELECT count(*) FROM faces").fetchone()[0])
        except sqlite3.DatabaseError:
            return 0  # not even the table has come over, or not all of a change


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 30
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


def test_what_was_added_comes_into_the_file_beside_the_commits(
    tmp_path: Path, space: Space, faces: Faces, unit: Units
) -> None:
    with Collections(tmp_path, CollectionSettings()) as opened:
        staff = opened.create("staff")
        for number, vector in enumerate(unit(ROWS)):
            staff.add(faces(vector[np.newaxis], start=number), space)
        # what came after the last go waits for the next one
        assert eventually(lambda: in_the_file(tmp_path) > ROWS // 2)
        assert staff.count == ROWS


@pytest.mark.parametrize("aside", [True, False])
def test_a_commit_does_not_empty_the_log_itself_where_a_thread_does(
    tmp_path: Path, space: Space, faces: Faces, unit: Units, aside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints.WalCheckpointer, "_run", lambda _: None)  # a thread that is never on
    with Collections(tmp_path, CollectionSettings(), maintain=aside) as opened:
        staff = opened.create("staff")
        with closing(opened.store.connect()) as db:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM faces").fetchone()
            for start in range(0, 10_000, 5000):  # some 2,000 pages, which that look holds back
                staff.add(faces(unit(5000, seed=start), start=start), space)
            db.execute("ROLLBACK")
        staff.add(faces(unit(1, seed=1), start=10_000), space)
        assert in_the_file(tmp_path) == (0 if aside else 10_001)
        assert staff.count == 10_001
    assert in_the_file(tmp_path) == 10_001, "whoever closes last brings the rest"


def test_what_a_long_look_holds_back_comes_into_the_file_once_it_has_ended(
    tmp_path: Path, space: Space, faces: Faces, unit: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "AGAIN", 0.05)
    with Collections(tmp_path, CollectionSettings()) as opened:
        staff = opened.create("staff")
        with closing(opened.store.connect()) as db:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM faces").fetchone()
            staff.add(faces(unit(ROWS)), space)
            time.sleep(0.2)
            assert in_the_file(tmp_path) == 0
            db.execute("ROLLBACK")
        assert eventually(lambda: in_the_file(tmp_path) == ROWS)


def test_a_log_that_was_brought_over_begins_anew_also_while_faces_are_added(
    tmp_path: Path, space: Space, faces: Faces, unit: Units
) -> None:
    log, before = tmp_path / f"{FILE}-wal", 0
    with Collections(tmp_path, CollectionSettings()) as opened:
        staff = opened.create("staff")
        for number, vector in enumerate(unit(30 * ROWS)):
            staff.add(faces(vector[np.newaxis], start=number), space)
            size = log.stat().st_size
            if size == before:  # written over, not at its end
                break
            before = size
        else:
            pytest.fail(f"the log has grown with every face, to {before} bytes")


def test_trouble_with_the_disk_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "AGAIN", 0.02)
    store, failures = CollectionStore(tmp_path), [3]

    def connect() -> Connection:
        if failures[0]:
            failures[0] -= 1
            raise StoreError("the disk does not answer", "wait")
        return store.connect()

    with closing(store), caplog.at_level(logging.WARNING):
        with store.writing() as db:
            db.execute("INSERT INTO meta (key, value) VALUES ('a', 'b')")
        tried = checkpoints.WalCheckpointer(connect, store._write_lock)
        tried.wrote(ROWS)
        immutable = f"{store.path.as_uri()}?immutable=1"

        def there() -> bool:
            with closing(sqlite3.connect(immutable, uri=True)) as plain:
                try:
                    return bool(plain.execute("SELECT value FROM meta WHERE key = 'a'").fetchone() == ("b",))
                except sqlite3.DatabaseError:
                    return False  # read while it is being written

        assert eventually(there)
        tried.close()
    assert [record.getMessage().count("does not answer") for record in caplog.records] == [1]
