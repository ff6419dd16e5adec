"""Record of changes that were made on the page: who did what, when."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from edge.hub.databases import HubDatabase

log = logging.getLogger(__name__)

SCHEMA = """CREATE TABLE IF NOT EXISTS changes (
    time DOUBLE PRECISION NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL)"""
SHOWN = 50


class ChangeLog:
    """Table ``changes`` of the hub's database. Thread-safe; raises TransientError, InputError."""

    def __init__(self, database: HubDatabase) -> None:
        self._database, self._lock = database, threading.Lock()
        with database.transaction() as transaction:
            transaction.execute(SCHEMA)

    def note(self, who: str, what: str, detail: str = "") -> None:
        """``detail``: a release, a group; never the name of an erased subject."""
        log.info("page: %s: %s %s", who, what, detail)
        with self._lock, self._database.transaction() as transaction:
            transaction.many("INSERT INTO changes VALUES (?, ?, ?, ?)", [(time.time(), who, what, detail)])

    def latest(self) -> list[dict[str, Any]]:
        """The newest first."""
        with self._lock, self._database.transaction(reading=True) as transaction:
            query = "SELECT time, who, what, detail FROM changes ORDER BY time DESC LIMIT ?"
            rows = transaction.execute(query, [SHOWN])
        return [{"time": moment, "who": who, "what": what, "detail": detail} for moment, who, what, detail in rows]
