"""Copies of the devices' review questions, and answers that devices have not confirmed yet.

The devices decide which questions exist: each sync removes what is no longer pending there. The store is bounded in
number and age; of a crop past the bounds only its identity is kept, so that it is not fetched again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from edge.core import subjects
from edge.core.errors import ConflictError, NotFoundError
from edge.core.settings.messaging import HubSettings
from edge.core.storage.sqlite import Connection, Database
from edge.hub.review.grouping import FaceGroups, kind_of
from edge.mqtt.erasure_notices import digest
from edge.mqtt.messages import parse
from edge.recognition.review.queue import PendingLook
from edge.recognition.review.sharing import AnswerKind, AnswerOutcome, ReceivedLook, SharedAnswer, SharedLook

FILE = "hub-review.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS looks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, id INTEGER NOT NULL, question INTEGER NOT NULL,
    time REAL NOT NULL, pulled REAL NOT NULL, face INTEGER NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL,
    vector BLOB NOT NULL, crop BLOB NOT NULL, UNIQUE (device, id));
CREATE INDEX IF NOT EXISTS looks_face ON looks (face);
CREATE INDEX IF NOT EXISTS looks_kind ON looks (kind, number);
CREATE TABLE IF NOT EXISTS answers (
    device TEXT NOT NULL, question INTEGER NOT NULL, given REAL NOT NULL, answer TEXT NOT NULL, subject TEXT NOT NULL,
    force INTEGER NOT NULL, who TEXT NOT NULL, code TEXT NOT NULL, error TEXT NOT NULL, hint TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (device, question));
CREATE TABLE IF NOT EXISTS erased (
    device TEXT NOT NULL, digest TEXT NOT NULL, time REAL NOT NULL, fleet INTEGER NOT NULL,
    PRIMARY KEY (device, digest));
"""
EMPTIED = "UPDATE looks SET face = 0, kind = '', document = '', vector = x'', crop = x''"
"""a look with face 0 has only its identity"""
EVERYWHERE = ""
"""in place of a device: subjects that were erased from the whole fleet"""
ANSWER = "INSERT OR REPLACE INTO answers (device, question, given, answer, subject, force, who, code, error, hint)"
WAITING = ""
"""code of an answer that its device has not confirmed"""


@dataclass(frozen=True, slots=True)
class StoredLook:
    """A crop of a device's question, without its picture."""

    number: int
    """of this store"""
    device: str
    face: int
    """number of the group of crops of one face, over all devices: that of its first crop"""
    look: SharedLook


@dataclass(frozen=True, slots=True)
class FleetAnswer:
    """An answer for one question of one device."""

    device: str
    question: int
    """number of the question on the device"""
    answer: AnswerKind
    subject: str
    force: bool
    who: str
    code: Literal["", "refused", "failed"]
    """empty: its device has not confirmed it"""
    error: str
    hint: str


