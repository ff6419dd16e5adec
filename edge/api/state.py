"""What the endpoint alone keeps: tags, request tokens and stream processors, in ``<state>/api.sqlite``.

One connection behind a lock: these are small and rare. A processor is one JSON document, so that fields which
Rekognition adds need no migration.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge import vault
from edge.api.errors import ApiError
from edge.database import Connection, connect
from edge.errors import StoreError
from edge.vault import Vault

MAX_TAGS = 200
TOKEN_LIFE = 24 * 3600.0
"""seconds for which a ClientRequestToken replays its first answer"""

ANSWER = "token answer"
"""place of a sealed value"""
SCHEMA = """
CREATE TABLE IF NOT EXISTS tags (
    resource TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (resource, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    operation TEXT NOT NULL, token TEXT NOT NULL, request TEXT NOT NULL, answer TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (operation, token)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS processors (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
"""


class ApiState:
    """Tags, tokens and processors. Raises StoreError where the file cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.RLock()
        path = folder / "api.sqlite"
        self._vault = vault.of(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = connect(path, timeout=10)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(SCHEMA)
            path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: cannot be opened: {error}", "check its owner, and the space on disk") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def tags(self, resource: str) -> dict[str, str]:
        with self._lock:
            return dict(self._db.execute("SELECT key, value FROM tags WHERE resource=? ORDER BY key", (resource,)))

    def tag(self, resource: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags. Raises ApiError past MAX_TAGS."""
        with self._transaction():
            if len({**self.tags(resource), **tags}) > MAX_TAGS:
                raise ApiError("ServiceQuotaExceededException", f"A resource has at most {MAX_TAGS} tags.")
            rows = [(resource, key, value) for key, value in tags.items()]
            self._db.executemany("INSERT OR REPLACE INTO tags VALUES (?,?,?)", rows)

    def untag(self, resource: str, keys: list[str] | None = None) -> None:
        """Remove these tags, or all."""
        with self._transaction():
            if keys is None:
                self._db.execute("DELETE FROM tags WHERE resource=?", (resource,))
            else:
                rows = [(resource, key) for key in keys]
                self._db.executemany("DELETE FROM tags WHERE resource=? AND key=?", rows)

    def replay(self, operation: str, token: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first answer to the same request with the same token; None for a new token.

        Raises ApiError where the token came with another request.
        """
        with self._lock:
            row = self._db.execute(
                "SELECT request, answer FROM tokens WHERE operation=? AND token=? AND time>?",
                (operation, token, time.time() - TOKEN_LIFE),
            ).fetchone()
        if row is None:
            return None
        if row[0] != _digest(request):
            raise ApiError(
                "IdempotentParameterMismatchException",
                f"The ClientRequestToken: {token} you have supplied is already in use.",
            )
        answer: dict[str, Any] = json.loads(self._vault.open_text(row[1], ANSWER, operation, token))
        return answer

    def remember(self, operation: str, token: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        now = time.time()
        sealed = self._vault.seal_text(json.dumps(answer), ANSWER, operation, token)
        row = (operation, token, _digest(request), sealed, now)
        with self._transaction():
            self._db.execute("DELETE FROM tokens WHERE time NOT BETWEEN ? AND ?", (now - TOKEN_LIFE, now + TOKEN_LIFE))
            self._db.execute("INSERT OR REPLACE INTO tokens VALUES (?,?,?,?,?)", row)

    def processors(self) -> list[dict[str, Any]]:
        """All processors' documents, by name."""
        with self._lock:
            rows = self._db.execute("SELECT document FROM processors ORDER BY name").fetchall()
        return [json.loads(row[0]) for row in rows]

    def save_processor(self, name: str, document: Mapping[str, Any]) -> None:
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO processors VALUES (?,?)", (name, json.dumps(document)))

    def delete_processor(self, name: str) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM processors WHERE name=?", (name,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError(f"api.sqlite: {error}", "check the space on disk") from error


def reseal(db: Connection, *_: Vault) -> int:
    """First answers name users and pictures, for a day: without them a repeated request is done anew."""
    db.execute("DELETE FROM tokens")
    return 0


def _digest(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
