from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.core.errors import BusyError, EdgeError, StoreError
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Space
from edge.recognition.store import store as stores
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.store import FILE, CollectionStore

Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    with Collections(tmp_path / "state", CollectionSettings()) as opened:
        opened.create("staff")
        for path in (tmp_path / "state").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_commits_survive_a_power_cut_by_settings(tmp_path: Path) -> None:
    store = CollectionStore(tmp_path)
    with store.writing() as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert db.execute("PRAGMA secure_delete").fetchone()[0] == 1
        assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    store.close()


def test_a_database_of_a_newer_edge_is_left_alone(tmp_path: Path) -> None:
    CollectionStore(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreError, match="newer edge"):
        CollectionStore(tmp_path)


def test_migrations_run_once_when_many_processes_start_together(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from edge.recognition.store.store import CollectionStore; "
        "CollectionStore(pathlib.Path(sys.argv[1])).close()"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    with Collections(tmp_path, CollectionSettings()) as opened:
        assert opened.create("staff").count == 0


def test_a_second_store_in_one_process_leaves_the_first_its_locks(
    tmp_path: Path, unit: Units, faces: Faces, space: Space
) -> None:
    """Without them another process that ends takes itself for the last one and deletes the log of what is committed."""
    code = (
        "import sys, pathlib; from edge.recognition.store.store import CollectionStore; "
        "CollectionStore(pathlib.Path(sys.argv[1])).close()"
    )
    with Collections(tmp_path, CollectionSettings()) as first:
        staff = first.create("staff")
        staff.add(faces(unit(3)), space)
        Collections(tmp_path, CollectionSettings()).close()
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert (tmp_path / f"{FILE}-wal").exists()
        staff.add(faces(unit(3, seed=1), start=10), space)
        after = tmp_path / "as-after-kill-9"
        after.mkdir()
        # by another process: to read the file here would drop the locks as well
        subprocess.run(["cp", tmp_path / FILE, tmp_path / f"{FILE}-wal", after], check=True)
    with Collections(after, CollectionSettings()) as again:
        assert again.get("staff").count == 6


@pytest.mark.parametrize("damage", ["text", "zeros", "header", "half"])
def test_a_damaged_database_is_a_clear_error_and_not_overwritten(
    tmp_path: Path, damage: str, unit: Units, faces: Faces, space: Space
) -> None:
    with Collections(tmp_path, CollectionSettings()) as opened:
        opened.create("staff").add(faces(unit(200)), space)
    path = tmp_path / FILE
    whole = path.read_bytes()
    assert len(whole) > 50_000
    broken = {
        "text": b"this is not a database" * 1000,
        "zeros": bytes(len(whole)),
        "header": b"\xff" * 100 + whole[100:],
        "half": whole[: len(whole) // 2 - 1000],
    }[damage]
    path.write_bytes(broken)
    with pytest.raises(StoreError) as refused, Collections(tmp_path, CollectionSettings()) as opened:
        opened.get("staff").search(unit(1))
    assert "damaged" in refused.value.message
    assert "import" in refused.value.hint
    assert path.read_bytes() == broken


@pytest.fixture
def whole(tmp_path: Path, unit: Units, faces: Faces, space: Space) -> bytes:
    with Collections(tmp_path / "whole", CollectionSettings()) as opened:
        opened.create("staff").add(faces(unit(60)), space)
    return (tmp_path / "whole" / FILE).read_bytes()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 255)), min_size=1, max_size=40))
def test_flipped_bytes_end_in_an_answer_or_a_clear_error(
    whole: bytes, flips: list[tuple[int, int]], tmp_path: Path, unit: Units
) -> None:
    data = bytearray(whole)
    for place, flip in flips:
        data[place % len(data)] ^= flip
    for name in ("", "-wal", "-shm"):
        (tmp_path / f"{FILE}{name}").unlink(missing_ok=True)
    (tmp_path / FILE).write_bytes(bytes(data))
    try:
        with Collections(tmp_path, CollectionSettings()) as opened:
            staff = opened.get("staff")
            for match in staff.search(unit(1), 100)[0]:
                assert -1.001 < match.similarity < 1.001
            staff.faces(limit=1000)
            staff.subjects()
            staff.known(match.face_id for match in staff.search(unit(1), 100)[0])
    except EdgeError as error:
        assert error.hint  # noqa: PT017


