"""Index manager: opens, builds and replaces the index of a collection, with exact search as fallback."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge.core.errors import EdgeError, StoreError
from edge.core.storage.sqlite import Connection
from edge.core.system import hardware as board
from edge.recognition.store import annoy_index as indexes
from edge.recognition.store import index_worker as apart
from edge.recognition.store import snapshot as views
from edge.recognition.store.store import CollectionStore

if TYPE_CHECKING:
    from edge.core.settings.vision import CollectionSettings

LEAST_TAIL = 256
TAIL_SHARE = 0.05
"""fraction of the base: more exact rows than this and LEAST_TAIL trigger a rebuild"""
GONE_SHARE = 0.10
"""fraction of the base: more removed faces than this trigger a rebuild"""
SHRUNK = 0.5
"""fraction of exact_limit: a collection below this returns to exact search"""
APART = 1_000_000
"""numbers (faces x dimensions) from which an index is built in a child process"""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""seconds until the retry after a failed build"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexState:
    """How a collection is searched."""

    kind: Literal["exact", "annoy"]
    faces: int
    tail: int
    """number of faces newer than the index; all faces in exact search"""
    gone: int
    """number of removed faces that are still in the index"""
    building: bool
    trouble: str
    """why the index is not used, or could not be built; empty: no problem"""
    recall: float | None
    """recall@1 of the index, measured when it was built; 1 for exact search"""
    trees: int | None
    search_k: int | None


class IndexManager:
    """Manages the index of one collection. ``replace`` receives a new snapshot."""

    def __init__(
        self,
        name: str,
        store: CollectionStore,
        folder: Path,
        settings: CollectionSettings,
        current: Callable[[], views.Snapshot],
        replace: Callable[[views.Snapshot], None],
        maintain: bool,
    ) -> None:
        self._name = name
        self._store = store
        self._folder = folder
        self._settings = settings
        self._current = current
        self._replace = replace
        self._maintain = maintain
        self._closed, self._starting = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._trouble = ""
        self._possible = settings.index == "exact" or indexes.installed()

    def open(self, db: Connection, collection: int, space: str | None, dimensions: int) -> views.Snapshot:
        """The initial snapshot: with the index if it is valid, else empty; followed by ``catch_up``."""
        if space is None or self._settings.index == "exact" or not self._possible:
            return views.empty(collection, space, dimensions)
        try:
            manifest = indexes.read_manifest(self._folder, collection)
            if manifest is None or not self._wanted(manifest.count, dimensions, SHRUNK):
                return views.empty(collection, space, dimensions)
            self._check(db, manifest, collection, space, dimensions)
            return views.empty(collection, space, dimensions, self._load(manifest))
        except StoreError as error:
            self._trouble = error.message
            log.warning("collection %s: %s: search is exact until it is rebuilt", self._name, error.message)
            return views.empty(collection, space, dimensions)

    def warm(self) -> None:
        """Open in the background if there may be an index to verify, which takes a second for a large one."""
        if self._maintain and self._folder.is_dir() and any(self._folder.glob("*.json")):
            self._start("open", self._current)

    def keep_warm(self, view: views.Snapshot) -> None:
        """Keep the index in memory; may wait for the disk. An encrypted one already is."""
        if view.base is not None and self._store.vault.key is None:
            indexes.keep_warm(self._folder, view.base.manifest)

    def state(self, view: views.Snapshot) -> IndexState:
        manifest = view.base.manifest if view.base else None
        return IndexState(
            kind="annoy" if manifest else "exact",
            faces=view.count,
            tail=view.tail_count - len(view.tail_gone),
            gone=len(view.base_gone),
            building=self._thread is not None and self._thread.is_alive(),
            trouble=self._trouble or ("" if self._possible or not self._large(view) else indexes.MISSING),
            recall=manifest.recall if manifest else None,
            trees=manifest.trees if manifest else None,
            search_k=manifest.search_k if manifest else None,
        )

    def due(self, view: views.Snapshot) -> bool:
        """Whether this snapshot needs a new index, or none."""
        if view.collection is None or view.space is None:
            return False
        if view.base is None:
            return self._wanted(view.count, view.dimensions) and view.count > LEAST_TAIL
        if not self._wanted(view.count, view.dimensions, SHRUNK):
            return True
        base = view.base.manifest.count
        return view.tail_count > max(LEAST_TAIL, TAIL_SHARE * base) or len(view.base_gone) > GONE_SHARE * base

    def look(self, view: views.Snapshot) -> None:
        """Start a build in the background if one is due."""
        if self._maintain and self.due(view):
            self._start("build", self._rebuild_if_due)

    def rebuild(self) -> None:
        """Build the index that the settings require and pass its snapshot to ``replace``. Raises StoreError."""
        view = self._current()
        if view.collection is None or view.space is None:
            return
        started = time.monotonic()
        if not self._wanted(view.count, view.dimensions, SHRUNK if view.base else 1.0):
            self._replace(views.empty(view.collection, view.space, view.dimensions))
            return
        with _alone(self._folder, view.collection):
            base = self._newer(view) or self._load(self._build(view))
        self._replace(views.empty(view.collection, view.space, view.dimensions, base))
        self._trouble = ""
        log.info(
            "collection %s: index of %d faces in %.1f s: %d trees, search_k %d, recall %.3f",
            *(self._name, base.manifest.count, time.monotonic() - started, base.manifest.trees),
            *(base.manifest.search_k, base.manifest.recall),
        )

    def close(self) -> None:
        """Start no more builds, and cancel a running one; its result is discarded."""
        self._maintain = False
        self._closed.set()

    def _rebuild_if_due(self) -> None:
        if self.due(self._current()):
            self.rebuild()

    def _large(self, view: views.Snapshot) -> bool:
        return view.space is not None and self._asked(view.count, view.dimensions)

    def _wanted(self, count: int, dimensions: int, share: float = 1.0) -> bool:
        return self._possible and self._asked(count, dimensions, share)

    def _asked(self, count: int, dimensions: int, share: float = 1.0) -> bool:
        """Whether the settings require an index for this number of faces."""
        if self._settings.index == "auto":
            return count * dimensions > share * self._settings.exact_limit
        return self._settings.index == "annoy" and count > 0

    def _start(self, what: str, work: Callable[[], object]) -> None:
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(
                target=self._run, args=(what, work), name=f"collection-{what}-{self._name}"[:64], daemon=True
            )
            self._thread.start()

    def _run(self, what: str, work: Callable[[], object]) -> None:
        """Run ``work``, with retries and exponential backoff on failure."""
        if what == "build":
            board.lower_priority()
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            try:
                work()
            except EdgeError as error:
                known = self._closed.is_set() or self._trouble == error.message
                level = logging.DEBUG if known else logging.WARNING
                self._trouble = error.message
                log.log(level, "collection %s: %s failed, retry in %.0f s: %s", self._name, what, pause, error)
                self._closed.wait(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
            else:
                return

    def _check(
        self, db: Connection, manifest: indexes.IndexManifest, collection: int, space: str, dimensions: int
    ) -> None:
        """Raises StoreError for a manifest of another database or space, or of a restored older database."""
        newest = dict(db.execute("SELECT name, seq FROM sqlite_sequence WHERE name IN ('faces', 'removed')").fetchall())
        store = db.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()[0]
        own = (manifest.store, manifest.collection, manifest.space, manifest.dimensions)
        if own != (store, collection, space, dimensions):
            raise StoreError("index: belongs to another collection", "it is rebuilt automatically")
        if manifest.last_row > newest.get("faces", 0) or manifest.last_removal > newest.get("removed", 0):
            raise StoreError("index: is newer than the database", "it is rebuilt automatically")

    def _newer(self, view: views.Snapshot) -> indexes.VectorIndex | None:
        """An index that another process has built in the meantime, if it is usable."""
        try:
            manifest = indexes.read_manifest(self._folder, view.collection or 0)
            if manifest is None or (view.base and manifest.tree_file == view.base.manifest.tree_file):
                return None
            with self._store.reading() as db:
                self._check(db, manifest, view.collection or 0, view.space or "", view.dimensions)
                newer = "SELECT count(*) FROM faces WHERE collection = ? AND row > ?"
                tail = db.execute(newer, (view.collection, manifest.last_row)).fetchone()[0]
            serves = tail <= max(LEAST_TAIL, TAIL_SHARE * manifest.count) / 2
            return self._load(manifest) if serves else None
        except StoreError:
            return None

    def _load(self, manifest: indexes.IndexManifest) -> indexes.VectorIndex:
        return indexes.load(self._folder, manifest, self._store.vault.key)

    def _build(self, view: views.Snapshot) -> indexes.IndexManifest:
        if view.count * view.dimensions <= APART:
            return apart.build(self._store, self._folder, view, self._settings.recall)
        apart.build_apart(self._store, self._folder, view, self._settings.recall, self._closed)
        manifest = indexes.read_manifest(self._folder, view.collection or 0)
        if manifest is None:
            raise StoreError("index: was deleted after the build", "it is rebuilt automatically")
        return manifest


@contextmanager
def _alone(folder: Path, collection: int) -> Iterator[None]:
    """File lock: one process at a time builds the index of a collection."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{collection}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}", "check the state folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
