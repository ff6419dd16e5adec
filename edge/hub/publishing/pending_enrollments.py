"""Faces that devices enrolled and the hub has pulled, until its owner accepts or drops them.

Each face is remembered by its FaceId once it has been decided, without name and embedding, so that it is not asked
about again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge.core.storage.sqlite import Database
from edge.core.types import Face
from edge.recognition.store.export import from_line, to_line

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.recognition.enrollment_export import EnrollmentPage

FILE = "enrolments.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS faces (
    number INTEGER PRIMARY KEY, device TEXT NOT NULL, collection TEXT NOT NULL, face_id TEXT NOT NULL,
    state TEXT NOT NULL, pulled REAL NOT NULL, subject TEXT, space TEXT, face BLOB, vector BLOB,
    UNIQUE (device, collection, face_id));
CREATE TABLE IF NOT EXISTS places (
    device TEXT NOT NULL, asked TEXT NOT NULL, last TEXT NOT NULL, PRIMARY KEY (device, asked));
"""
DECIDE = "UPDATE faces SET state = ?, subject = NULL, space = NULL, face = NULL, vector = NULL"


@dataclass(frozen=True, slots=True)
class PendingFace:
    """A face that waits for a decision."""

    number: int
    device: str
    collection: str
    pulled: float
    """seconds since the epoch"""
    space: str
    face: Face
    vector: FloatArray = field(repr=False)


class PendingEnrollments:
    """The file in a hub's private folder. Close it. Raises StoreError."""

    def __init__(self, private: Path) -> None:
        self._database = Database(private / FILE, SCHEMA)

    def place(self, device: str, asked: str) -> str:
        """The FaceId up to which a collection of a device has come; empty: nothing yet."""
        with self._database.reading() as db:
            row = db.execute("SELECT last FROM places WHERE device = ? AND asked = ?", (device, asked)).fetchone()
        return str(row[0]) if row else ""

    def take(self, device: str, asked: str, page: EnrollmentPage) -> int:
        """Keep a page; how many faces were new. Those that came before, decided or not, stay as they are."""
        now = time.time()
        rows = [
            (device, page.collection, face.face_id, now, face.subject, page.space, to_line(face),
             vector.astype("<f4").tobytes())
            for face, vector in page.entries
        ]  # fmt: skip
        with self._database.writing() as db:
            before = db.total_changes
            db.executemany(
                "INSERT INTO faces (device, collection, face_id, state, pulled, subject, space, face, vector) "
                "VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                rows,
            )
            new = db.total_changes - before
            db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (device, asked, page.last))
        return new

    def begin_anew(self, device: str, asked: str) -> None:
        """The next pull begins at the first face."""
        with self._database.writing() as db:
            db.execute("DELETE FROM places WHERE device = ? AND asked = ?", (device, asked))

    def waiting(self) -> list[PendingFace]:
        """All that waits, in the order in which it came."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT number, device, collection, pulled, space, face, vector FROM faces WHERE state = 'waiting' "
                "ORDER BY number"
            ).fetchall()
        return [
            PendingFace(
                number, device, collection, moment, space, from_line(face, collection), np.frombuffer(data, "<f4")
            )
            for number, device, collection, moment, space, face, data in rows
        ]

    def subjects(self) -> set[str]:
        with self._database.reading() as db:
            return {row[0] for row in db.execute("SELECT DISTINCT subject FROM faces WHERE state = 'waiting'")}

    def decide(self, numbers: Sequence[int], state: Literal["accepted", "dropped"]) -> None:
        """These wait no longer; of each its FaceId alone is kept."""
        with self._database.writing() as db:
            db.executemany(f"{DECIDE} WHERE number = ?", [(state, number) for number in numbers])

    def forget(self, subject: str) -> int:
        """Nothing of a subject waits any more; how many faces did."""
        with self._database.writing() as db:
            return db.execute(f"{DECIDE} WHERE state = 'waiting' AND subject = ?", ("dropped", subject)).rowcount

    def close(self) -> None:
        self._database.close()
