"""What a daemon does now and then, and that it waits for none of it."""

from __future__ import annotations

import gc
import mmap
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rigs.waiting import eventually

from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings, StrangerSettings
from edge.core.settings.vision import CollectionSettings
from edge.core.system import hardware as board
from edge.core.system import trusted_time
from edge.core.system.trusted_time import TrustedClock
from edge.core.types import Box, Space
from edge.daemon import housekeeping
from edge.daemon.housekeeping import SECONDS, Housekeeping
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store import annoy_index as index
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace


def test_it_begins_after_a_while_goes_on_regularly_and_never_twice_at_once() -> None:
    let_go, calls = threading.Event(), list[int]()

    def warm() -> None:
        calls.append(1)
        let_go.wait(30)

    made = Housekeeping(warm)
    now = time.monotonic()
    made.tick(now)
    assert not calls
    later = now + housekeeping.FIRST_SECONDS + 1
    began = time.monotonic()
    made.tick(later)
    assert eventually(lambda: len(calls) == 1)
    assert time.monotonic() - began < 25, "the tick does not wait for the disk"
    made.tick(later + 2 * SECONDS)
    assert len(calls) == 1
    let_go.set()
    assert eventually(lambda: made._thread is None or not made._thread.is_alive())
    made.tick(later + 2 * SECONDS)
    assert eventually(lambda: len(calls) == 2)


def a_question(moment: float) -> ReviewQuestion:
    vector = np.eye(1, 32, dtype=np.float32)[0]
    where = ("door", "1-1", "face", "staff", Space("ab" * 32, "litert", 1, 32), Box(0, 0, 1, 1))
    return ReviewQuestion("uncertain", moment, *where, 0.9, 0.8, "alice", (), vector, b"jpeg")


def test_what_is_too_old_goes_though_nothing_new_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ReviewSettings(enabled=True, crops=True, days=30)
    with ReviewQueue(tmp_path, kept) as queue:
        queue.put([a_question(time.time()), a_question(time.time())])
        queue.answer(queue.get(1), "discarded", None)
        now, look = time.time(), np.eye(1, 32, dtype=np.float32)
        queue.strangers.put(
            [Stranger(0, 7, "staff", "face", Space("ab" * 32, "litert", 1, 32), now, now, 1, 0.9, look)],
            StrangerSettings(),
        )
    settings = Settings(review=kept.model_copy(update={"enabled": False}), strangers=StrangerSettings(days=30))
    boot = trusted_time.read_clocks()
    later = replace(boot, since_boot=boot.since_boot + 31 * 86400, wall=boot.wall + 31 * 86400)
    monkeypatch.setitem(trusted_time._clocks, tmp_path.absolute(), TrustedClock(tmp_path, lambda: later))
    made = Housekeeping(lambda: None, lambda: housekeeping.expire(settings, tmp_path))
    made.tick(time.monotonic() + housekeeping.FIRST_SECONDS + 1)
    assert made._thread is not None
    made._thread.join()
    with ReviewQueue(tmp_path, kept) as queue:
        assert queue.kept().waiting == 1, "it is done once an hour, and not at the start"
    monkeypatch.setattr(housekeeping, "FIRST_SECONDS", 0.0)
    made = Housekeeping(lambda: None, lambda: housekeeping.expire(settings, tmp_path))
    made.tick(time.monotonic())
    assert made._thread is not None
    made._thread.join()
    with ReviewQueue(tmp_path, kept) as queue:
        assert (queue.kept().waiting, queue.kept().answered, queue.strangers.all()) == (0, 0, [])


