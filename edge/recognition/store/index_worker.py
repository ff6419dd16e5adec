"""Index worker: builds a large index in a child process with low priority, whose memory is freed when it ends.

The child takes its task as JSON on the command line and answers with a line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import BusyError, EdgeError, StoreError
from edge.core.storage import keys as vault_keys
from edge.core.system import hardware as board
from edge.recognition.store import index_builder as building
from edge.recognition.store import snapshot as views
from edge.recognition.store.store import CollectionStore

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.recognition.store.annoy_index import IndexManifest

NICE = 15
CHILD = (
    "import sys; from edge.core.storage import keys; from edge.recognition.store.index_worker import child; "
    "keys.use(sys.stdin.read()); sys.exit(child(sys.argv[1]))"
)
"""the encryption key is passed through a pipe, as every user can read command lines"""
LOOK = 0.5
"""seconds between checks whether the build is still needed"""
_HINT = "it is retried automatically; edge doctor checks disk space and memory"

log = logging.getLogger(__name__)


def build(
    store: CollectionStore, folder: Path, view: views.Snapshot, recall: float, on_disk: bool = False
) -> IndexManifest:
    """Build the index of a collection's current faces in this process. Raises StoreError."""
    with closing(store.connect()) as db:
        db.execute("BEGIN")
        collection, dimensions = view.collection or 0, view.dimensions

        def pieces() -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
            for rows, vectors, _, _ in views.pieces(db, collection, dimensions, 0):
                yield np.array(rows, np.int64), vectors

        last_row = db.execute("SELECT max(row) FROM faces WHERE collection = ?", (collection,)).fetchone()[0] or 0
        sql = "SELECT max(sequence) FROM removed WHERE collection = ?"
        last_removal = db.execute(sql, (collection,)).fetchone()[0] or 0
        source = building.IndexSource(
            store.identity, collection, view.space or "", dimensions, last_row, last_removal, pieces
        )
        return building.build(folder, source, recall, store.vault.key, on_disk)


def build_apart(
    store: CollectionStore, folder: Path, view: views.Snapshot, recall: float, stop: threading.Event
) -> None:
    """``build`` in a child process. Raises StoreError if it fails or is killed, BusyError when ``stop`` is set."""
    task = {
        "state": str(store.path.parent), "folder": str(folder), "collection": view.collection, "space": view.space,
        "dimensions": view.dimensions, "recall": recall,
    }  # fmt: skip
    command = [sys.executable, "-c", CHILD, json.dumps(task)]
    # one thread: the other cores are for the cameras
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as child:
        _send_key(child, vault_keys.given())
        while child.poll() is None and not stop.wait(LOOK):
            pass
        if child.poll() is None:
            child.kill()
        said, trouble = child.communicate()
    if stop.is_set() and child.returncode:
        raise BusyError(f"{folder}: the build was not needed any more", "nothing to do")
    _check_exit(child.returncode, said, trouble)


def _send_key(child: subprocess.Popen[bytes], keys: str) -> None:
    assert child.stdin is not None  # noqa: S101
    with suppress(BrokenPipeError):  # its exit status is checked later
        child.stdin.write(keys.encode())
        child.stdin.close()
    child.stdin = None


def _check_exit(code: int, stdout: bytes, stderr: bytes) -> None:
    """Raises StoreError for a failed build."""
    try:
        answer: Any = json.loads(stdout)
    except ValueError:
        answer = {}
    if code == 0 and answer.get("built"):
        return
    if answer.get("error"):
        raise StoreError(answer["error"], answer.get("hint", _HINT))
    if code < 0:
        name = signal.Signals(-code).name
        why = {"SIGBUS": "the disk is full", "SIGKILL": "out of memory"}.get(name, "it crashed")
        raise StoreError(f"index: the process that built it was ended by {name}: {why}", _HINT)
    last = stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
    raise StoreError(f"index: the process that built it failed: {last[0][:300]}", _HINT)


def child(asked: str) -> int:
    """Run the task of the JSON ``asked``, write the result to stdout. Returns the exit status."""
    task = json.loads(asked)
    board.lower_priority(NICE)
    try:
        store = CollectionStore(Path(task["state"]))
        with closing(store):
            view = views.empty(task["collection"], task["space"], task["dimensions"])
            manifest = build(store, Path(task["folder"]), view, task["recall"], on_disk=True)
    except EdgeError as error:
        print(json.dumps({"error": error.message, "hint": error.hint}))
        return 1
    print(json.dumps({"built": manifest.tree_file}))
    return 0