class FleetQuestions:
    """The SQLite file of one hub. Safe for threads and processes. Raises StoreError."""

    def __init__(self, state: Path, hub: HubSettings) -> None:
        self._hub, self._changes = hub, 0
        self._db = Database(state / FILE, SCHEMA)

    @property
    def revision(self) -> str:
        """Changes with the content."""
        return f"{self._db.version()}.{self._changes}"

    def missing(self, device: str, pending: Sequence[PendingLook]) -> list[int]:
        """Remove what is no longer pending on a device.

        Returns the ids of the crops that the store lacks, oldest first.
        """
        now = {(one.id, one.time): one.group for one in pending}
        changed = set()
        with self._writing() as db:
            rows = db.execute("SELECT number, id, time, question FROM looks WHERE device = ?", (device,)).fetchall()
            for number, id_, moment, question in rows:
                current = now.pop((id_, moment), None)
                if current is None:
                    db.execute("DELETE FROM looks WHERE number = ?", (number,))
                elif current != question:  # it was split off there
                    db.execute("UPDATE looks SET question = ? WHERE number = ?", (current, number))
                    changed.add(current)
            for question in changed:
                _renumber(db, device, question)
            db.execute(
                "DELETE FROM answers WHERE device = ?1 AND answer != 'undo' "
                "AND question NOT IN (SELECT question FROM looks WHERE device = ?1)",
                (device,),
            )
        return sorted(id_ for id_, _ in now)

    def take(self, device: str, received: Sequence[ReceivedLook]) -> int:
        """Store fetched crops, without erased subjects. Returns the number of new ones."""
        new = 0
        with self._writing() as db:
            groups, erased = FaceGroups(db), _Erased(db)
            for one in received:
                look = _cleansed(device, one.look, erased)
                row = (device, one.look.id, one.look.group, one.look.time, time.time())
                values = ("", "", b"", b"") if look is None else (
                    kind_of(look), json.dumps(asdict(look), ensure_ascii=False), one.vector.astype("<f4").tobytes(),
                    one.crop,
                )  # fmt: skip
                number = db.execute(
                    "INSERT OR IGNORE INTO looks (device, id, question, time, pulled, face, kind, document, vector, "
                    "crop) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?) RETURNING number",
                    (*row, *values),
                ).fetchone()
                if number is None or look is None:
                    continue
                face = groups.face_of(device, look, one.vector) or number[0]
                db.execute("UPDATE looks SET face = ? WHERE number = ?", (face, number[0]))
                groups.add(device, look, one.vector, face)
                new += 1
            self._expire(db)
        return new

    def looks(self, face: int | None = None) -> list[StoredLook]:
        """The crops of one face or of all, the best quality first; of questions without an answer under way."""
        where, values = ("AND face = ?", (face,)) if face is not None else ("", ())
        sql = (
            f"SELECT number, looks.device, face, document FROM looks LEFT JOIN answers USING (device, question) "  # noqa: S608
            f"WHERE face > 0 AND coalesce(code, 'none') != '{WAITING}' {where}"
        )
        with self._db.reading() as db:
            rows = db.execute(sql, values).fetchall()
        found = [
            StoredLook(number, device, face, parse(SharedLook, text.encode())) for number, device, face, text in rows
        ]
        return sorted(found, key=lambda one: -one.look.quality)

    def crop(self, number: int) -> bytes:
        """The JPEG of a crop; empty where none is kept."""
        with self._db.reading() as db:
            row = db.execute("SELECT crop FROM looks WHERE number = ?", (number,)).fetchone()
        return row[0] if row else b""

    def split(self, number: int) -> None:
        """Separate the device's question that a crop belongs to: it shows another face than the rest.

        Raises NotFoundError, and ConflictError where no other device asks about the face.
        """
        with self._writing() as db:
            row = db.execute(
                "SELECT device, question, face FROM looks WHERE number = ? AND face > 0", (number,)
            ).fetchone()
            if row is None:
                raise NotFoundError("this question was answered already", "reload the page")
            others = "face = ?3 AND NOT (device = ?1 AND question = ?2)"
            if not db.execute(f"SELECT 1 FROM looks WHERE {others}", row).fetchone():  # noqa: S608
                raise ConflictError(
                    f"all pictures are of one question of {row[0]}", "split it on the device's own page"
                )
            _renumber(db, row[0], row[1])

    # ---- answers ----

    def answer(
        self, face: int, answer: AnswerKind, subject: str = "", force: bool = False, who: str = ""
    ) -> list[tuple[str, int]]:
        """Answer the questions of every device about a face.

        Returns device and number of each. Raises NotFoundError.
        """
        with self._writing() as db:
            rows = db.execute(
                "SELECT DISTINCT device, question FROM looks LEFT JOIN answers USING (device, question) "
                "WHERE face = ? AND face > 0 AND coalesce(code, 'none') != ?",
                (face, WAITING),
            ).fetchall()
            if not rows:
                raise NotFoundError("this question was answered already", "reload the page")
            given = (time.time(), answer, subjects.composed(subject), int(force), who[:80], WAITING, "", "")
            db.executemany(f"{ANSWER} VALUES (?,?,?,?,?,?,?,?,?,?)", [(*row, *given) for row in rows])
        return rows

    def undo(self, questions: Sequence[tuple[str, int]], who: str = "") -> None:
        """Take answers back: at once where the device has not received them, else by a request to the device."""
        with self._writing() as db:
            for device, question in questions:
                where = (device, question)
                unsent = "DELETE FROM answers WHERE device = ? AND question = ? AND NOT sent"
                if not db.execute(unsent, where).rowcount:
                    row = (*where, time.time(), "undo", "", 0, who[:80], WAITING, "", "")
                    db.execute(f"{ANSWER} VALUES (?,?,?,?,?,?,?,?,?,?)", row)

    def outgoing(self, device: str, limit: int) -> list[tuple[int, SharedAnswer]]:
        """Question -> answer, of those that a device has not confirmed, oldest first. They count as sent."""
        look = "FROM looks AS l WHERE l.device = answers.device AND l.question = answers.question ORDER BY id LIMIT 1"
        sql = (
            f"SELECT question, answer, subject, force, who, (SELECT id {look}), (SELECT time {look}) FROM answers "  # noqa: S608
            "WHERE device = ? AND code = ? ORDER BY given, question LIMIT ?"
        )
        with self._writing() as db:
            rows = db.execute(sql, (device, WAITING, limit)).fetchall()
            sent = [(device, question) for question, *_ in rows]
            db.executemany("UPDATE answers SET sent = 1 WHERE device = ? AND question = ?", sent)
        return [
            (question, SharedAnswer(number or question, moment or 0.0, answer, subject, bool(force), who))
            for question, answer, subject, force, who, number, moment in rows
        ]

    def settle(self, device: str, outcomes: Sequence[tuple[int, SharedAnswer, AnswerOutcome]]) -> None:
        """What became of the answers to questions of a device. A refused one is open again, with its reason."""
        with self._writing() as db:
            for question, given, outcome in outcomes:
                where = (device, question)
                # where it was taken back meanwhile, another answer waits
                same = (*where, given.answer)
                if outcome.code in ("ok", "gone") or given.answer == "undo":
                    db.execute("DELETE FROM answers WHERE device = ? AND question = ? AND answer = ?", same)
                    if given.answer != "undo":
                        db.execute("DELETE FROM looks WHERE device = ? AND question = ?", where)
                else:
                    row = (outcome.code, outcome.error, outcome.hint, *same)
                    where_same = "device = ? AND question = ? AND answer = ?"
                    db.execute(f"UPDATE answers SET code = ?, error = ?, hint = ? WHERE {where_same}", row)  # noqa: S608
                if given.answer == "undo" or outcome.code not in ("ok", "gone"):
                    _renumber(db, device, question)  # readers that have seen the answer take it for a new question

    def answers(self) -> list[FleetAnswer]:
        """Answers that devices have not confirmed, or have refused."""
        sql = "SELECT device, question, answer, subject, force, who, code, error, hint FROM answers ORDER BY given"
        with self._db.reading() as db:
            rows = db.execute(sql).fetchall()
        return [
            FleetAnswer(device, question, answer, subject, bool(force), *rest)
            for device, question, answer, subject, force, *rest in rows
        ]

    # ---- devices and erasure ----

    def devices(self) -> set[str]:
        """Devices of which something is stored."""
        with self._db.reading() as db:
            return {one for (one,) in db.execute("SELECT device FROM looks UNION SELECT device FROM answers")}

    def drop(self, device: str) -> None:
        """Delete everything of a device: it shares no questions any more."""
        with self._writing() as db:
            for table in ("looks", "answers"):
                db.execute(f"DELETE FROM {table} WHERE device = ?", (device,))  # noqa: S608

    def forget(self, subject: str, before: float) -> int:
        """Erase a subject from the questions of all devices, also from those fetched later that are older.

        ``before``: seconds since the epoch. Returns the number of changed crops and answers.
        """
        forms = subjects.forms(subject)
        return self.told(EVERYWHERE, {digest(EVERYWHERE, one): before for one in forms}, fleet=True)

    def told(self, device: str, erased: Mapping[str, float], fleet: bool) -> int:
        """Apply erasure notices of a device: digest -> time. ``fleet``: to the questions of all devices.

        Returns the number of changed crops and answers.
        """

        def matches(where: str, name: str) -> bool:
            return (fleet or where == device) and digest(device, name) in erased

        rows = [(device, one, when, int(fleet)) for one, when in erased.items()]
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO erased VALUES (?, ?, ?, ?)", rows)
            changed = _erase_looks(db, matches)
            for where, question, name in db.execute("SELECT device, question, subject FROM answers").fetchall():
                if name and matches(where, name):
                    db.execute("DELETE FROM answers WHERE device = ? AND question = ?", (where, question))
                    changed += 1
        with self._db.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return changed

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._db.writing() as db:
            yield db
        self._changes += 1

    def _expire(self, db: Connection) -> None:
        db.execute(f"{EMPTIED} WHERE face > 0 AND pulled < ?", (time.time() - self._hub.review_days * 86400,))
        oldest = "(SELECT number FROM looks WHERE face > 0 ORDER BY number DESC LIMIT 1 OFFSET ?)"
        db.execute(f"{EMPTIED} WHERE face > 0 AND number <= {oldest}", (self._hub.review_most,))


