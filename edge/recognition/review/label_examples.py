"""Label examples from answered questions, for training a head."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from edge.core.storage.sqlite import Database
from edge.labels.examples import ConfirmedExample
from edge.recognition.review.database import BOX_EXAMPLE, EXAMPLE

if TYPE_CHECKING:
    from edge.core.types import FloatArray

MOST = 10_000
"""maximum examples of all labels; the oldest are deleted"""


class Examples:
    """The examples of a state folder's ``review.sqlite``. Thread-safe. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, question: int, name: str, label: str | None, space: str, vector: FloatArray) -> None:
        """Store an answer about the custom labels ``name``. ``label`` None: negative; ``space``: fingerprint."""
        with self._db.writing() as db:
            blob = db.vault.seal(vector.astype("<f4").tobytes(), EXAMPLE, question)
            row = (question, time.time(), name, label, space, blob)
            db.execute("INSERT OR REPLACE INTO examples VALUES (?,?,?,?,?,?)", row)
            db.execute(
                "DELETE FROM examples WHERE id <= (SELECT id FROM examples ORDER BY id DESC LIMIT 1 OFFSET ?)", (MOST,)
            )

    def of(self, name: str, space: str) -> list[ConfirmedExample]:
        """Examples of custom labels in a space: of pictures with corrected boxes, then of questions, oldest first."""
        with self._db.reading() as db:
            boxes = "SELECT picture, label, vector FROM box_examples WHERE name = ? AND space = ? ORDER BY id"
            found = [
                ConfirmedExample(-number, label, _vector(db.vault.open(blob, BOX_EXAMPLE, number)))
                for number, label, blob in db.execute(boxes, (name, space)).fetchall()
            ]
            sql = "SELECT id, label, vector FROM examples WHERE name = ? AND space = ? ORDER BY id"
            return found + [
                ConfirmedExample(number, label, _vector(db.vault.open(blob, EXAMPLE, number)))
                for number, label, blob in db.execute(sql, (name, space)).fetchall()
            ]

    def counts(self) -> dict[str, int]:
        """Custom labels -> number of answers: questions, and pictures with corrected boxes."""
        sql = """
            SELECT name, count(*) FROM (
                SELECT name, id FROM examples UNION SELECT name, -picture FROM box_examples
                UNION SELECT name, -id FROM pictures WHERE boxes IS NOT NULL)
            GROUP BY name ORDER BY name"""
        with self._db.reading() as db:
            return dict(db.execute(sql).fetchall())


def _vector(data: bytes) -> FloatArray:
    return np.frombuffer(data, "<f4").astype(np.float32)
