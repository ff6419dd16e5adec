"""Jobs and what they found, in ``<state>/videos.sqlite``: findings are on disk with how far the video was seen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge.database import Database

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
    """The database. Raises StoreError."""

    def __init__(self, state: Path) -> None:
        self._db = Database(state / FILE, SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, job: Job) -> None:
        now = time.time()
        with self._db.writing() as db:
            db.execute("DELETE FROM jobs WHERE started NOT BETWEEN ? AND ?", (now - KEPT, now + KEPT))
            db.execute("INSERT INTO jobs VALUES (?,?,?,?,?)", (job.id, now, job.status, job.seen, _document(job)))

    def get(self, number: str) -> Job | None:
        with self._db.reading() as db:
            row = db.execute("SELECT status, seen, document FROM jobs WHERE id=?", (number,)).fetchone()
        return _job(*row) if row else None

    def unfinished(self) -> list[Job]:
        """In the order in which they came."""
        with self._db.reading() as db:
            rows = db.execute("SELECT status, seen, document FROM jobs WHERE status='IN_PROGRESS' ORDER BY started")
            return [_job(*row) for row in rows]

    def save(self, job: Job, findings: Sequence[Finding] = ()) -> None:
        """How far a job is, with what was found since the last time."""
        with self._db.writing() as db:
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
        with self._db.reading() as db:
            return [Finding(row[0], row[1], json.loads(row[2])) for row in db.execute(sql, (job, limit, after))]


def _document(job: Job) -> str:
    return json.dumps({name: value for name, value in asdict(job).items() if name not in ("status", "seen")})


def _job(status: str, seen: int, document: str) -> Job:
    return Job(**json.loads(document), status=status, seen=seen)
