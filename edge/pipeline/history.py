"""The history: what each camera saw, kept on the device for some days.

An appearance is one track from its ``new`` to its ``end``. It keeps its latest name and its looks: what each embedding
said, and so why the track was named or not. Names and pictures are sealed where the state folder is encrypted.

``history.sqlite`` is bounded by days and bytes. It is a copy for people: where the disk becomes full, the history gives
way to events: nothing is added, and the oldest appearances are deleted until enough is free.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.core import subjects
from edge.core.errors import NotFoundError, StoreError
from edge.core.settings.services import HistorySettings
from edge.core.storage import ages, layout
from edge.core.storage.sqlite import Connection, Database
from edge.core.storage.vault import Resealing, Stored, Vault
from edge.core.system.trusted_time import trusted_now
from edge.core.types import IdentityState

FILE = layout.HISTORY.name
SCHEMA = """
CREATE TABLE IF NOT EXISTS appearances (
    id INTEGER PRIMARY KEY AUTOINCREMENT, track TEXT UNIQUE NOT NULL, boot TEXT NOT NULL, monotonic REAL NOT NULL,
    synced INTEGER NOT NULL, camera TEXT NOT NULL, label TEXT NOT NULL, started REAL NOT NULL, ended REAL,
    state TEXT NOT NULL, subject, likeness REAL, zones TEXT NOT NULL, details TEXT NOT NULL, picture BLOB);
CREATE INDEX IF NOT EXISTS appearances_started ON appearances (started, id);
CREATE INDEX IF NOT EXISTS appearances_camera ON appearances (camera, started, id);
CREATE INDEX IF NOT EXISTS appearances_subject ON appearances (subject, started, id);
CREATE INDEX IF NOT EXISTS appearances_label ON appearances (label, started, id);
CREATE INDEX IF NOT EXISTS appearances_state ON appearances (state, started, id);
CREATE INDEX IF NOT EXISTS appearances_zones ON appearances (zones, started, id);
CREATE INDEX IF NOT EXISTS appearances_unsynced ON appearances (boot) WHERE synced = 0;
CREATE TABLE IF NOT EXISTS looks (
    appearance INTEGER NOT NULL REFERENCES appearances (id) ON DELETE CASCADE, offset REAL NOT NULL, subject,
    likeness REAL, runner_up REAL, needed REAL, quality REAL NOT NULL);
CREATE INDEX IF NOT EXISTS looks_appearance ON looks (appearance);
CREATE INDEX IF NOT EXISTS looks_subject ON looks (subject);
CREATE TABLE IF NOT EXISTS changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, subject);
"""
PICTURE = "history picture"
"""place of sealed pictures"""
COLUMNS = (
    "id, track, synced, camera, label, started, ended, state, subject, likeness, zones, details, picture IS NOT NULL"
)
MAX_CHANGES = 1000
"""changes kept, the newest"""
MAX_VALUES = 500
"""names that a text filter may match"""
FREE_SHARE = 0.1
"""share of the rows that goes at once where the file is too large"""
BINS = 288
"""of a day's timeline: 5 minutes each"""


@dataclass(frozen=True, slots=True)
class Look:
    """Match result of one embedding of a track."""

    offset: float
    """seconds from the start of the track"""
    subject: str | None
    """the nearest subject; None: the collection was empty"""
    likeness: float | None
    """0..100, of the nearest"""
    runner_up: float | None
    """likeness 0..100 of the second nearest subject"""
    needed: float | None
    """likeness 0..100 that made a match then"""
    quality: float
    """of the crop, 0..1"""