def test_pictures_go_when_the_settings_keep_none_any_more(tmp_path: Path) -> None:
    kept = ReviewSettings(enabled=True, crops=True)
    with ReviewQueue(tmp_path, kept) as queue:
        queue.put([a_question(time.time()), a_question(time.time())])
        queue.answer(queue.get(1), "confirmed", "alice", "face-1")
    housekeeping.expire(Settings(review=kept), tmp_path)
    with ReviewQueue(tmp_path, kept) as queue:
        assert (queue.get(2).crop, queue.kept().pictures) == (b"jpeg", 1)
    housekeeping.expire(Settings(review=ReviewSettings(enabled=True)), tmp_path)
    with ReviewQueue(tmp_path, kept) as queue:
        assert (queue.get(2).crop, queue.kept().pictures) == (b"", 0)
        assert [one.subject for one in queue.answers()] == ["alice"]


def test_where_nothing_was_ever_asked_no_file_is_made(tmp_path: Path) -> None:
    housekeeping.expire(Settings(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_opened_is_said_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / housekeeping.REVIEW).write_bytes(b"not a database" * 100)
    housekeeping.expire(Settings(), tmp_path)
    assert "cannot be deleted yet" in caplog.text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a collection of 400 faces and its index."""
    vectors = np.random.default_rng(1).standard_normal((400, 32), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    faces = [NewFace(vector, f"s{i}", f"{i:064x}", Box(0, 0, 1, 1)) for i, vector in enumerate(vectors)]
    with Collections(tmp_path, CollectionSettings(index="annoy"), maintain=False) as opened:
        opened.create("staff").add(faces, Space("ab" * 32, "litert", 1, 32))
        opened.get("staff").rebuild()
    return tmp_path


def resident_share(path: Path) -> float:
    """Of a file's pages, those that the kernel holds in memory: mincore(2)."""
    import ctypes

    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        pages = -(-len(mapped) // mmap.PAGESIZE)
        found = (ctypes.c_ubyte * pages)()
        at = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        assert ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(at), ctypes.c_size_t(len(mapped)), found) == 0
        return sum(byte & 1 for byte in found) / pages


def test_pages_of_an_index_that_the_kernel_let_go_are_read_again(folder: Path, let_go: Callable[[Path], None]) -> None:
    manifest = index.read_manifest(folder / "indexes", 1)
    assert manifest is not None
    tree = folder / "indexes" / manifest.tree_file
    let_go(tree)
    if resident_share(tree) > 0.5:
        pytest.skip("this file system keeps its files in memory")

    index.keep_warm(folder / "indexes", manifest)

    assert eventually(lambda: resident_share(tree) == 1.0)


@pytest.fixture
def let_go() -> Callable[[Path], None]:

    def ask(path: Path) -> None:
        gc.collect()  # what is mapped stays in memory
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)

    return ask


def test_where_memory_is_short_nothing_is_read(
    folder: Path, let_go: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = index.read_manifest(folder / "indexes", 1)
    assert manifest is not None
    tree = folder / "indexes" / manifest.tree_file
    let_go(tree)
    before = resident_share(tree)
    monkeypatch.setattr(board, "available", lambda: tree.stat().st_size)
    index.keep_warm(folder / "indexes", manifest)

    assert resident_share(tree) == before


def test_collections_keep_what_is_open_at_hand_and_an_index_that_is_gone_is_no_matter(folder: Path) -> None:
    vector: NDArray[np.float32] = np.eye(1, 32, dtype=np.float32)
    with Collections(folder, CollectionSettings(index="annoy"), maintain=False) as opened:
        opened.warm()
        staff = opened.get("staff")
        opened.warm()
        staff.search(vector)
        assert staff.state.kind == "annoy"
        for path in (folder / "indexes").glob("*.annoy"):
            path.unlink()
        opened.warm()
        assert len(staff.search(vector, 3)[0]) == 3


def test_a_mapped_index_is_brought_into_the_process_and_a_file_that_is_not_mapped_is_not(folder: Path) -> None:
    manifest = index.read_manifest(folder / "indexes", 1)
    assert manifest is not None
    tree = (folder / "indexes" / manifest.tree_file).resolve()
    gc.collect()
    assert not board.prefault(tree)
    loaded = index.load(folder / "indexes", manifest)
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if version >= (5, 14):
        assert board.prefault(tree)
    assert loaded.tree.get_n_items() == 400