class _Erased:
    """Subjects that were erased, for crops that are fetched later."""

    def __init__(self, db: Connection) -> None:
        self._known: dict[tuple[str, int], dict[str, float]] = {}
        for device, one, when, fleet in db.execute("SELECT device, digest, time, fleet FROM erased"):
            self._known.setdefault((device, fleet), {})[one] = when

    def has(self, device: str, name: str, moment: float) -> bool:
        """Whether ``name`` was erased after ``moment`` (seconds since the epoch), for questions of ``device``."""
        found = (
            known.get(digest(source, name))
            for (source, fleet), known in self._known.items()
            if fleet or source == device
        )
        return any(when is not None and moment <= when for when in found)


def _erase_looks(db: Connection, matches: Callable[[str, str], bool]) -> int:
    """``matches``: device of a question, name in it. A question about the name goes as a whole."""
    changed = 0
    for number, device, text in db.execute("SELECT number, device, document FROM looks WHERE face > 0").fetchall():
        look = parse(SharedLook, text.encode())
        left = _without(look, partial(matches, device))
        if left == look:
            continue
        changed += 1
        if left is None:
            db.execute(f"{EMPTIED} WHERE number = ?", (number,))
        else:
            document = json.dumps(asdict(left), ensure_ascii=False)
            db.execute("UPDATE looks SET document = ? WHERE number = ?", (document, number))
    return changed


def _cleansed(device: str, look: SharedLook, erased: _Erased) -> SharedLook | None:
    return _without(look, lambda name: erased.has(device, name, look.time))


def _without(look: SharedLook, matches: Callable[[str], bool]) -> SharedLook | None:
    """The crop without the matching subjects; None: its question is about one of them."""
    if look.subject is not None and matches(look.subject):
        return None
    kept = tuple(one for one in look.nearest if not matches(one.subject))
    return look if len(kept) == len(look.nearest) else replace(look, nearest=kept)


def _renumber(db: Connection, device: str, question: int) -> None:
    """Make a device's question a face of its own, with the newest number."""
    db.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'looks'")
    newest = "(SELECT seq FROM sqlite_sequence WHERE name = 'looks')"
    db.execute(f"UPDATE looks SET face = {newest} WHERE device = ? AND question = ? AND face > 0", (device, question))  # noqa: S608
