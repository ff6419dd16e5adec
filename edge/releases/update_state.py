"""What must be remembered of releases, also over a power cut: version floors, bad releases, the erasure floor.

A small SQLite file with synchronous=FULL. The sync process and the daemon share it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.releases.manifest import subject_digest
from edge.releases.release_store import ReleaseStore

FILE = "releases.sqlite"
WAIT = 10.0
"""seconds that a write waits for the other process"""


class UpdateState:
    """Facts by name; a value is anything that JSON can hold. Threads may share it. Raises StoreError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.Lock()
        try:
            files.make_folder(folder)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None, check_same_thread=False)
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            self._db.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error) from error

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The fact of that name."""
        try:
            with self._lock, closing(self._db.execute("SELECT value FROM facts WHERE name = ?", (name,))) as found:
                row = found.fetchone()
        except sqlite3.Error as error:
            raise self._explained(error) from error
        return otherwise if row is None else json.loads(row[0])

    def put(self, facts: Mapping[str, Any]) -> None:
        """Write all of ``facts``, or none; they are on disk when this returns. None takes a fact away."""
        try:
            with self._lock:
                self._db.execute("BEGIN IMMEDIATE")
                for name, value in facts.items():
                    if value is None:
                        self._db.execute("DELETE FROM facts WHERE name = ?", (name,))
                    else:
                        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._explained(error) from error

    def bad(self, release: str) -> str:
        """Why a release is never tried again; empty where it may be."""
        return str(self.get(f"bad {release}", ""))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _explained(self, error: Exception) -> StoreError:
        return StoreError(f"{self.path}: {error}", "check the disk and the owner of the state folder")


def erase(state: Path, collection: str, subject: str) -> None:
    """From now on no release brings back faces of ``subject`` that were made before. Raises StoreError."""
    ledger = UpdateState(ReleaseStore(state).folder)
    try:
        known = ledger.get(f"erased {collection}", {"faces": [], "subjects": {}})
        subjects = known["subjects"] | {subject_digest(collection, subject): time.time()}
        ledger.put({f"erased {collection}": {**known, "subjects": subjects}})
    finally:
        ledger.close()
