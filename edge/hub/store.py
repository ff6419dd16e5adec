"""Tables of the hub: events, delivery marks, and the latest documents of each device.

Events are deduplicated by their key (device, epoch, seq). The delivery mark of an epoch is the seq up to which no
event is missing. Each event names the seq that it follows (``after``), so a seq that was never sent does not block the
mark. Events beyond a gap are listed in ``ahead`` until the gap is filled. Marks are updated under a row lock, so
several ingests can share one database.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge.core.errors import ConflictError
from edge.hub import partitions
from edge.hub.databases import HubDatabase, RowSet, Transaction
from edge.mqtt.messages import WireEvent

Epoch = tuple[str, int]
"""device, epoch"""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS events (
        device TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
        type TEXT NOT NULL, camera TEXT NOT NULL, track TEXT NOT NULL, label TEXT NOT NULL,
        state TEXT NOT NULL, subject TEXT, similarity DOUBLE PRECISION,
        time DOUBLE PRECISION NOT NULL, started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION,
        received DOUBLE PRECISION NOT NULL, body TEXT NOT NULL, PRIMARY KEY (device, epoch, seq))""",
    "CREATE INDEX IF NOT EXISTS events_time ON events (time)",
    "CREATE INDEX IF NOT EXISTS events_device ON events (device, time)",
    "CREATE INDEX IF NOT EXISTS events_subject ON events (subject, time) WHERE subject IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS events_label ON events (label, time)",
    "CREATE INDEX IF NOT EXISTS events_camera ON events (camera, time)",
    """CREATE TABLE IF NOT EXISTS unreadable (
        device TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
        received DOUBLE PRECISION NOT NULL, problem TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (device, epoch, seq))""",
    """CREATE TABLE IF NOT EXISTS marks (
        device TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (device, epoch))""",
    """CREATE TABLE IF NOT EXISTS ahead (
        device TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, after BIGINT NOT NULL,
        PRIMARY KEY (device, epoch, seq))""",
    """CREATE TABLE IF NOT EXISTS documents (
        device TEXT NOT NULL, kind TEXT NOT NULL, received DOUBLE PRECISION NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (device, kind))""",
)
KEY = (("device", "text"), ("epoch", "bigint"))
NEW_EVENTS = RowSet(
    "new_events",
    (
        *KEY, ("seq", "bigint"), ("type", "text"), ("camera", "text"), ("track", "text"), ("label", "text"),
        ("state", "text"), ("subject", "text"), ("similarity", "double precision"), ("time", "double precision"),
        ("started", "double precision"), ("ended", "double precision"), ("received", "double precision"),
        ("body", "text"),
    ),
)  # fmt: skip
BATCH = RowSet("batch_epochs", KEY)
MOVED = RowSet("moved_marks", (*KEY, ("seq", "bigint")))
AHEAD = RowSet("new_ahead", (*KEY, ("seq", "bigint"), ("after", "bigint")))
INSERT_UNREADABLE = "INSERT INTO unreadable VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
MARKS_OF_BATCH = """SELECT marks.device, marks.epoch, marks.seq FROM batch_epochs
    JOIN marks ON marks.device = batch_epochs.device AND marks.epoch = batch_epochs.epoch
    ORDER BY marks.device, marks.epoch"""
"""in one order, so that two ingests cannot deadlock"""
INSERT_MARKS = """INSERT INTO marks (device, epoch, seq)
    SELECT device, epoch, 0 FROM batch_epochs WHERE TRUE ORDER BY device, epoch ON CONFLICT DO NOTHING"""
AHEAD_OF_BATCH = """SELECT ahead.device, ahead.epoch, ahead.seq, ahead.after FROM batch_epochs
    JOIN ahead ON ahead.device = batch_epochs.device AND ahead.epoch = batch_epochs.epoch"""
MOVE_MARKS = """UPDATE marks SET seq = moved_marks.seq FROM moved_marks
    WHERE marks.device = moved_marks.device AND marks.epoch = moved_marks.epoch"""
