"""The outbox file: one SQLite database in WAL mode with synchronous=FULL. All SQL is here; no threads, no clock.

A damaged file is set aside and replaced by a new one. Each start has a separate epoch: a restored file (a backup, or a
disk that lost writes it had confirmed) assigns the same positions again, but must not repeat keys that a receiver has
seen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.core.errors import StoreError
from edge.core.storage import files, layout
from edge.core.storage.sqlite import Connection, check, connect, open_file, open_or_set_aside, transaction
from edge.core.storage.sqlite_codes import SqliteCode, code_of
from edge.core.storage.vault import PLAIN, Stored, Vault
from edge.core.types import Box, CustomLabel, Event, FaceAttribute, Identity, IdentityState, Queued

EVENT_FIELDS = {field.name for field in dataclasses.fields(Event)}
IDENTITY_FIELDS = {field.name for field in dataclasses.fields(Identity)}


def dump(event: Event) -> str:
    """One line of JSON. Raises ValueError for numbers that are not finite."""
    return json.dumps(dataclasses.asdict(event), allow_nan=False, separators=(",", ":"))


def load(text: str) -> Event:
    """Parse the output of ``dump``. Raises ValueError for an invalid text."""
    try:
        values: dict[str, Any] = json.loads(text)
        identity = {name: value for name, value in values.pop("identity").items() if name in IDENTITY_FIELDS}
        identity["state"] = IdentityState(identity["state"])
        box = Box(**values.pop("box"))
        known = {name: value for name, value in values.items() if name in EVENT_FIELDS}
        known["zones"] = tuple(known["zones"])
        if "custom_labels" in known:
            known["custom_labels"] = tuple(CustomLabel(**one) for one in known["custom_labels"])
        if "attributes" in known:
            known["attributes"] = tuple(FaceAttribute(**one) for one in known["attributes"])
        return Event(box=box, identity=Identity(**identity), **known)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an event of the outbox: {error!r}") from error


UPDATE, IDENTITY, LIFE = 0, 1, 2
"""kinds of rows: a plain update, an update with a new identity, and ``new`` or ``end``"""

TrackKey = tuple[str, str]
"""camera, track"""
Change = Callable[[str], str | None]
"""returns a new body (from ``dump``), or None to keep it"""


@dataclass(slots=True)
class NewRow:
    """An event to be written to the file."""

    event: Event
    kind: int
    body: str
    """``event`` as text, from ``dump``"""
    epoch: int = 0
    """0: the file's epoch, and ``seq`` is the row's position"""
    seq: int = 0
    coalesce: bool = False
    """whether waiting plain updates of its track may be deleted, as this event includes their content"""

    def rewrite(self, change: Change) -> bool:
        """Apply ``change``; True where it returned another body."""
        if (body := change(self.body)) is None:
            return False
        self.body, self.event = body, load(body)
        return True


@dataclass(slots=True)
class Batch:
    """The content of one transaction."""

    rows: Sequence[NewRow] = ()
    journal: dict[TrackKey, str | None] = field(default_factory=dict)
    """body of the latest event of each open track; None: the track ended"""
    done: AbstractSet[tuple[int, int]] = frozenset()
    """delivered keys"""
    passed: Mapping[int, int] = field(default_factory=dict)
    """epoch -> seq up to which everything was delivered"""
    lost: int = 0
    """number of events dropped from memory"""
    expiry: tuple[float, float] | None = None
    """trusted time now, and the maximum age of an update in seconds; None: nothing expires"""

    def __bool__(self) -> bool:
        """Whether the batch has any content."""
        return bool(self.rows or self.journal or self.done or self.passed or self.lost or self.expiry)


def reason_of(error: Exception) -> str:
    """Kind of a disk error: ``full``, ``readonly`` or ``failing``."""
    code = code_of(error)
    number = getattr(error, "errno", 0)
    if code == SqliteCode.FULL or number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "full"
    if code == SqliteCode.READONLY or number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "readonly"
    return "failing"


log = logging.getLogger(__name__)

FILE = layout.OUTBOX.name
PAGE = 4096
"""bytes"""
SMALLEST = 1 << 20
"""bytes that the file may always use, even on a full disk"""
ROWS_AT_ONCE = 64
"""rows inserted between two checks of the cap, so that a burst does not exceed it: the file never shrinks"""
EVICTED_AT_ONCE = 64
"""rows per deletion; small, so that a nearly full disk has room for the transaction"""
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    camera TEXT NOT NULL, track TEXT NOT NULL, kind INTEGER NOT NULL, time REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_track ON events (camera, track);
CREATE INDEX IF NOT EXISTS events_plain ON events (position) WHERE kind = 0;
CREATE INDEX IF NOT EXISTS events_moved ON events (epoch, seq) WHERE seq <> position;
CREATE TABLE IF NOT EXISTS starts (epoch INTEGER PRIMARY KEY, first INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reached (position INTEGER PRIMARY KEY, trusted REAL NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    camera TEXT NOT NULL, track TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (camera, track)) WITHOUT ROWID;
"""
DROP_OLDEST_UPDATES = """
DELETE FROM events WHERE position IN (SELECT position FROM events WHERE kind = 0 ORDER BY position LIMIT ?)"""
DROP_OLDEST = "DELETE FROM events WHERE position IN (SELECT position FROM events ORDER BY position LIMIT ?)"
QUEUED = """
SELECT position, epoch, seq, coalesce((SELECT seq FROM events p WHERE p.position < e.position AND p.epoch = e.epoch
                                       AND p.position >= coalesce((SELECT first FROM starts WHERE epoch = e.epoch), 0)
                                       ORDER BY p.position DESC LIMIT 1), 0), body FROM events e """
