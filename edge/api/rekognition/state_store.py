"""State of the endpoint: tags, request tokens and stream processors, in ``<state>/api.sqlite``.

One connection behind a lock, as accesses are small and rare. A processor is stored as one JSON document, so that new
fields of Rekognition need no migration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.api.rekognition.errors import ApiError
from edge.core.storage import layout
from edge.core.storage.sqlite import Connection, Database
from edge.core.storage.vault import Resealing
from edge.core.system.trusted_time import trusted_now

MAX_TAGS = 200
TOKEN_LIFE = 24 * 3600.0
"""seconds for which a ClientRequestToken replays its first response"""

FILE = layout.API.name
ANSWER = "token answer"
"""context of a sealed value"""
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
        self._state = folder
        self._db = Database(folder / FILE, SCHEMA)

    def close(self) -> None:
        self._db.close()

    def tags(self, resource: str) -> dict[str, str]:
        with self._db.reading() as db:
            return _tags(db, resource)

    def tag(self, resource: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags. Raises ApiError past MAX_TAGS."""
        with self._db.writing() as db:
            if len({**_tags(db, resource), **tags}) > MAX_TAGS:
                raise ApiError("ServiceQuotaExceededException", f"A resource has at most {MAX_TAGS} tags.")
            rows = [(resource, key, value) for key, value in tags.items()]
            db.executemany("INSERT OR REPLACE INTO tags VALUES (?,?,?)", rows)

    def untag(self, resource: str, keys: list[str] | None = None) -> None:
        """Remove the given tags, or all."""
        with self._db.writing() as db:
            if keys is None:
                db.execute("DELETE FROM tags WHERE resource=?", (resource,))
            else:
                rows = [(resource, key) for key in keys]
                db.executemany("DELETE FROM tags WHERE resource=? AND key=?", rows)

    def replay(self, operation: str, token: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first response to the same request with the same token; None for a new token.

        Raises ApiError where the token was used with another request.
        """
        with self._db.reading() as db:
            row = db.execute(
                "SELECT request, answer FROM tokens WHERE operation=? AND token=? AND time>?",
                (operation, token, trusted_now(self._state) - TOKEN_LIFE),
            ).fetchone()
        if row is None:
            return None
        if row[0] != _digest(request):
            raise ApiError(
                "IdempotentParameterMismatchException",
                f"The ClientRequestToken: {token} you have supplied is already in use.",
            )
        answer: dict[str, Any] = json.loads(db.vault.open_text(row[1], ANSWER, operation, token))
        return answer

    def remember(self, operation: str, token: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        now = trusted_now(self._state)
        with self._db.writing() as db:
            sealed = db.vault.seal_text(json.dumps(answer), ANSWER, operation, token)
            row = (operation, token, _digest(request), sealed, now)
            db.execute("DELETE FROM tokens WHERE time NOT BETWEEN ? AND ?", (now - TOKEN_LIFE, now + TOKEN_LIFE))
            db.execute("INSERT OR REPLACE INTO tokens VALUES (?,?,?,?,?)", row)

    def processors(self) -> list[dict[str, Any]]:
        """Documents of all processors, by name."""
        with self._db.reading() as db:
            rows = db.execute("SELECT document FROM processors ORDER BY name").fetchall()
        return [json.loads(row[0]) for row in rows]

    def save_processor(self, name: str, document: Mapping[str, Any]) -> None:
        with self._db.writing() as db:
            db.execute("INSERT OR REPLACE INTO processors VALUES (?,?)", (name, json.dumps(document)))

    def delete_processor(self, name: str) -> None:
        with self._db.writing() as db:
            db.execute("DELETE FROM processors WHERE name=?", (name,))


def reseal(db: Connection, _: Resealing) -> int:
    """Delete stored responses, which name users and pictures; repeats of their requests within a day run again."""
    db.execute("DELETE FROM tokens")
    return 0


def _tags(db: Connection, resource: str) -> dict[str, str]:
    return dict(db.execute("SELECT key, value FROM tags WHERE resource=? ORDER BY key", (resource,)))


def _digest(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
