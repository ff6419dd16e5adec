"""Durable state of updates: highest seen versions, bad releases and erasures.

A small SQLite file with synchronous=FULL, shared by ``edge sync`` and the daemon. A damaged file is set aside;
security-relevant values are restored from a copy beside it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.core.storage.damaged import remove
from edge.core.storage.sqlite import DURABLE, check, open_file, open_or_set_aside, transaction
from edge.releases.manifest import subject_digest
from edge.releases.release_store import ReleaseStore

FILE, COPY = "releases.sqlite", "releases.copy.json"
SIGNED = "signed"
"""key: signing time of the latest timestamp metadata"""
COPIED, COPIED_PREFIXES = ("floors", "erasure", "signed", "good"), ("erased ", "bad ")
"""keys in the copy: their loss would allow rollbacks, bad releases or erased subjects"""

log = logging.getLogger(__name__)


class UpdateState:
    """JSON values by key. Thread-safe. Raises StoreError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._copy = folder / COPY
        self._lock = threading.RLock()
        try:
            files.make_folder(folder)
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error) from error

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The value of a key; ``otherwise`` where it is absent or of another type."""
        try:
            with self._lock:
                self._reopen_if_replaced()
                with closing(self._db.execute("SELECT value FROM facts WHERE name = ?", (name,))) as found:
                    row = found.fetchone()
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error) from error
        return otherwise if row is None else self._value(name, row[0], otherwise)

    def put(self, facts: Mapping[str, Any]) -> None:
        """Write all of ``facts`` or none; they are on disk when this returns. None deletes a key."""
        try:
            with self._lock:
                self._reopen_if_replaced()
                self._write(facts)
                if any(_is_copied(name) for name in facts):
                    self._write_copy()
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error) from error

    def bad(self, release: str) -> str:
        """Reason why a release is never installed; empty where it is allowed."""
        return str(self.get(f"bad {release}", ""))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _open(self) -> None:
        open_or_set_aside(self.path, self._connect, f"what is known is read from {COPY}")
        if self._db.execute("SELECT count(*) FROM facts").fetchone()[0] == 0 and (known := self._read_copy()):
            log.error("%s: %d facts were restored from %s", self.path, len(known), self._copy.name)
            self._write(known)

    def _connect(self) -> None:
        self._db = open_file(self.path, DURABLE)
        self._db.text_factory = bytes  # a damaged value may not be valid UTF-8
        try:
            check(self._db)
            self._db.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        except sqlite3.Error:
            self._db.close()
            raise
        self._inode = self.path.stat().st_ino

    def _reopen_if_replaced(self) -> None:
        """Another process may have set the file aside."""
        with suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                return
        self._db.close()
        self._open()

    def _write(self, facts: Mapping[str, Any]) -> None:
        with transaction(self._db):
            for name, value in facts.items():
                if value is None:
                    self._db.execute("DELETE FROM facts WHERE name = ?", (name,))
                else:
                    self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def _write_copy(self) -> None:
        known = {}
        for name, value in self._db.execute("SELECT name, value FROM facts").fetchall():
            with suppress(ValueError):
                known[name.decode()] = json.loads(value)
        if self._copy.is_dir():
            remove(self._copy)
        files.write_bytes(self._copy, json.dumps({k: v for k, v in known.items() if _is_copied(k)}).encode())

    def _read_copy(self) -> dict[str, Any]:
        try:
            known = json.loads(self._copy.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _value(self, name: str, text: bytes, otherwise: Any) -> Any:
        try:
            value = json.loads(text)
        except ValueError:
            log.error("%s: %s is damaged", self.path, name)
            value = self._read_copy().get(name, otherwise)
        numbers = (int, float)
        kind = numbers if isinstance(otherwise, numbers) else type(otherwise)
        return value if otherwise is None or isinstance(value, kind) else otherwise

    def _explained(self, error: Exception) -> StoreError:
        return StoreError(f"{self.path}: {error}", "check the disk and the owner of the state folder")


def _is_copied(name: str) -> bool:
    return name in COPIED or name.startswith(COPIED_PREFIXES)


def erase(state: Path, collection: str, subject: str) -> None:
    """Record an erasure: no release restores earlier faces of ``subject``. Raises StoreError."""
    updates = UpdateState(ReleaseStore(state).folder)
    try:
        known = updates.get(f"erased {collection}", {"faces": [], "subjects": {}})
        now = max(time.time(), float(updates.get(SIGNED, 0.0)))  # not before the signing time of the metadata
        subjects = known["subjects"] | {subject_digest(collection, subject): now}
        updates.put({f"erased {collection}": {**known, "subjects": subjects}})
    finally:
        updates.close()
