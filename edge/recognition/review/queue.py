"""The queue: bounded, and what is in it does not stay for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from edge.core.errors import NotFoundError
from edge.core.settings.services import ReviewSettings
from edge.core.storage.sqlite import Connection
from edge.core.storage.vault import Vault
from edge.recognition.review import database
from edge.recognition.review.label_examples import Examples
from edge.recognition.review.question import ReviewQuestion, doubt_of, row_of
from edge.recognition.review.stranger_store import StrangerStore

LARGEST = 1 << 63
"""SQLite takes no integer from this on"""
Answer = Literal["confirmed", "renamed", "new", "rejected", "discarded"]


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
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
class QueuedQuestion:
    """How much a queue holds."""

    waiting: int
    newest: int
    """id of the newest question; 0: none waits"""
    answered: int
    pictures: int
    """of those that were answered"""


class ReviewQueue:
    """The doubts of one state folder. Threads and processes may share it. Raises StoreError."""

    def __init__(self, state: Path, settings: ReviewSettings) -> None:
        self._settings = settings
        self._db = database.opened(state)
        self.strangers = StrangerStore(self._db)
        self.examples = Examples(self._db)

    def put(self, doubts: Sequence[ReviewQuestion]) -> None:
        """Keep them; the oldest, and those that are too old, go."""
        if not doubts:
            return
        with self._db.writing() as db:
            last = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'doubts'").fetchone()[0]
            for number, one in enumerate(doubts, start=int(last) + 1):
                kept = replace(one, id=number, crop=one.crop if self._settings.crops else b"")
                db.execute("INSERT INTO doubts VALUES (?,?,?,?,?,?,?)", row_of(db.vault, kept))
            self._expire(db)

    def doubts(self, after: int = 0, limit: int = 100, subject: str | None = None) -> list[ReviewQuestion]:
        """The oldest first, past the one with the id ``after``."""
        sql = (
            "SELECT id, document, vector, crop FROM doubts "
            "WHERE id > ?1 AND (?2 IS NULL OR subject = ?2) ORDER BY id LIMIT ?3"
        )
        with self._db.reading() as db:
            return [doubt_of(db.vault, *row) for row in db.execute(sql, (after, db.vault.name(subject), limit))]

    def get(self, number: int) -> ReviewQuestion:
        """Raises NotFoundError for one that was answered, or has expired."""
        with self._db.reading() as db:
            known = abs(number) < LARGEST
            sql = "SELECT id, document, vector, crop FROM doubts WHERE id = ?"
            row = db.execute(sql, (number,)).fetchone() if known else None
            if row is None:
                raise NotFoundError(f"there is no question {number}", "edge review list shows those that wait")
            return doubt_of(db.vault, *row)

    def count(self) -> int:
        with self._db.reading() as db:
            return int(db.execute("SELECT count(*) FROM doubts").fetchone()[0])

    def answer(self, doubt: ReviewQuestion, answer: Answer, subject: str | None, face_id: str | None = None) -> None:
        """Take a doubt out of the queue, keep what was said, and for ``rejected`` an anchor. Raises NotFoundError."""
        now = time.time()
        with self._db.writing() as db:
            if not db.execute("DELETE FROM doubts WHERE id = ?", (doubt.id,)).rowcount:
                raise NotFoundError(
                    f"question {doubt.id} was answered already", "edge review list shows those that wait"
                )
            crop = database.sealed_crop(db.vault, doubt.crop, database.ANSWER, doubt.id)
            name = db.vault.name(subject)
            row = (doubt.id, now, answer, name, doubt.collection, doubt.label, face_id, crop)
            db.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?,?,?)", row)
            if answer == "rejected" and subject is not None:
                where = (doubt.collection, subject, doubt.space.fingerprint)
                vector = db.vault.seal(doubt.vector.astype("<f4").tobytes(), database.ANCHOR, *where)
                anchor = (doubt.collection, name, doubt.space.fingerprint, now, vector)
                db.execute("INSERT INTO anchors (collection, subject, space, time, vector) VALUES (?,?,?,?,?)", anchor)
            self._expire(db)

    def restore(self, doubt: ReviewQuestion) -> None:
        """Take back what was said: the question waits again, and its anchor is gone. Raises NotFoundError."""
        with self._db.writing() as db:
            if not db.execute("DELETE FROM answers WHERE id = ?", (doubt.id,)).rowcount:
                raise NotFoundError(f"no answer to question {doubt.id} is kept", "it cannot be taken back any more")
            _take_back_anchor(db, doubt)
            db.execute("DELETE FROM examples WHERE id = ?", (doubt.id,))
            db.execute("INSERT INTO doubts VALUES (?,?,?,?,?,?,?)", row_of(db.vault, doubt))

    def expire(self) -> None:
        """What is too old goes, also where nothing new comes; and pictures, where the settings keep none."""
        with self._db.writing() as db:
            self._expire(db)
            for table in () if self._settings.crops else ("doubts", "answers"):
                db.execute(f"UPDATE {table} SET crop = x'' WHERE length(crop) > 0")  # noqa: S608

    def clear(self, answers: bool = False) -> int:
        """Delete every question, and with ``answers`` what was said and its pictures. Returns how many.

        What was learned stays: faces of collections, and anchors.
        """
        with self._db.writing() as db:
            gone = db.execute("DELETE FROM doubts").rowcount
            gone += db.execute("DELETE FROM answers").rowcount if answers else 0
        self.compact()
        return gone

    def kept(self) -> QueuedQuestion:
        with self._db.reading() as db:
            waiting, newest = db.execute("SELECT count(*), coalesce(max(id), 0) FROM doubts").fetchone()
            answered, pictures = db.execute(
                "SELECT count(*), coalesce(sum(length(crop) > 0), 0) FROM answers"
            ).fetchone()
        return QueuedQuestion(waiting, newest, answered, pictures)

    def answers(self) -> list[AnsweredQuestion]:
        """What was said, oldest first, as long as it is kept."""
        with self._db.reading() as db:
            return [_answered(db.vault, row) for row in db.execute("SELECT * FROM answers ORDER BY time, id")]

    def forget(self, subject: str) -> int:
        """Remove questions, answers and anchors of a subject, and its name from other questions. Returns how many."""
        with self._db.writing() as db:
            gone = sum(
                db.execute(f"DELETE FROM {table} WHERE subject = ?", (db.vault.name(subject),)).rowcount  # noqa: S608
                for table in ("doubts", "answers", "anchors")
            )
            for number, stored in db.execute("SELECT id, document FROM doubts").fetchall():
                document = json.loads(db.vault.open_text(stored, database.DOCUMENT, number))
                kept = [one for one in document["nearest"] if one["subject"] != subject]
                if len(kept) < len(document["nearest"]):
                    text = json.dumps({**document, "nearest": kept}, ensure_ascii=False)
                    sealed = db.vault.seal_text(text, database.DOCUMENT, number)
                    db.execute("UPDATE doubts SET document = ? WHERE id = ?", (sealed, number))
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

    def _expire(self, db: Connection) -> None:
        too_old = time.time() - self._settings.days * 86400
        for table in ("doubts", "answers"):
            db.execute(f"DELETE FROM {table} WHERE time < ?", (too_old,))  # noqa: S608
            db.execute(
                f"DELETE FROM {table} WHERE id <= (SELECT id FROM {table} ORDER BY id DESC LIMIT 1 OFFSET ?)",  # noqa: S608
                (self._settings.most,),
            )


def _answered(vault: Vault, row: Sequence[Any]) -> AnsweredQuestion:
    found = AnsweredQuestion(*row)
    picture = database.opened_crop(vault, found.crop, database.ANSWER, found.id)
    return replace(found, subject=vault.named(found.subject), crop=picture)


def _take_back_anchor(db: Connection, doubt: ReviewQuestion) -> None:
    place = (doubt.collection, doubt.subject, doubt.space.fingerprint)
    where = (doubt.collection, db.vault.name(doubt.subject), doubt.space.fingerprint)
    sql = "SELECT id, vector FROM anchors WHERE collection = ? AND subject = ? AND space = ? ORDER BY id DESC"
    for number, blob in db.execute(sql, where).fetchall():
        if db.vault.open(blob, database.ANCHOR, *place) == doubt.vector.astype("<f4").tobytes():
            db.execute("DELETE FROM anchors WHERE id = ?", (number,))
            return
