"""The review queue: bounded in number and age; crops of one face are one question."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from edge.core import subjects
from edge.core.errors import NotFoundError
from edge.core.settings.services import ReviewSettings
from edge.core.storage import ages
from edge.core.storage.sqlite import Connection
from edge.core.storage.vault import Vault
from edge.core.system.trusted_time import trusted_now
from edge.recognition.review import database
from edge.recognition.review.grouping import QuestionGroups
from edge.recognition.review.label_examples import Examples
from edge.recognition.review.pictures import ReviewPicture, ReviewPictures
from edge.recognition.review.question import ReviewQuestion, doubt_of, row_of
from edge.recognition.review.rejections import RejectionIndex
from edge.recognition.review.stranger_store import StrangerStore

if TYPE_CHECKING:
    from typing_extensions import Self

COLUMNS = (
    "SELECT doubts.id, document, vector, crop, face, picture FROM doubts LEFT JOIN question_groups USING (id) "
    "LEFT JOIN question_pictures USING (id) "
)
LARGEST = 1 << 63
"""limit of SQLite's integers, exclusive"""
Answer = Literal["confirmed", "renamed", "new", "rejected", "discarded", "corrected"]


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """An answer of a reviewer."""

    id: int
    time: float
    answer: Answer
    subject: str | None
    collection: str
    label: str
    face_id: str | None
    """FaceId of the added face"""
    crop: bytes


@dataclass(frozen=True, slots=True)
class PendingLook:
    """Identity of a pending crop: an id alone may return after the state folder was replaced."""

    id: int
    group: int
    """number of its question"""
    time: float
    """seconds since the epoch"""


@dataclass(frozen=True, slots=True)
class QueuedQuestion:
    """Size of a queue."""

    waiting: int
    """number of questions; several crops of one face are one"""
    newest: int
    """id of the newest crop; 0: the queue is empty"""
    answered: int
    pictures: int
    """number of stored pictures of answered questions"""


