"""A large index is built by a child: the same file, at a low priority, and no way of its end harms the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rigs.waiting import eventually

from edge.core.errors import BusyError, StoreError
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Space
from edge.recognition.store import annoy_index as index
from edge.recognition.store import index_manager as upkeep
from edge.recognition.store import index_worker as apart
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

Units = Callable[..., NDArray[np.float32]]
Faces = Callable[..., list[NewFace]]
SETTINGS = CollectionSettings(index="annoy")


@pytest.fixture(autouse=True)
def _all_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "APART", 0)


@pytest.fixture
def opened(tmp_path: Path, unit: Units, faces: Faces, space: Space) -> Iterator[Collections]:
    with Collections(tmp_path, SETTINGS, maintain=False) as found:
        found.create("staff").add(faces(unit(700)), space)
        yield found


def children(monkeypatch: pytest.MonkeyPatch, code: str) -> list[subprocess.Popen[bytes]]:
    """Have the child run ``code`` instead; the processes that were started."""
    started: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            started.append(self)

    monkeypatch.setattr(apart.subprocess, "Popen", Popen)
    if code:
        monkeypatch.setattr(apart, "CHILD", code)
    return started


def test_the_childs_index_is_the_one_that_this_process_would_build(
    opened: Collections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: Units
) -> None:
    staff = opened.get("staff")
    started = children(monkeypatch, "")
    staff.rebuild()
    theirs = index.read_manifest(tmp_path / "indexes", staff.number)
    monkeypatch.setattr(upkeep, "APART", 10**9)
    staff.rebuild()
    ours = index.read_manifest(tmp_path / "indexes", staff.number)

    assert [child.returncode for child in started] == [0]
    assert theirs is not None
    assert ours is not None
    assert ours.tree_file != theirs.tree_file
    assert (ours.tree_sha256, ours.row_sha256, ours.search_k) == (
        theirs.tree_sha256, theirs.row_sha256, theirs.search_k,
    )  # fmt: skip
    assert staff.state.kind == "annoy"
    assert staff.search(unit(700)[3:4])[0][0].subject == "s3"


def test_the_child_steps_back(opened: Collections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "nice"
    code = f"""
import os, sys
from edge.recognition.store import index_builder as building
from edge.recognition.store import index_worker as apart
build = building.build
def watched(*arguments, **more):
    open({str(said)!r}, "w").write(f"{{os.getpriority(os.PRIO_PROCESS, 0)}} {{'pydantic' in sys.modules}}")
    return build(*arguments, **more)
building.build = watched
sys.exit(apart.child(sys.argv[1]))
"""
    children(monkeypatch, code)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    opened.get("staff").rebuild()

    assert said.read_text() == f"{min(19, before + apart.NICE)} False"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os.kill(os.getpid(), 7)", "SIGBUS: the disk is full"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL: out of memory"),
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV: it crashed"),
        ("raise KeyError('a bug')", "KeyError: 'a bug'"),
        ("print('not json')", "failed: no output"),
        ('print(\'{"error": "the disk is odd", "hint": "look at it"}\'); raise SystemExit(1)', "the disk is odd"),
    ],
)
def test_however_the_child_ends_the_collection_goes_on_and_says_why(
    opened: Collections, monkeypatch: pytest.MonkeyPatch, code: str, why: str, unit: Units
) -> None:
    staff = opened.get("staff")
    children(monkeypatch, code)
    with pytest.raises(StoreError, match=why):
        staff.rebuild()

    assert staff.state.kind == "exact"
    assert staff.search(unit(700)[3:4])[0][0].subject == "s3"


def test_a_child_that_is_killed_in_the_middle_leaves_the_old_index_in_use_and_its_rest_goes_with_the_next(
    opened: Collections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: Units, faces: Faces, space: Space
) -> None:
    staff, folder = opened.get("staff"), tmp_path / "indexes"
    staff.rebuild()
    old = index.read_manifest(folder, staff.number)
    staff.add(faces(unit(400, seed=1), start=1000), space)
    code = """
import os, signal, sys
from edge.recognition.store import index_builder as building
from edge.recognition.store import index_worker as apart
building._tune = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(apart.child(sys.argv[1]))
"""
    started = children(monkeypatch, code)
    with pytest.raises(StoreError):
        staff.rebuild()

    assert started[-1].returncode == -signal.SIGKILL
    assert list(folder.glob(".*.annoy"))
    assert index.read_manifest(folder, staff.number) == old
    assert staff.search(unit(400, seed=1)[5:6])[0][0].subject == "s1005"
    monkeypatch.undo()
    staff.rebuild()
    assert not list(folder.glob(".*.annoy"))
    assert staff.state.tail == 0


def test_a_build_that_is_not_wanted_any_more_is_ended(
    opened: Collections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff, stop = opened.get("staff"), threading.Event()
    started = children(monkeypatch, "import time; time.sleep(600)")
    view = staff._current()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            apart.build_apart(opened.store, tmp_path / "indexes", view, 0.99, stop)
        except BusyError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert eventually(lambda: bool(started), 30)
    stop.set()
    thread.join(30)

    assert len(errors) == 1
    assert started[0].returncode == -signal.SIGKILL
