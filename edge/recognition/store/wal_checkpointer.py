"""WAL checkpointer: a background thread that checkpoints the write-ahead log.

SQLite checkpoints within the commit that finds 1,000 pages in the log, which delays that commit:
after an index build, whose long read blocks checkpoints, by all pages written in the meantime.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

from edge.core.errors import StoreError
from edge.core.storage.sqlite import Connection

ROWS = 128
"""changed rows until the next checkpoint: about 1,000 pages of single added faces"""
AGAIN = 5.0
"""seconds until the retry of a checkpoint that was blocked by a long read"""
BACKSTOP_PAGES = 16_384
"""fallback: from 64 MiB of log, commits checkpoint themselves"""

log = logging.getLogger(__name__)


class WalCheckpointer:
    """Checkpoints one database. ``connect`` creates the thread's connection; ``lock`` is held by writers."""

    def __init__(self, connect: Callable[[], Connection], lock: threading.RLock) -> None:
        self._connect, self._lock = connect, lock
        self._wanted, self._closed = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._known = 0

    def wrote(self, changes: int) -> None:
        """Notify of a commit. ``changes``: rows changed since the writer was opened. The caller holds the lock."""
        if changes - self._known < ROWS:
            return
        self._known = changes
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="collections-log", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop the thread after a running checkpoint. Call it without the lock."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        whole, trouble = True, ""
        while True:
            self._wanted.wait(None if whole else AGAIN)
            if self._closed:
                return
            self._wanted.clear()
            try:
                with closing(self._connect()) as db:
                    whole, trouble = self._brought(db), ""
            except (sqlite3.Error, StoreError) as error:
                level = logging.DEBUG if str(error) == trouble else logging.WARNING
                log.log(level, "collections: checkpoint failed, retry in %.0f s: %s", AGAIN, error)
                whole, trouble = False, str(error)

    def _brought(self, db: Connection) -> bool:
        """Checkpoint all pages that no reader blocks. True if the log is empty: the next commit restarts it."""
        if _checkpoint(db):
            return True
        # few pages were written in the meantime; under continuous writes the log would never restart
        with self._lock:
            return _checkpoint(db)


def _checkpoint(db: Connection) -> bool:
    _, pages, brought = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return bool(pages == brought)
