"""Groups questions about one face: its crops are one question with several pictures.

A crop joins the group of the nearest pending crop of its collection and embedding space, if their cosine reaches
the match threshold stored with the question. A face that a reviewer chose to ignore is not queued again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.core.storage.sqlite import Connection
from edge.core.types import Space
from edge.recognition.review import database
from edge.recognition.review.question import ReviewQuestion

if TYPE_CHECKING:
    from edge.core.types import FloatArray

MAX_LOOKS = 6
"""maximum crops per face; the one with the lowest quality is dropped"""
MAX_COMPARED = 1000
"""maximum pending crops, the latest ones, that a new one is compared with"""


@dataclass(slots=True)
class WaitingLook:
    """The fields of a stored question that grouping uses."""

    id: int
    group: int
    quality: float
    vector: FloatArray


class QuestionGroups:
    """The pending crops of a queue, within one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._waiting: dict[tuple[str, str], list[WaitingLook]] | None = None
        self._ignored: dict[tuple[str, str], FloatArray] = {}

    def is_ignored(self, question: ReviewQuestion) -> bool:
        """Whether a reviewer chose to ignore this face."""
        key = _key(question)
        if key not in self._ignored:
            self._ignored[key] = self._read_ignored(*key)
        ignored = self._ignored[key]
        return _groupable(question) and len(ignored) > 0 and float((ignored @ question.vector).max()) >= question.match

    def group_of(self, question: ReviewQuestion) -> int:
        """Number of the group of a new crop; its own id if no pending crop shows the same face."""
        looks = self._looks(question)
        if not _groupable(question) or not looks:
            return question.id
        similarities = np.stack([look.vector for look in looks]) @ question.vector
        nearest = int(similarities.argmax())
        return looks[nearest].group if float(similarities[nearest]) >= question.match else question.id

    def add(self, question: ReviewQuestion, group: int) -> list[int]:
        """Add a stored crop. Returns the ids of surplus crops of its group."""
        looks = self._looks(question)
        if all(look.id != question.id for look in looks):  # the first read of the table may have found it
            looks.append(WaitingLook(question.id, group, question.quality, question.vector))
        members = sorted((look for look in looks if look.group == group), key=lambda look: -look.quality)
        surplus = {look.id for look in members[MAX_LOOKS:]}
        looks[:] = [look for look in looks if look.id not in surplus]
        return sorted(surplus)

    def _looks(self, question: ReviewQuestion) -> list[WaitingLook]:
        if self._waiting is None:
            self._waiting = self._read_waiting()
        return self._waiting.setdefault(_key(question), [])

    def _read_waiting(self) -> dict[tuple[str, str], list[WaitingLook]]:
        found: dict[tuple[str, str], list[WaitingLook]] = {}
        sql = "SELECT id, face, document, vector FROM doubts JOIN question_groups USING (id) ORDER BY id DESC LIMIT ?"
        for number, group, document, blob in self._db.execute(sql, (MAX_COMPARED,)).fetchall():
            values = json.loads(self._db.vault.open_text(document, database.DOCUMENT, number))
            if values.get("match") and not values["version"]:
                vector = np.frombuffer(self._db.vault.open(blob, database.VECTOR, number), "<f4")
                key = values["collection"], Space(**values["space"]).fingerprint
                found.setdefault(key, []).append(WaitingLook(number, group, values["quality"], vector))
        return found

    def _read_ignored(self, collection: str, space: str) -> FloatArray:
        sql = "SELECT vector FROM ignored WHERE collection = ? AND space = ? ORDER BY id DESC LIMIT ?"
        rows = self._db.execute(sql, (collection, space, MAX_COMPARED)).fetchall()
        vectors = [
            np.frombuffer(self._db.vault.open(blob, database.IGNORED, collection, space), "<f4") for (blob,) in rows
        ]
        return np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)


def _key(question: ReviewQuestion) -> tuple[str, str]:
    return question.collection, question.space.fingerprint


def _groupable(question: ReviewQuestion) -> bool:
    return question.match > 0 and not question.version
