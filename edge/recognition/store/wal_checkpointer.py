"""The write-ahead log is brought into the database by a thread of its own.

SQLite itself does that within the commit that finds 1,000 pages in the log, and whoever adds one face waits for it:
after an index was built, which reads for long and holds the log back, for all that was written meanwhile.
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
"""changed, for another go: about what 1,000 pages hold of faces that are added one by one"""
AGAIN = 5.0
"""seconds until what somebody's long look held back is tried again"""
BACKSTOP_PAGES = 16_384
"""64 MiB of log from which on a commit does it after all, whatever has become of the thread"""

log = logging.getLogger(__name__)


class WalCheckpointer:
    """Of one database. ``connect`` makes the thread's own connection; ``lock`` is held by whoever writes."""

    def __init__(self, connect: Callable[[], Connection], lock: threading.RLock) -> None:
        self._connect, self._lock = connect, lock
        self._wanted, self._closed = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._known = 0

    def wrote(self, changes: int) -> None:
        """The writer has changed so many rows since it was opened, and holds the lock."""
        if changes - self._known < ROWS:
            return
        self._known = changes
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="collections-log", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Waits for what is under way: call it without the lock."""
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
                log.log(level, "collections: the log stays as it is, again in %.0f s: %s", AGAIN, error)
                whole, trouble = False, str(error)

    def _brought(self, db: Connection) -> bool:
        """Bring over what nobody's look holds back. True where that was all: the next commit begins the log anew."""
        if _checkpoint(db):
            return True
        # what was written meanwhile is little; under a steady stream of writes the log would never begin anew
        with self._lock:
            return _checkpoint(db)


def _checkpoint(db: Connection) -> bool:
    _, pages, brought = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return bool(pages == brought)