class ReviewQueue:
    """The questions of one state folder. Safe for threads and processes. Raises StoreError."""

    def __init__(self, state: Path, settings: ReviewSettings) -> None:
        self._settings = settings
        self._state = state
        self._db = database.opened(state)
        self.strangers = StrangerStore(self._db, lambda: trusted_now(state))
        self.examples = Examples(self._db)
        self.pictures = ReviewPictures(self._db)
        self.rejections = RejectionIndex(state)

    def put(self, doubts: Sequence[ReviewQuestion]) -> None:
        """Store new questions, grouped by face. Drops ignored faces, surplus crops of a face, and expired entries."""
        if not doubts:
            return
        with self._db.writing() as db:
            last = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'doubts'").fetchone()[0]
            groups = QuestionGroups(db)
            for number, one in enumerate(doubts, start=int(last) + 1):
                kept = replace(one, id=number, crop=one.crop if self._settings.crops else b"")
                if groups.is_ignored(kept):
                    continue
                _insert(db, replace(kept, group=groups.group_of(kept)))
                surplus = groups.add(kept, groups.group_of(kept))
                db.executemany("DELETE FROM doubts WHERE id = ?", [(look,) for look in surplus])
            self._expire(db)

    def put_picture(self, picture: ReviewPicture, doubts: Sequence[ReviewQuestion]) -> None:
        """Store a picture and the questions about its regions."""
        number = self.pictures.put(picture)
        self.put([replace(one, picture=number) for one in doubts])

    def about_picture(self, number: int) -> list[ReviewQuestion]:
        """The pending questions about the regions of a picture, oldest first."""
        with self._db.reading() as db:
            rows = db.execute(f"{COLUMNS} WHERE picture = ? ORDER BY doubts.id", (number,)).fetchall()
            return [doubt_of(db.vault, *row) for row in rows]

    def doubts(self, after: int = 0, limit: int = 100, subject: str | None = None) -> list[ReviewQuestion]:
        """Pending questions with an id above ``after``, oldest first."""
        forms = subjects.forms(subject) if subject is not None else ()
        marks = f"AND subject IN ({', '.join('?' * len(forms))}) " if forms else ""
        sql = f"{COLUMNS} WHERE doubts.id > ? {marks}ORDER BY doubts.id LIMIT ?"
        with self._db.reading() as db:
            rows = db.execute(sql, (after, *map(db.vault.name, forms), limit))
            return [doubt_of(db.vault, *row) for row in rows]

    def get(self, number: int) -> ReviewQuestion:
        """A crop by its id, or the best crop of a group by its number. Raises NotFoundError."""
        with self._db.reading() as db:
            known = abs(number) < LARGEST
            sql = f"{COLUMNS} WHERE doubts.id = ?1 OR face = ?1"
            looks = [doubt_of(db.vault, *row) for row in db.execute(sql, (number,))] if known else []
            if not looks:
                raise NotFoundError(f"there is no question {number}", "edge review list shows the pending ones")
            return next((one for one in looks if one.id == number), max(looks, key=lambda one: one.quality))

    def looks(self, question: ReviewQuestion) -> list[ReviewQuestion]:
        """Every crop of the face of a question, including itself, best quality first."""
        with self._db.reading() as db:
            rows = db.execute(f"{COLUMNS} WHERE face = ?", (question.group,)).fetchall()
            found = [doubt_of(db.vault, *row) for row in rows]
        return sorted(found, key=lambda look: -look.quality) or [question]

    def pending(self, limit: int) -> list[PendingLook]:
        """Identities of the pending crops, at most ``limit``, newest first."""
        sql = (
            "SELECT doubts.id, coalesce(face, doubts.id), time FROM doubts LEFT JOIN question_groups USING (id) "
            "ORDER BY doubts.id DESC LIMIT ?"
        )
        with self._db.reading() as db:
            return [PendingLook(*row) for row in db.execute(sql, (limit,))]

    def split(self, number: int) -> None:
        """Separate one crop that shows another face from its group. Raises NotFoundError."""
        look = self.get(number)
        rest = [one.id for one in self.looks(look) if one.id != number]
        with self._db.writing() as db:
            db.execute("UPDATE question_groups SET face = id WHERE id = ?", (number,))
            if look.group == number and rest:  # the others need another number
                db.executemany("UPDATE question_groups SET face = ? WHERE id = ?", [(min(rest), one) for one in rest])

    def remove(self, ids: Sequence[int]) -> None:
        """Delete questions without an answer."""
        with self._db.writing() as db:
            db.executemany("DELETE FROM doubts WHERE id = ?", [(number,) for number in ids])

    def put_back(self, questions: Sequence[ReviewQuestion]) -> None:
        """Undo ``remove``. Existing questions are unchanged."""
        with self._db.writing() as db:
            for one in questions:
                if not db.execute("SELECT 1 FROM doubts WHERE id = ?", (one.id,)).fetchone():
                    _insert(db, one)

    def count(self) -> int:
        with self._db.reading() as db:
            return int(db.execute("SELECT count(*) FROM doubts").fetchone()[0])

    def answer(self, doubt: ReviewQuestion, answer: Answer, subject: str | None, face_id: str | None = None) -> None:
        """Move a question to the answers; ``rejected`` also stores an anchor. Raises NotFoundError."""
        now = time.time()
        with self._db.writing() as db:
            if not db.execute("DELETE FROM doubts WHERE id = ?", (doubt.id,)).rowcount:
                raise NotFoundError(
                    f"question {doubt.id} was answered already", "edge review list shows the pending ones"
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
            if answer == "discarded" and doubt.match and not doubt.version:
                place = (doubt.collection, doubt.space.fingerprint)
                vector = db.vault.seal(doubt.vector.astype("<f4").tobytes(), database.IGNORED, *place)
                db.execute("INSERT OR REPLACE INTO ignored VALUES (?,?,?,?,?)", (doubt.id, *place, now, vector))
            self._expire(db)

    def restore(self, doubt: ReviewQuestion) -> None:
        """Undo an answer: the question is pending again, its anchor is deleted. Raises NotFoundError."""
        with self._db.writing() as db:
            if not db.execute("DELETE FROM answers WHERE id = ?", (doubt.id,)).rowcount:
                raise NotFoundError(f"no answer to question {doubt.id} is stored", "it can no longer be undone")
            _take_back_anchor(db, doubt)
            for table in ("examples", "ignored"):
                db.execute(f"DELETE FROM {table} WHERE id = ?", (doubt.id,))  # noqa: S608
            _insert(db, doubt)

    def expire(self) -> None:
        """Delete expired entries, and stored pictures if the settings disable them."""
        with self._db.writing() as db:
            self._expire(db)
            for table in () if self._settings.crops else ("doubts", "answers"):
                db.execute(f"UPDATE {table} SET crop = x'' WHERE length(crop) > 0")  # noqa: S608
            if not self._settings.crops:
                db.execute("DELETE FROM pictures WHERE boxes IS NULL OR learned")

    def clear(self, answers: bool = False) -> int:
        """Delete every question, and with ``answers`` also answers and pictures. Returns the number of deleted entries.

        Faces of collections and anchors are kept. Ignored faces may be queued again.
        """
        with self._db.writing() as db:
            gone = db.execute("DELETE FROM doubts").rowcount
            gone += db.execute("DELETE FROM answers").rowcount if answers else 0
            db.execute("DELETE FROM ignored")
            db.execute("DELETE FROM pictures WHERE ?1 OR boxes IS NULL", (answers,))
        self.compact()
        return gone

    def kept(self) -> QueuedQuestion:
        with self._db.reading() as db:
            waiting, newest = db.execute(
                "SELECT count(DISTINCT coalesce(face, id)), coalesce(max(id), 0) FROM doubts "
                "LEFT JOIN question_groups USING (id)"
            ).fetchone()
            answered, pictures = db.execute(
                "SELECT count(*), coalesce(sum(length(crop) > 0), 0) FROM answers"
            ).fetchone()
        return QueuedQuestion(waiting, newest, answered, pictures)

    def answers(self) -> list[AnsweredQuestion]:
        """The stored answers, oldest first."""
        with self._db.reading() as db:
            return [_answered(db.vault, row) for row in db.execute("SELECT * FROM answers ORDER BY time, id")]

    def forget(self, subject: str) -> int:
        """Erase questions, answers and anchors of a subject, and its name from other questions. Returns the number."""
        with self._db.writing() as db:
            gone = sum(
                db.execute(f"DELETE FROM {table} WHERE subject = ?", (db.vault.name(subject),)).rowcount  # noqa: S608
                for table in ("doubts", "answers", "anchors")
            )
            db.execute("DELETE FROM ignored")  # these faces have no name: one may be the subject's
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
        """Free the space of deleted rows, and truncate the write-ahead log."""
        with self._db.reading() as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self.rejections.close()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _expire(self, db: Connection) -> None:
        now = trusted_now(self._state)
        for table in ("doubts", "answers", "ignored", "pictures"):
            ages.expire(db, table, now, self._settings.days * 86400)
            db.execute(
                f"DELETE FROM {table} WHERE id <= (SELECT id FROM {table} ORDER BY id DESC LIMIT 1 OFFSET ?)",  # noqa: S608
                (self._settings.most,),
            )


def _insert(db: Connection, question: ReviewQuestion) -> None:
    db.execute("INSERT INTO doubts VALUES (?,?,?,?,?,?,?)", row_of(db.vault, question))
    db.execute("INSERT INTO question_groups VALUES (?,?)", (question.id, question.group or question.id))
    if question.picture:
        db.execute("INSERT INTO question_pictures VALUES (?,?)", (question.id, question.picture))


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