DELETE_AHEAD = "DELETE FROM ahead WHERE seq <= ? AND device = ? AND epoch = ?"
INSERT_AHEAD = """INSERT INTO ahead (device, epoch, seq, after)
    SELECT device, epoch, seq, after FROM new_ahead WHERE TRUE
    ON CONFLICT (device, epoch, seq) DO UPDATE SET after = excluded.after WHERE excluded.after < ahead.after"""
INSERT_DOCUMENT = """INSERT INTO documents VALUES (?, ?, ?, ?)
    ON CONFLICT (device, kind) DO UPDATE SET received = excluded.received, body = excluded.body"""
UNSYNCED = '%"clock":"unsynced"%'
"""LIKE pattern of the body of an event whose device clock was not synchronized"""
PARTITION_SECONDS = 3600.0
"""how often missing partitions are made"""
LOCKS = "SELECT pg_advisory_xact_lock(6570)"
"""serializes the creation of the tables when two ingests start at the same time"""


@dataclass(slots=True)
class Arrived:
    """A received event; only its key where the rest is invalid. Not frozen, as an ingest makes thousands per second."""

    device: str
    epoch: int
    seq: int
    after: int | None
    """seq of the event before it; None: the device does not use delivery marks"""
    body: str
    event: WireEvent | None
    """None: only the key is valid"""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """The latest document of one kind of one device."""

    device: str
    kind: str
    """``status``, ``info``, ``stats`` or ``reported``"""
    body: str
    received: float


@dataclass(frozen=True, slots=True)
class Stored:
    """Result of a batch that was committed to disk."""

    new: int
    """events that were not stored before"""
    marks: Mapping[Epoch, int]
    """delivery mark of each epoch in the batch whose device uses marks"""


