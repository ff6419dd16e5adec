"""What people have said about custom labels: examples that a head can learn from, by the question they answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from edge.core.storage.sqlite import Database
from edge.labels.examples import ConfirmedExample
from edge.recognition.review.database import EXAMPLE

if TYPE_CHECKING:
    from edge.core.types import FloatArray

MOST = 10_000
"""of all labels; the oldest go"""


class Examples:
    """The examples of a state folder's ``review.sqlite``. Any thread. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, question: int, name: str, label: str | None, space: str, vector: FloatArray) -> None:
        """Keep what a question was answered with, about the custom labels ``name``, in a space by its fingerprint."""
        with self._db.writing() as db:
            blob = db.vault.seal(vector.astype("<f4").tobytes(), EXAMPLE, question)
            row = (question, time.time(), name, label, space, blob)
            db.execute("INSERT OR REPLACE INTO examples VALUES (?,?,?,?,?,?)", row)
            db.execute(
                "DELETE FROM examples WHERE id <= (SELECT id FROM examples ORDER BY id DESC LIMIT 1 OFFSET ?)", (MOST,)
            )

    def of(self, name: str, space: str) -> list[ConfirmedExample]:
        """Those of custom labels in a space, in the order of their questions."""
        with self._db.reading() as db:
            sql = "SELECT id, label, vector FROM examples WHERE name = ? AND space = ? ORDER BY id"
            return [
                ConfirmedExample(
                    number, label, np.frombuffer(db.vault.open(blob, EXAMPLE, number), "<f4").astype(np.float32)
                )
                for number, label, blob in db.execute(sql, (name, space)).fetchall()
            ]

    def counts(self) -> dict[str, int]:
        """Custom labels -> examples."""
        with self._db.reading() as db:
            return dict(db.execute("SELECT name, count(*) FROM examples GROUP BY name ORDER BY name").fetchall())
