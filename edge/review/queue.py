"""The queue: bounded, and what is in it does not stay for ever."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from edge.errors import NotFoundError
from edge.review import database
from edge.review.strangers import Shelf
from edge.settings import Review
from edge.types import Box, Match, Space

if TYPE_CHECKING:
    from edge.types import FloatArray

Reason = Literal["uncertain", "margin", "unmatched", "retracted", "audit", "faint"]
Answer = Literal["confirmed", "renamed", "new", "rejected", "discarded"]


@dataclass(frozen=True, slots=True)
class Nearest:
    """A subject that the doubtful face resembles."""

    subject: str
    face_id: str
    similarity: float
    """cosine"""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A question to a person: is it ``subject`` that is seen here."""

    reason: Reason
    time: float
    """seconds since the epoch"""
    camera: str
    track: str
    label: str
    collection: str
    space: Space
    box: Box
    score: float
    """the detector's, 0..1"""
    quality: float
    """of the crop, 0..1"""
    subject: str | None
    """the name in doubt, or that was given; None: nobody is near"""
    nearest: tuple[Nearest, ...]
    """best of each of the nearest subjects, best first"""
    vector: FloatArray
    crop: bytes = b""
    """JPEG; empty where pictures are not kept"""
    id: int = 0
    """given by the queue"""
    pseudonym: str = ""
    """of a stranger who came again: an answer that names him names all that is kept of him"""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a person said."""

    id: int
    time: float
    answer: Answer
    subject: str | None
    collection: str
    label: str
    face_id: str | None
    """of the face that was added"""
    crop: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """How much a queue holds."""

    waiting: int
    newest: int
    """id of the newest question; 0: none waits"""
    answered: int
    pictures: int
    """of those that were answered"""


class ReviewQueue:
    """The doubts of one state folder. Threads and processes may share it. Raises StoreError."""

    def __init__(self, state: Path, settings: Review) -> None:
        self._settings = settings
        self._db = database.opened(state)
        self.strangers = Shelf(self._db)

    def put(self, doubts: Sequence[Doubt]) -> None:
        """Keep them; the oldest, and those that are too old, go."""
        if not doubts:
            return
        with self._db.writing() as db:
            for one in doubts:
                crop = one.crop if self._settings.crops else b""
                row = (one.time, one.reason, one.subject, _document(one), one.vector.astype("<f4").tobytes(), crop)
                db.execute(
                    "INSERT INTO doubts (time, reason, subject, document, vector, crop) VALUES (?,?,?,?,?,?)", row
                )
            self._expire(db)

    def doubts(self, after: int = 0, limit: int = 100, subject: str | None = None) -> list[Doubt]:
        """The oldest first, past the one with the id ``after``."""
        sql = (
            "SELECT id, document, vector, crop FROM doubts "
            "WHERE id > ?1 AND (?2 IS NULL OR subject = ?2) ORDER BY id LIMIT ?3"
        )
        with self._db.reading() as db:
            return [_doubt(*row) for row in db.execute(sql, (after, subject, limit))]

    def get(self, number: int) -> Doubt:
        """Raises NotFoundError for one that was answered, or has expired."""
        with self._db.reading() as db:
            row = db.execute("SELECT id, document, vector, crop FROM doubts WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise NotFoundError(f"there is no question {number}", "edge review list shows those that wait")
        return _doubt(*row)

    def count(self) -> int:
        with self._db.reading() as db:
            return int(db.execute("SELECT count(*) FROM doubts").fetchone()[0])

    def answer(self, doubt: Doubt, answer: Answer, subject: str | None, face_id: str | None = None) -> None:
        """Take a doubt out of the queue, keep what was said, and for ``rejected`` an anchor. Raises NotFoundError."""
        now = time.time()
        with self._db.writing() as db:
            if not db.execute("DELETE FROM doubts WHERE id = ?", (doubt.id,)).rowcount:
                raise NotFoundError(
                    f"question {doubt.id} was answered already", "edge review list shows those that wait"
                )
            row = (doubt.id, now, answer, subject, doubt.collection, doubt.label, face_id, doubt.crop)
            db.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?,?,?)", row)
            if answer == "rejected" and subject is not None:
                anchor = (doubt.collection, subject, doubt.space.fingerprint, now, doubt.vector.astype("<f4").tobytes())
                db.execute("INSERT INTO anchors (collection, subject, space, time, vector) VALUES (?,?,?,?,?)", anchor)
            self._expire(db)

    def restore(self, doubt: Doubt) -> None:
        """Take back what was said: the question waits again, and its anchor is gone. Raises NotFoundError."""
        vector = doubt.vector.astype("<f4").tobytes()
        with self._db.writing() as db:
            if not db.execute("DELETE FROM answers WHERE id = ?", (doubt.id,)).rowcount:
                raise NotFoundError(f"no answer to question {doubt.id} is kept", "it cannot be taken back any more")
            anchor = (doubt.collection, doubt.space.fingerprint, doubt.subject, vector)
            db.execute(
                "DELETE FROM anchors WHERE id = (SELECT max(id) FROM anchors "
                "WHERE collection = ? AND space = ? AND subject = ? AND vector = ?)", anchor
            )  # fmt: skip
            row = (doubt.id, doubt.time, doubt.reason, doubt.subject, _document(doubt), vector, doubt.crop)
            db.execute(
                "INSERT INTO doubts (id, time, reason, subject, document, vector, crop) VALUES (?,?,?,?,?,?,?)", row
            )

    def clear(self, answers: bool = False) -> int:
        """Delete every question, and with ``answers`` what was said and its pictures. Returns how many.

        What was learned stays: faces of collections, and anchors.
        """
        with self._db.writing() as db:
            gone = db.execute("DELETE FROM doubts").rowcount
            gone += db.execute("DELETE FROM answers").rowcount if answers else 0
        self.compact()
        return gone

    def kept(self) -> Kept:
        with self._db.reading() as db:
            waiting, newest = db.execute("SELECT count(*), coalesce(max(id), 0) FROM doubts").fetchone()
            answered, pictures = db.execute(
                "SELECT count(*), coalesce(sum(length(crop) > 0), 0) FROM answers"
            ).fetchone()
        return Kept(waiting, newest, answered, pictures)

    def answers(self) -> list[Answered]:
        """What was said, oldest first, as long as it is kept."""
        with self._db.reading() as db:
            return [Answered(*row) for row in db.execute("SELECT * FROM answers ORDER BY time, id")]

    def forget(self, subject: str) -> int:
        """Remove questions, answers and anchors of a subject, and its name from other questions. Returns how many."""
        with self._db.writing() as db:
            gone = sum(
                db.execute(f"DELETE FROM {table} WHERE subject = ?", (subject,)).rowcount  # noqa: S608
                for table in ("doubts", "answers", "anchors")
            )
            for number, text in db.execute("SELECT id, document FROM doubts").fetchall():
                document = json.loads(text)
                kept = [one for one in document["nearest"] if one["subject"] != subject]
                if len(kept) < len(document["nearest"]):
                    text = json.dumps({**document, "nearest": kept}, ensure_ascii=False)
                    db.execute("UPDATE doubts SET document = ? WHERE id = ?", (text, number))
                    gone += 1
        return gone

    def compact(self) -> None:
        """Give back the space of what was deleted, and leave no log of it."""
        with self._db.reading() as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _expire(self, db: sqlite3.Connection) -> None:
        too_old = time.time() - self._settings.days * 86400
        for table in ("doubts", "answers"):
            db.execute(f"DELETE FROM {table} WHERE time < ?", (too_old,))  # noqa: S608
            db.execute(
                f"DELETE FROM {table} WHERE id <= (SELECT id FROM {table} ORDER BY id DESC LIMIT 1 OFFSET ?)",  # noqa: S608
                (self._settings.most,),
            )


def by_subject(matches: Sequence[Match], most: int = 5) -> tuple[Nearest, ...]:
    """The best face of each subject, best first."""
    best: dict[str, Nearest] = {}
    for match in matches:
        best.setdefault(match.name, Nearest(match.name, match.face_id, match.similarity))
    return tuple(best.values())[:most]


def _document(doubt: Doubt) -> str:
    values = asdict(replace(doubt, vector=np.zeros(0, np.float32), crop=b""))
    return json.dumps({name: value for name, value in values.items() if name not in ("vector", "crop", "id")},
                      ensure_ascii=False)  # fmt: skip


def _doubt(number: int, document: str, vector: bytes, crop: bytes | None) -> Doubt:
    values: dict[str, Any] = json.loads(document)
    values["space"], values["box"] = Space(**values["space"]), Box(**values["box"])
    values["nearest"] = tuple(Nearest(**one) for one in values["nearest"])
    return Doubt(**values, vector=np.frombuffer(vector, "<f4").astype(np.float32), crop=crop or b"", id=number)