STARTS = 1000
"""starts whose first position is stored; for older ones, all waiting events are scanned"""
PAST = "WHERE position > ? AND camera NOT IN (SELECT value FROM json_each(?)) ORDER BY position LIMIT ?"
OF_TRACK = "WHERE camera = ? AND track = ? AND position < ? ORDER BY position"


EVENT, JOURNAL = "event", "journal"
"""contexts of sealed values"""


class OutboxStore:
    """The open file. Not thread-safe.

    Raises sqlite3.OperationalError or OSError where the disk fails.
    """

    def __init__(self, path: Path, max_bytes: int, reserve_bytes: int, vault: Vault = PLAIN) -> None:
        self.path = path
        self._vault = vault
        self._reserve = reserve_bytes
        wal = min(1000, max_bytes // PAGE // 4)
        self._pages = max_bytes // PAGE - 2 * wal
        open_or_set_aside(path, lambda: self._connect(wal), "its events are not delivered")

    def _connect(self, wal: int) -> None:
        # _make_room enforces the cap; max_page_count is a second limit
        self._db = open_file(
            self.path,
            f"PRAGMA page_size={PAGE}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            f"PRAGMA wal_autocheckpoint={wal}; PRAGMA journal_size_limit={wal * PAGE};"
            f"PRAGMA max_page_count={self._pages + 512};",
            timeout=1,
        )
        try:
            self._prepare()
        except sqlite3.Error:
            self._db.close()
            raise
        # until then, a power failure can restore SQLite's initial rollback journal, and with it the empty file
        files.sync_folder(self.path.parent)

    def _prepare(self) -> None:
        db = self._db
        check(db)
        with transaction(db):
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', 0), ('lost', 0), ('session', 0)")
            db.execute("UPDATE meta SET value = value + 1 WHERE key = 'session'")
            found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
            self.last = int(found[0]) if found else 0
            """the highest position ever assigned"""
            self._begin_epoch()
        values = dict(db.execute("SELECT key, value FROM meta"))
        self.epoch, self.session, self.lost = int(values["epoch"]), int(values["session"]), int(values["lost"])
        self.waiting = int(db.execute("SELECT count(*) FROM events").fetchone()[0])
        self.coalesced = self.expired = 0

    def _begin_epoch(self) -> None:
        epoch = 1 + secrets.randbelow(2**31 - 1)
        self._db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
        self._db.execute("DELETE FROM starts WHERE first > ?", (self.last,))
        self._db.execute("INSERT OR REPLACE INTO starts VALUES (?, ?)", (epoch, self.last + 1))
        self._db.execute(
            "DELETE FROM starts WHERE first < (SELECT first FROM starts ORDER BY first DESC LIMIT 1 OFFSET ?)",
            (STARTS,),
        )

    def journal(self) -> list[Event]:
        """The latest event of each open track."""
        events = []
        for camera, track, body in self._db.execute("SELECT camera, track, body FROM journal ORDER BY camera, track"):
            try:
                events.append(load(self._vault.open_text(body, JOURNAL, camera, track)))
            except (ValueError, StoreError):
                log.exception("outbox %s: the journal of track %s of camera %s is damaged", self.path, track, camera)
        return events

    def rewrite(self, change: Change) -> int:
        """Change waiting events, and rewrite the file without the old content; the number of changed rows."""
        with transaction(self._db):
            changed, _ = rewrite(self._db, self._vault, self._vault, change)
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return changed

    def write(self, batch: Batch) -> list[int]:
        """Write all of ``batch`` or nothing; returns the positions of its rows."""
        last, positions = self.last, []
        coalesced = expired = 0
        try:
            with transaction(self._db):
                delivered = self._delete(batch)
                expired = self._expire(*batch.expiry) if batch.expiry else 0
                evicted = self._make_room(0)
                for start in range(0, len(batch.rows), ROWS_AT_ONCE):
                    rows = batch.rows[start : start + ROWS_AT_ONCE]
                    evicted += self._make_room(sum(len(row.body) + 200 for row in rows))
                    for row in rows:
                        coalesced += self._coalesce(row) if row.coalesce else 0
                        positions.append(self._insert(row))
                self._write_journal(batch.journal)
                if batch.lost or evicted:
                    self._db.execute("UPDATE meta SET value = value + ? WHERE key = 'lost'", (batch.lost + evicted,))
        except sqlite3.Error:
            self.last = last
            raise
        self.waiting += len(positions) - delivered - expired - evicted - coalesced
        self.lost += batch.lost + evicted
        self.coalesced += coalesced
        self.expired += expired
        return positions

    def _insert(self, row: NewRow) -> int:
        self.last += 1
        event, epoch, seq = row.event, row.epoch or self.epoch, row.seq if row.epoch else self.last
        self._db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.last,
                epoch,
                seq,
                event.camera,
                event.track,
                row.kind,
                event.time,
                self._vault.seal_text(row.body, EVENT, self.last),
            ),
        )
        return self.last

    def _coalesce(self, row: NewRow) -> int:
        return self._db.execute(
            "DELETE FROM events WHERE camera = ? AND track = ? AND kind = 0", (row.event.camera, row.event.track)
        ).rowcount

    def _delete(self, batch: Batch) -> int:
        """Delete delivered events; returns the number of deleted rows."""
        keys, gone = [(seq, epoch) for epoch, seq in batch.done], 0
        marks = [(seq, epoch) for epoch, seq in batch.passed.items()]
        # the position of an event is its seq, except for events that waited in memory, which have a separate index
        for rows, at, moved in ((keys, "position = ?", "seq = ?"), (marks, "position <= ?", "seq <= ?")):
            if rows:
                sql = f"DELETE FROM events WHERE {at} AND epoch = ? AND seq = position"  # noqa: S608
                gone += self._db.executemany(sql, rows).rowcount
                sql = f"DELETE FROM events WHERE {moved} AND epoch = ? AND seq <> position"  # noqa: S608
                gone += self._db.executemany(sql, rows).rowcount
        return gone

    def _expire(self, now: float, seconds: float) -> int:
        """Delete updates that waited for ``seconds``. ``now``: trusted time, as event times may be wrong."""
        self._db.execute("INSERT OR REPLACE INTO reached VALUES (?, ?)", (self.last, now))
        self._db.execute("UPDATE reached SET trusted = ? WHERE trusted > ?", (now, now))
        old = self._db.execute("SELECT max(position) FROM reached WHERE trusted <= ?", (now - seconds,)).fetchone()[0]
        if old is None:
            return 0
        self._db.execute("DELETE FROM reached WHERE position < ?", (old,))
        gone = self._db.execute("DELETE FROM events WHERE kind = 0 AND position <= ?", (old,)).rowcount
        if gone:
            log.info("outbox: %d updates were too old to be delivered", gone)
        return gone

    def _write_journal(self, journal: Mapping[TrackKey, str | None]) -> None:
        for (camera, track), body in journal.items():
            if body is None:
                self._db.execute("DELETE FROM journal WHERE camera = ? AND track = ?", (camera, track))
            else:
                sealed = self._vault.seal_text(body, JOURNAL, camera, track)
                self._db.execute("INSERT OR REPLACE INTO journal VALUES (?, ?, ?)", (camera, track, sealed))

    def _make_room(self, coming: int) -> int:
        """Drop the oldest events, plain updates first, until ``coming`` bytes fit; returns the number dropped."""
        gone, limit = 0, self._limit()
        while self._used() + coming // PAGE + 4 > limit:
            count = self._drop(DROP_OLDEST_UPDATES) or self._drop(DROP_OLDEST)
            if not count:
                break
            gone += count
        return gone

    def _drop(self, query: str) -> int:
        return self._db.execute(query, (EVICTED_AT_ONCE,)).rowcount

    def _limit(self) -> int:
        """Maximum pages of the file: the cap, or less where only the reserve of the disk is left."""
        disk = os.statvfs(self.path.parent)
        room = disk.f_bavail * disk.f_frsize - self._reserve
        size = self._pragma("page_count")
        return min(self._pages, max(SMALLEST // PAGE, size + max(0, room) // PAGE))

    def _used(self) -> int:
        return self._pragma("page_count") - self._pragma("freelist_count")

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def read(self, after: int, limit: int, without: Sequence[str] = ()) -> list[Queued]:
        """The next events after position ``after``, in order, except those of the cameras ``without``."""
        return self._queued(QUEUED + PAST, (after, json.dumps(list(without)), limit))

    def of_track(self, camera: str, track: str, before: int) -> list[Queued]:
        """The events of a track before position ``before``, in order."""
        return self._queued(QUEUED + OF_TRACK, (camera, track, before))

    def _queued(self, query: str, values: Sequence[object]) -> list[Queued]:
        events, bad = [], []
        for position, epoch, seq, after, body in self._db.execute(query, values).fetchall():
            try:
                event = load(self._vault.open_text(body, EVENT, position))
                events.append(Queued(position, epoch, seq, after, event))
            except (ValueError, StoreError):
                bad.append((position,))
        if bad:
            log.error("outbox %s: %d events were damaged on disk and are lost", self.path, len(bad))
            with transaction(self._db):
                self._db.executemany("DELETE FROM events WHERE position = ?", bad)
                self._db.execute("UPDATE meta SET value = value + ? WHERE key = 'lost'", (len(bad),))
            self.lost += len(bad)
            self.waiting -= len(bad)
        return events

    def oldest(self) -> float | None:
        """Time of the oldest waiting event in seconds since the epoch."""
        row = self._db.execute("SELECT time FROM events ORDER BY position LIMIT 1").fetchone()
        return float(row[0]) if row else None

    def bytes(self) -> int:
        """Bytes of the file that are in use, without its write-ahead log."""
        return self._used() * PAGE

    def close(self) -> None:
        self._db.close()


def rewrite(db: Connection, old: Vault, new: Vault, change: Change = lambda body: body) -> tuple[int, int]:
    """Re-encrypt the events of a file from ``old`` to ``new``, with ``change`` applied, in the caller's transaction.

    Returns the number of changed and of damaged events; damaged ones stay. Raises SettingsError.
    """
    changed = damaged = 0

    def stored(body: Stored, *place: object) -> Stored:
        nonlocal changed, damaged
        try:
            text = change(old.open_text(body, *place))
        except StoreError:
            damaged += 1
            return body
        changed += text is not None
        return body if text is None else new.seal_text(text, *place)

    for place, body in db.execute("SELECT position, body FROM events").fetchall():
        db.execute("UPDATE events SET body = ? WHERE position = ?", (stored(body, EVENT, place), place))
    for *track, body in db.execute("SELECT camera, track, body FROM journal").fetchall():
        row = (stored(body, JOURNAL, *track), *track)
        db.execute("UPDATE journal SET body = ? WHERE camera = ? AND track = ?", row)
    return changed, damaged


def position(path: Path) -> tuple[int, int] | None:
    """(epoch, seq) of the latest event of a file that no daemon has open; None where it cannot be read."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(connect(path, timeout=1)) as db:
            epoch = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    except sqlite3.Error as error:
        log.warning("outbox %s cannot be read: %s", path, error)
        return None
    return (int(epoch[0]), int(last[0])) if epoch and last else None