class EventStore:
    """The hub's tables. Not thread-safe; every method raises TransientError or InputError."""

    def __init__(self, database: HubDatabase) -> None:
        self.database = database
        self._ready = self._partitioned = False
        self._prepared = 0.0
        """monotonic time of the latest ``prepare``"""

    def prepare(self) -> None:
        """Create missing tables and indexes."""
        with self.database.transaction() as transaction:
            if self.database.lock_rows:
                transaction.execute(LOCKS)
                if not partitions.kind(transaction):
                    partitions.create(transaction, SCHEMA[0])
            for statement in SCHEMA:
                transaction.execute(statement)
            self._partitioned = bool(self.database.lock_rows) and partitions.kind(transaction) == "p"
            if self._partitioned:
                partitions.make_ahead(transaction)
        self._prepared, self._ready = time.monotonic(), True

    def partition(self) -> None:
        """Partition the events of an older hub by day, in one transaction.

        Raises ConflictError where they are partitioned already, or the database has no partitions.
        """
        if not self.database.lock_rows:
            raise ConflictError(f"{self.database.name}: SQLite has no partitions", "it deletes old events by row")
        self.prepare()
        with self.database.transaction() as transaction:
            transaction.execute(LOCKS)
            partitions.upgrade(transaction, SCHEMA)
        self.prepare()

    def add(self, arrived: Sequence[Arrived], documents: Sequence[Document] = ()) -> Stored:
        """Store a batch in one transaction and advance the marks. Idempotent and independent of the order."""
        if not self._ready or (self._partitioned and time.monotonic() - self._prepared > PARTITION_SECONDS):
            self.prepare()
        now = time.time()
        # sorted by key, so that two ingests cannot deadlock
        by_key = {(one.device, one.epoch, one.seq): one for one in arrived}
        rows = [by_key[key] for key in sorted(by_key)]
        latest = {(one.device, one.kind): one for one in documents}
        with self.database.transaction() as transaction:
            new = transaction.insert("events", NEW_EVENTS, [_row(one, one.event, now) for one in rows if one.event])
            new += transaction.many(INSERT_UNREADABLE, [_unreadable(one, now) for one in rows if not one.event])
            marks = self._move_marks(transaction, arrived)
            transaction.many(
                INSERT_DOCUMENT,
                [(one.device, one.kind, one.received, _clean(one.body)) for _, one in sorted(latest.items())],
            )
        return Stored(new, marks)

    def forget_before(self, moment: float) -> int:
        """Delete the events before ``moment`` (seconds since the epoch). Returns the number of deleted rows.

        Compares the event's time; the time of receipt where the device's clock was not synchronized or ahead.
        """
        with self.database.transaction() as transaction:
            gone: int = 0
            if self._partitioned:
                transaction.execute(LOCKS)
                gone += partitions.drop_before(transaction, moment, "received >= ? AND body LIKE ?", [moment, UNSYNCED])
            old = "DELETE FROM events WHERE time < ? AND (received < ? OR body NOT LIKE ?)"
            gone += transaction.many(old, [(moment, moment, UNSYNCED)])
            gone += transaction.many("DELETE FROM events WHERE time > ? AND received < ?", [(time.time(), moment)])
            gone += transaction.many("DELETE FROM unreadable WHERE received < ?", [(moment,)])
        return gone

    def _move_marks(self, transaction: Transaction, arrived: Sequence[Arrived]) -> dict[Epoch, int]:
        steps: dict[Epoch, list[tuple[int, int]]] = defaultdict(list)
        for one in arrived:
            if one.after is not None:
                steps[one.device, one.epoch].append((one.seq, one.after))
        if not steps:
            return {}
        marks = self._marks(transaction, sorted(steps))
        waiting: set[Epoch] = set()
        """epochs with events beyond a gap"""
        for device, epoch, seq, after in transaction.execute(AHEAD_OF_BATCH):
            steps[device, epoch].append((seq, after))
            waiting.add((device, epoch))
        before = dict(marks)
        for epoch, found in steps.items():
            marks[epoch] = contiguous(marks[epoch], found)
        moved = [(*epoch, mark) for epoch, mark in marks.items() if mark > before[epoch]]
        if moved:
            transaction.fill(MOVED, moved)
            transaction.execute(MOVE_MARKS)
        passed = [(mark, device, epoch) for device, epoch, mark in moved if (device, epoch) in waiting]
        transaction.many(DELETE_AHEAD, passed)
        _keep_ahead(transaction, steps, marks)
        return marks

    def _marks(self, transaction: Transaction, epochs: Sequence[Epoch]) -> dict[Epoch, int]:
        """The marks of ``epochs``, 0 for new ones, locked until the end of the transaction."""
        transaction.fill(BATCH, epochs)
        query = MARKS_OF_BATCH + self.database.lock_rows
        found = transaction.execute(query)
        if len(found) < len(epochs):
            transaction.execute(INSERT_MARKS)
            found = transaction.execute(query)
        return {(device, epoch): seq for device, epoch, seq in found}


def _keep_ahead(
    transaction: Transaction, steps: Mapping[Epoch, Sequence[tuple[int, int]]], marks: Mapping[Epoch, int]
) -> None:
    """List the events beyond the marks; where one came twice, with the lower ``after``."""
    ahead: dict[tuple[str, int, int], int] = {}
    for (device, epoch), found in steps.items():
        for seq, after in found:
            if seq > marks[device, epoch]:
                key = device, epoch, seq
                ahead[key] = min(after, ahead.get(key, after))
    if ahead:
        transaction.fill(AHEAD, [(*key, after) for key, after in sorted(ahead.items())])
        transaction.execute(INSERT_AHEAD)


def contiguous(mark: int, steps: Iterable[tuple[int, int]]) -> int:
    """The highest seq without a gap after ``mark``, given the (seq, after) pairs of stored events."""
    for seq, after in sorted(steps):
        if after <= mark < seq:
            mark = seq
    return mark


def _row(one: Arrived, event: WireEvent, now: float) -> tuple[object, ...]:
    identity = event.identity
    return (
        one.device, one.epoch, one.seq, event.type, event.camera, _clean(event.track), _clean(event.label),
        str(identity.state), _clean(identity.subject) if identity.subject else None, identity.similarity,
        event.time, event.started, event.ended, now, _clean(one.body),
    )  # fmt: skip


def _unreadable(one: Arrived, now: float) -> tuple[object, ...]:
    return one.device, one.epoch, one.seq, now, _clean(one.problem), _clean(one.body)


def _clean(text: str) -> str:
    """Text that every database accepts: no NUL, no lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