def test_an_embedding_that_was_damaged_on_disk_is_left_out_of_the_search_and_kept(
    tmp_path: Path, unit: Units, faces: Faces, space: Space, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = unit(10)
    with Collections(tmp_path, CollectionSettings()) as opened:
        opened.create("staff").add(faces(vectors), space)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE faces SET vector = zeroblob(128) WHERE subject = 's3'")
        db.execute("UPDATE faces SET vector = x'00ff' WHERE subject = 's4'")
    with Collections(tmp_path, CollectionSettings()) as opened:
        staff = opened.get("staff")
        found = {match.subject for match in staff.search(vectors[3:4], 100)[0]}
        assert found == {f"s{i}" for i in range(10)} - {"s3", "s4"}
        assert len(staff.faces()) == 10
    assert "2 damaged embeddings" in caplog.text


def test_a_full_disk_stores_nothing_says_so_and_loses_nothing(
    collections: Collections, staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    kept = staff.add(faces(unit(20)), space)
    with collections.store.writing() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StoreError, match="the disk is full"):
        staff.add(faces(unit(500, seed=1), start=100), space)
    assert staff.count == 20
    assert staff.faces(limit=1000) == kept
    with collections.store.writing() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert len(staff.add(faces(unit(500, seed=1), start=100), space)) == 500
    assert staff.count == 520


def test_a_writer_that_never_ends_is_busy_not_an_endless_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: Units, faces: Faces, space: Space
) -> None:
    monkeypatch.setattr(stores, "BUSY_SECONDS", 0.2)
    with Collections(tmp_path, CollectionSettings()) as opened:
        staff = opened.create("staff")
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError):
            staff.add(faces(unit(1)), space)
        assert staff.search(unit(1)) == [[]]
        other.execute("ROLLBACK")
        other.close()
        assert len(staff.add(faces(unit(1)), space)) == 1


def test_threads_of_one_process_may_add_search_and_delete_together(
    staff: Collection, unit: Units, faces: Faces, space: Space
) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        vectors = unit(20, seed=number)
        try:
            for i in range(20):
                added = staff.add(faces(vectors[i : i + 1], start=number * 100 + i), space)
                assert staff.search(vectors[i : i + 1], 1)[0][0].face_id == added[0].face_id
                if i % 4 == 0:
                    staff.delete_faces([added[0].face_id])
        except BaseException as error:  # noqa: BLE001  # the assertion below shows it
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert staff.count == 4 * 15


IN_A_SMALL_WORLD = """
set -e
mount -t tmpfs -o size=1m none "$1"
"$2" - "$1" <<'PYTHON'
{code}
PYTHON
"""

FULL = """
import sys, pathlib, hashlib, os
import numpy as np
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.core.errors import StoreError
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
folder = pathlib.Path(sys.argv[1])
vectors = np.eye(512, dtype=np.float32)
new = [NewFace(v, f"s{i}", hashlib.sha256(str(i).encode()).hexdigest(), Box(0, 0, 1, 1)) for i, v in enumerate(vectors)]
space = Space("ab" * 32, "litert", 1, 512)
stored = 0
with Collections(folder, CollectionSettings()) as opened:
    staff = opened.create("staff")
    try:
        for i in range(0, 512, 8):
            stored += len(staff.add(new[i:i + 8], space))
        print("never full")
    except StoreError as error:
        print("disk is full" if "the disk is full" in error.message else error.message)
    assert staff.count == stored > 0
    assert staff.search(vectors[:1], 1)[0][0].subject == "s0"
with Collections(folder, CollectionSettings()) as opened:
    assert opened.get("staff").count == stored
"""

READ_ONLY = """
import sys, pathlib, subprocess
import numpy as np
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.core.errors import StoreError
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
folder = pathlib.Path(sys.argv[1])
vectors = np.eye(16, dtype=np.float32)
space = Space("ab" * 32, "litert", 1, 16)
with Collections(folder, CollectionSettings()) as opened:
    opened.create("staff").add([NewFace(vectors[0], "alice", "00" * 32, Box(0, 0, 1, 1))], space)
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
with Collections(folder, CollectionSettings()) as opened:
    staff = opened.get("staff")
    assert staff.search(vectors[:1], 1)[0][0].subject == "alice"
    try:
        staff.add([NewFace(vectors[1], "bob", "11" * 32, Box(0, 0, 1, 1))], space)
    except StoreError as error:
        print("read-only" if "read-only" in error.message and error.hint else error.message)
    assert staff.search(vectors[1:2], 1)[0][0].subject == "alice"
"""


@pytest.mark.parametrize(("code", "expected"), [(FULL, "disk is full"), (READ_ONLY, "read-only")])
def test_a_really_full_or_read_only_file_system_is_said_and_matching_goes_on(
    tmp_path: Path, code: str, expected: str
) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs root and mount namespaces")
    script = IN_A_SMALL_WORLD.format(code=code)
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "-", str(tmp_path), sys.executable],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr
