"""Jobs and what they found, in ``<state>/videos.sqlite``: findings are on disk with how far the video was seen."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge.errors import StoreError

FILE = "videos.sqlite"
KEPT = 7 * 86400.0
"""seconds for which a job is kept after its start"""
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, started REAL NOT NULL, status TEXT NOT NULL, seen INTEGER NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS findings (
    position INTEGER PRIMARY KEY, job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, time INTEGER NOT NULL,
    name TEXT NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS findings_time ON findings (job, time, position);
CREATE INDEX IF NOT EXISTS findings_name ON findings (job, name, time, position);
"""
Order = Literal["time", "name"]


@dataclass(frozen=True, slots=True)
class Job:
    """One question about one video."""

    id: str
    operation: str
    """``StartFaceSearch``, ``StartFaceDetection`` or ``StartLabelDetection``"""
    request: dict[str, Any]
    status: str = "IN_PROGRESS"
    message: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    """VideoMetadata"""
    seen: int = -1
    """milliseconds of the video whose findings are on disk"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was there at a moment of the video."""

    time: int
    """milliseconds from the start"""
    name: str
    """what it is sorted by, other than the time"""
    document: dict[str, Any]


class JobStore:
    """The database. One connection behind a lock. Raises StoreError."""

    def __init__(self, state: Path) -> None:
        self._lock = threading.RLock()
        path = state / FILE
        try:
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            setup = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
            self._db.executescript(setup + SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: cannot be opened: {error}", "check its owner, and the space on disk") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def add(self, job: Job) -> None:
        now = time.time()
        with self._writing() as db:
            db.execute("DELETE FROM jobs WHERE started NOT BETWEEN ? AND ?", (now - KEPT, now + KEPT))
            db.execute("INSERT INTO jobs VALUES (?,?,?,?,?)", (job.id, now, job.status, job.seen, _document(job)))

    def get(self, number: str) -> Job | None:
        with self._reading() as db:
            row = db.execute("SELECT status, seen, document FROM jobs WHERE id=?", (number,)).fetchone()
        return _job(*row) if row else None

    def unfinished(self) -> list[Job]:
        """In the order in which they came."""
        with self._reading() as db:
            rows = db.execute("SELECT status, seen, document FROM jobs WHERE status='IN_PROGRESS' ORDER BY started")
            return [_job(*row) for row in rows]

    def save(self, job: Job, findings: Sequence[Finding] = ()) -> None:
        """How far a job is, with what was found since the last time."""
        with self._writing() as db:
            row = (job.status, job.seen, _document(job), job.id)
            db.execute("UPDATE jobs SET status=?, seen=?, document=? WHERE id=?", row)
            db.executemany(
                "INSERT INTO findings (job, time, name, document) VALUES (?,?,?,?)",
                [(job.id, one.time, one.name, json.dumps(one.document)) for one in findings],
            )

    def findings(self, job: str, order: Order, after: int, limit: int) -> list[Finding]:
        """A page: ``limit`` findings past the first ``after``."""
        columns = "time, position" if order == "time" else "name, time, position"
        sql = f"SELECT time, name, document FROM findings WHERE job=? ORDER BY {columns} LIMIT ? OFFSET ?"  # noqa: S608
        with self._reading() as db:
            return [Finding(row[0], row[1], json.loads(row[2])) for row in db.execute(sql, (job, limit, after))]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise StoreError(f"{FILE}: {error}", "check the space on disk") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise


def _document(job: Job) -> str:
    return json.dumps({name: value for name, value in asdict(job).items() if name not in ("status", "seen")})


def _job(status: str, seen: int, document: str) -> Job:
    return Job(**json.loads(document), status=status, seen=seen)