@dataclass(slots=True)
class Appearance:
    """One track, as the history keeps it."""

    track: str
    camera: str
    label: str
    started: float
    """seconds since the epoch, by the clock as it was"""
    ended: float | None = None
    state: str = IdentityState.PENDING
    subject: str | None = None
    """the name while ``known``; the pseudonym of a stranger who came again"""
    likeness: float | None = None
    """0..100"""
    zones: tuple[str, ...] = ()
    """every zone it entered"""
    custom_labels: tuple[str, ...] = ()
    reason: str = ""
    """why it ended: ``left``, ``restart``, ``stopped``"""
    boot: str = ""
    """id of the boot that ``monotonic`` counts from"""
    monotonic: float = 0.0
    """monotonic seconds of the start"""
    synced: bool = True
    """whether the clock was set"""
    picture: bytes = b""
    """JPEG; empty: none is kept, or none is new"""
    looks: list[Look] = field(default_factory=list)
    id: int = 0


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Filter of appearances. Empty fields do not filter."""

    subject: str = ""
    state: str = ""
    camera: str = ""
    label: str = ""
    since: float | None = None
    """seconds since the epoch, included"""
    until: float | None = None
    """excluded"""
    text: str = ""
    """part of a name, a camera, a zone or a label"""


@dataclass(frozen=True, slots=True)
class Change:
    """A change by the owner or an administrator."""

    time: float
    who: str
    what: str
    subject: str | None


class HistoryStore:
    """The history of one state folder. Threads and processes may share it. Raises StoreError.

    ``spare_bytes``: free bytes of the disk below which it gives way.
    """

    def __init__(self, state: Path, settings: HistorySettings, spare_bytes: int = 0) -> None:
        self._settings, self._spare = settings, spare_bytes
        self._state = state
        self._db = Database(state / FILE, SCHEMA + ages.SCHEMA)

    def put(self, appearances: Sequence[Appearance]) -> None:
        """Store or update appearances by their track; looks are added, an empty picture changes nothing.

        Raises StoreError where too little of the disk is free.
        """
        if not appearances:
            return
        if self.is_short:
            raise StoreError(
                f"{self._state}: expected {self._spare >> 20} MB of free space, got {self._free() >> 20} MB",
                "free some space, or lower history.max_bytes",
            )
        with self._db.writing() as db:
            for one in appearances:
                _put(db, one)

    def find(self, wanted: HistoryFilter, before: tuple[float, int] | None = None, limit: int = 60) -> list[Appearance]:
        """The newest first, without looks and pictures; ``before``: start and id of the last one of the page before."""
        with self._db.reading() as db:
            where, values = _conditions(db, wanted)
            if before is not None:
                where.append("(started, id) < (?, ?)")
                values += before
            clause = f"WHERE {' AND '.join(where)}" if where else ""
            sql = f"SELECT {COLUMNS} FROM appearances {clause} ORDER BY started DESC, id DESC LIMIT ?"  # noqa: S608
            return [_appearance(db.vault, row) for row in db.execute(sql, (*values, limit))]

    def get(self, number: int) -> Appearance:
        """With its looks, the first one first. Raises NotFoundError."""
        with self._db.reading() as db:
            row = db.execute(f"SELECT {COLUMNS} FROM appearances WHERE id = ?", (number,)).fetchone()  # noqa: S608
            if row is None:
                raise NotFoundError(f"the history has no appearance {number}", "it was deleted, or has expired")
            found = _appearance(db.vault, row)
            found.looks += _looks(db, number)
        return found

    def looked_at(self, label: str, since: float, limit: int) -> list[Appearance]:
        """Appearances of a label that have looks, with them, the newest first."""
        sql = (
            f"SELECT {COLUMNS} FROM appearances WHERE label = ? AND started >= ? "  # noqa: S608
            "AND EXISTS (SELECT 1 FROM looks WHERE appearance = appearances.id) ORDER BY started DESC LIMIT ?"
        )
        with self._db.reading() as db:
            found = [_appearance(db.vault, row) for row in db.execute(sql, (label, since, limit))]
            for one in found:
                one.looks += _looks(db, one.id)
        return found

    def picture(self, number: int) -> bytes:
        """JPEG. Raises NotFoundError where none is kept."""
        with self._db.reading() as db:
            row = db.execute("SELECT track, picture FROM appearances WHERE id = ?", (number,)).fetchone()
            if row is None or row[1] is None:
                raise NotFoundError(f"no picture of appearance {number} is kept", "set history.pictures = true")
            return db.vault.open(row[1], PICTURE, row[0])

    def subjects(self) -> list[str]:
        """Every name and pseudonym in the history."""
        with self._db.reading() as db:
            return sorted((db.vault.named(stored) or "" for stored in _distinct(db, "subject")), key=str.casefold)

    def last_seen(self, subjects: Iterable[str]) -> dict[str, tuple[float, str]]:
        """Subject -> start and camera of its newest appearance."""
        sql = "SELECT started, camera FROM appearances WHERE subject = ? ORDER BY started DESC LIMIT 1"
        with self._db.reading() as db:
            rows = ((name, db.execute(sql, (db.vault.name(name),)).fetchone()) for name in subjects)
            return {name: (row[0], row[1]) for name, row in rows if row is not None}

    def choices(self) -> dict[str, list[str]]:
        """The cameras and labels that a filter may name."""
        with self._db.reading() as db:
            return {"cameras": _distinct(db, "camera"), "labels": _distinct(db, "label")}

    def timeline(self, since: float, until: float) -> list[tuple[str, int, int, int]]:
        """A day in ``BINS`` parts: (camera, part, appearances, of which known), those with any."""
        width = (until - since) / BINS
        sql = (
            "SELECT camera, CAST((started - ?1) / ?3 AS INTEGER) AS part, count(*), sum(state = 'known') "
            "FROM appearances WHERE started >= ?1 AND started < ?2 GROUP BY camera, part ORDER BY camera, part"
        )
        with self._db.reading() as db:
            return [tuple(row) for row in db.execute(sql, (since, until, width))]

    def correct_clock(self, boot: str, offset: float) -> int:
        """The clock was set: give appearances of this boot their right time, ``offset`` + monotonic. How many."""
        sql = (
            "UPDATE appearances SET ended = ?1 + monotonic + (ended - started), started = ?1 + monotonic, synced = 1 "
            "WHERE boot = ?2 AND synced = 0"
        )
        with self._db.writing() as db:
            return db.execute(sql, (offset, boot)).rowcount

    @property
    def is_short(self) -> bool:
        """Whether the disk has so little free space that the history must give way."""
        return self._free() < self._spare

    def _free(self) -> int:
        try:
            disk = os.statvfs(self._state)
        except OSError as error:
            raise StoreError(f"{self._state}: cannot be read: {error}", "check the disk and its owner") from error
        return disk.f_bavail * disk.f_frsize

    def expire(self) -> None:
        """Apply retention: delete expired appearances, and the oldest where the file is too large or the disk full."""
        short = self.is_short
        with self._db.writing() as db:
            ages.expire(db, "appearances", trusted_now(self._state), self._settings.days * 86400)
            sql = "DELETE FROM changes WHERE id <= (SELECT id FROM changes ORDER BY id DESC LIMIT 1 OFFSET ?)"
            db.execute(sql, (MAX_CHANGES,))
            pages, free, size = (
                int(db.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
            if short or (pages - free) * size > self._settings.max_bytes:
                count = int(db.execute("SELECT count(*) FROM appearances").fetchone()[0])
                sql = (
                    "DELETE FROM appearances WHERE id IN (SELECT a.id FROM appearances a LEFT JOIN ages "
                    "ON kind = 'appearances' AND ages.id = a.id ORDER BY coalesce(trusted, 0), started, a.id LIMIT ?)"
                )
                db.execute(sql, (max(1, round(FREE_SHARE * count)),))
            if not self._settings.pictures:
                db.execute("UPDATE appearances SET picture = NULL WHERE picture IS NOT NULL")
        if short:
            self._shrink()

    def make_room(self) -> None:
        """Delete the oldest appearances while too little of the disk is free."""
        if self.is_short:
            self.expire()

    def _shrink(self) -> None:
        """Return free pages to the disk, where the copy that this needs fits."""
        with self._db.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pages, free, size = (
                int(db.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
            if 2 * (pages - free) * size < self._free():
                db.execute("VACUUM")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def forget(self, subject: str) -> int:
        """Delete the appearances of a subject and its name from others. Returns how many appearances went."""
        with self._db.writing() as db:
            name = db.vault.name(subject)
            gone = db.execute("DELETE FROM appearances WHERE subject = ?", (name,)).rowcount
            db.execute("UPDATE looks SET subject = NULL WHERE subject = ?", (name,))
            db.execute("UPDATE changes SET subject = NULL WHERE subject = ?", (name,))
        with self._db.reading() as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def newest_picture(self, subject: str) -> int | None:
        """Id of the newest appearance of a subject, or of a pseudonym, of which a picture is kept."""
        sql = "SELECT id FROM appearances WHERE subject = ? AND picture IS NOT NULL ORDER BY started DESC LIMIT 1"
        with self._db.reading() as db:
            row = db.execute(sql, (db.vault.name(subject),)).fetchone()
            return row[0] if row else None

    def rename(self, old: str, new: str, *, known: bool = False) -> None:
        """Rename a subject, in past appearances as well. ``known``: it was a stranger until now."""
        with self._db.writing() as db:
            if known:
                db.execute("UPDATE appearances SET state = 'known' WHERE subject = ?", (db.vault.name(old),))
            for table in ("appearances", "looks", "changes"):
                sql = f"UPDATE {table} SET subject = ? WHERE subject = ?"  # noqa: S608
                db.execute(sql, (db.vault.name(new), db.vault.name(old)))

    def delete(self, number: int) -> None:
        """Delete one appearance. Raises NotFoundError."""
        with self._db.writing() as db:
            if not db.execute("DELETE FROM appearances WHERE id = ?", (number,)).rowcount:
                raise NotFoundError(f"the history has no appearance {number}", "it was deleted, or has expired")

    def clear(self) -> int:
        """Delete every appearance. Returns how many; changes stay."""
        with self._db.writing() as db:
            gone = db.execute("DELETE FROM appearances").rowcount
        with self._db.reading() as db:
            db.execute("VACUUM")
        return gone

    def count(self) -> int:
        with self._db.reading() as db:
            return int(db.execute("SELECT count(*) FROM appearances").fetchone()[0])

    def note(self, who: str, what: str, subject: str | None = None) -> None:
        """Record a change."""
        with self._db.writing() as db:
            sql = "INSERT INTO changes (time, who, what, subject) VALUES (?,?,?,?)"
            db.execute(sql, (time.time(), who, what, db.vault.name(subject)))

    def changes(self, limit: int = 100) -> list[Change]:
        """The newest first."""
        sql = "SELECT time, who, what, subject FROM changes ORDER BY id DESC LIMIT ?"
        with self._db.reading() as db:
            rows = db.execute(sql, (limit,))
            return [Change(moment, who, what, db.vault.named(name)) for moment, who, what, name in rows]

    def close(self) -> None:
        self._db.close()


def reseal(db: Connection, change: Resealing) -> int:
    """Store every sealed value of the file anew. Returns how many rows were damaged, and went."""
    damaged = 0
    rows = db.execute("SELECT id, track, subject, picture FROM appearances").fetchall()
    for number, track, subject, picture in rows:
        try:
            values = change.name(subject), None if picture is None else change.data(picture, PICTURE, track)
        except StoreError:
            damaged += db.execute("DELETE FROM appearances WHERE id = ?", (number,)).rowcount
        else:
            db.execute("UPDATE appearances SET subject = ?, picture = ? WHERE id = ?", (*values, number))
    for table in ("looks", "changes"):
        names = db.execute(f"SELECT DISTINCT subject FROM {table} WHERE subject IS NOT NULL").fetchall()  # noqa: S608
        for (stored,) in names:
            try:
                name = change.name(stored)
            except StoreError:
                name = None
            db.execute(f"UPDATE {table} SET subject = ? WHERE subject = ?", (name, stored))  # noqa: S608
    return damaged


def _looks(db: Connection, number: int) -> list[Look]:
    """Of one appearance, the first one first."""
    sql = "SELECT offset, subject, likeness, runner_up, needed, quality FROM looks WHERE appearance = ? ORDER BY offset"
    rows = db.execute(sql, (number,))
    return [Look(offset, db.vault.named(subject), *rest) for offset, subject, *rest in rows]


def _put(db: Connection, one: Appearance) -> None:
    details = json.dumps({"custom_labels": one.custom_labels, "reason": one.reason}, ensure_ascii=False)
    picture = db.vault.seal(one.picture, PICTURE, one.track) if one.picture else None
    row = (
        one.track, one.synced, one.camera, one.label, one.started, one.ended, one.state,
        db.vault.name(one.subject), one.likeness, json.dumps(one.zones), details, picture, one.boot, one.monotonic,
    )  # fmt: skip
    names = COLUMNS.removeprefix("id, ").replace("picture IS NOT NULL", "picture, boot, monotonic")
    (number,) = db.execute(
        f"INSERT INTO appearances ({names}) VALUES ({','.join('?' * len(row))}) ON CONFLICT (track) DO UPDATE SET "  # noqa: S608
        "ended = excluded.ended, state = excluded.state, subject = excluded.subject, likeness = excluded.likeness, "
        "zones = excluded.zones, details = excluded.details, picture = coalesce(excluded.picture, picture) "
        "RETURNING id",
        row,
    ).fetchone()
    looks = [
        (number, look.offset, db.vault.name(look.subject), look.likeness, look.runner_up, look.needed, look.quality)
        for look in one.looks
    ]
    db.executemany("INSERT INTO looks VALUES (?,?,?,?,?,?,?)", looks)


def _conditions(db: Connection, wanted: HistoryFilter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    exact = {"state": wanted.state, "camera": wanted.camera, "label": wanted.label}
    for column, value in exact.items():
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    if wanted.subject:
        where.append("subject = ?")
        values.append(db.vault.name(subjects.composed(wanted.subject)))
    for bound, operator in ((wanted.since, ">="), (wanted.until, "<")):
        if bound is not None:
            where.append(f"started {operator} ?")
            values.append(bound)
    if wanted.text:
        like = {column: _values_like(db, column, wanted.text) for column in ("subject", "camera", "label", "zones")}
        there = {column: found for column, found in like.items() if found}
        parts = [f"{column} IN ({','.join('?' * len(found))})" for column, found in there.items()]
        where.append(f"({' OR '.join(parts)})" if parts else "0")
        values += [value for found in there.values() for value in found]
    return where, values


def _values_like(db: Connection, column: str, text: str) -> list[Stored]:
    """Stored values of a column that contain a text in any case. Names may be sealed, so each is opened."""
    wanted = subjects.composed(text).casefold()
    opened = db.vault.named if column == "subject" else str
    return [one for one in _distinct(db, column) if wanted in (opened(one) or "").casefold()][:MAX_VALUES]


def _distinct(db: Connection, column: str) -> list[Any]:
    """The different values of an indexed column: one step of the index for each, where DISTINCT reads every row."""
    sql = (
        f"WITH RECURSIVE found(x) AS (SELECT min({column}) FROM appearances UNION ALL "  # noqa: S608
        f"SELECT (SELECT min({column}) FROM appearances WHERE {column} > x) FROM found WHERE x IS NOT NULL) "
        "SELECT x FROM found WHERE x IS NOT NULL"
    )
    return [value for (value,) in db.execute(sql)]


def _appearance(vault: Vault, row: Sequence[Any]) -> Appearance:
    number, track, synced, camera, label, started, ended, state, subject, likeness, zones, details, pictured = row
    more = json.loads(details)
    return Appearance(
        track, camera, label, started, ended, state, vault.named(subject), likeness, tuple(json.loads(zones)),
        tuple(more["custom_labels"]), more["reason"], synced=bool(synced), picture=b"1" if pictured else b"", id=number,
    )  # fmt: skip
