"""Jobs and their findings, in ``<state>/videos.sqlite``; findings are saved together with the job's progress."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge.core.errors import StoreError
from edge.core.storage import layout
from edge.core.storage.sqlite import Connection, Database
from edge.core.storage.vault import Resealing
from edge.core.system.trusted_time import trusted_now

FILE = layout.VIDEOS.name
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
JOB, FINDING = "video job", "video finding"
"""contexts of sealed values"""
Order = Literal["time", "name"]


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis of one video."""

    id: str
    operation: str
    """its Start operation"""
    request: dict[str, Any]
    status: str = "IN_PROGRESS"
    message: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    """VideoMetadata"""
    seen: int = -1
    """milliseconds of the video whose findings are saved"""
    told: bool = True
    """whether its notification was delivered, or none was requested"""
    topic_told: bool = False
    """whether the SNS topic was notified, where an SNS endpoint is configured"""


@dataclass(frozen=True, slots=True)
class VideoFinding:
    """A finding at one time of the video."""

    time: int
    """milliseconds from the start"""
    name: str
    """secondary sort key besides the time"""
    document: dict[str, Any]


class JobStore:
    """The database. Raises StoreError."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._db = Database(state / FILE, SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, job: Job) -> None:
        now = trusted_now(self._state)
        with self._db.writing() as db:
            db.execute("DELETE FROM jobs WHERE started NOT BETWEEN ? AND ?", (now - KEPT, now + KEPT))
            row = (job.id, now, job.status, job.seen, db.vault.seal_text(_document(job), JOB, job.id))
            db.execute("INSERT INTO jobs VALUES (?,?,?,?,?)", row)

    def get(self, number: str) -> Job | None:
        with self._db.reading() as db:
            row = db.execute("SELECT status, seen, document FROM jobs WHERE id=?", (number,)).fetchone()
            return _job(row[0], row[1], db.vault.open_text(row[2], JOB, number)) if row else None

    def unfinished(self) -> list[Job]:
        """Unfinished jobs, oldest first."""
        return self._jobs("status='IN_PROGRESS'")

    def untold(self) -> list[Job]:
        """Finished jobs whose notification was not delivered yet."""
        return [job for job in self._jobs("status!='IN_PROGRESS'") if not job.told]

    def _jobs(self, where: str) -> list[Job]:
        with self._db.reading() as db:
            rows = db.execute(f"SELECT id, status, seen, document FROM jobs WHERE {where} ORDER BY started")  # noqa: S608
            opened = ((status, seen, db.vault.open_text(text, JOB, number)) for number, status, seen, text in rows)
            return [_job(*one) for one in opened]

    def save(self, job: Job, findings: Sequence[VideoFinding] = ()) -> None:
        """Save a job's progress with its new findings."""
        with self._db.writing() as db:
            row = (job.status, job.seen, db.vault.seal_text(_document(job), JOB, job.id), job.id)
            db.execute("UPDATE jobs SET status=?, seen=?, document=? WHERE id=?", row)
            db.executemany(
                "INSERT INTO findings (job, time, name, document) VALUES (?,?,?,?)",
                [
                    (
                        job.id,
                        one.time,
                        one.name,
                        db.vault.seal_text(json.dumps(one.document), FINDING, job.id, one.time),
                    )
                    for one in findings
                ],
            )

    def findings(self, job: str, order: Order, after: int, limit: int) -> list[VideoFinding]:
        """A page of findings: ``limit`` after the first ``after``."""
        columns = "time, position" if order == "time" else "name, time, position"
        sql = f"SELECT time, name, document FROM findings WHERE job=? ORDER BY {columns} LIMIT ? OFFSET ?"  # noqa: S608
        with self._db.reading() as db:
            rows = db.execute(sql, (job, limit, after))
            opened = ((time, name, db.vault.open_text(text, FINDING, job, time)) for time, name, text in rows)
            return [VideoFinding(time, name, json.loads(text)) for time, name, text in opened]


def reseal(db: Connection, change: Resealing) -> int:
    """Re-encrypt all jobs and findings; returns the number of damaged jobs, which are deleted.

    Runs in the caller's transaction. Raises SettingsError.
    """
    damaged = set()
    for number, document in db.execute("SELECT id, document FROM jobs").fetchall():
        try:
            sealed = change.text(document, JOB, number)
            db.execute("UPDATE jobs SET document = ? WHERE id = ?", (sealed, number))
        except StoreError:
            damaged.add((number,))
    for position, *place, document in db.execute("SELECT position, job, time, document FROM findings").fetchall():
        try:
            sealed = change.text(document, FINDING, *place)
            db.execute("UPDATE findings SET document = ? WHERE position = ?", (sealed, position))
        except StoreError:
            damaged.add((place[0],))
    db.executemany("DELETE FROM findings WHERE job = ?", damaged)
    db.executemany("DELETE FROM jobs WHERE id = ?", damaged)
    return len(damaged)


def _document(job: Job) -> str:
    return json.dumps({name: value for name, value in asdict(job).items() if name not in ("status", "seen")})


def _job(status: str, seen: int, document: str) -> Job:
    return Job(**json.loads(document), status=status, seen=seen)
