"""Partitions of the events in PostgreSQL: one per UTC day of the event's time, so that old days are dropped whole.

Events of other times (a clock that was not synchronized, a backlog from before the first partition) are in
``events_other``. Partitions are made ahead; what ``events_other`` holds of a day moves into its partition. The key of
an event has its time as well, as PostgreSQL requires it; a device sends an event again with the same time.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from edge.core.errors import ConflictError
from edge.hub.databases import Transaction

log = logging.getLogger(__name__)

DAY = 86400
BEFORE, AHEAD = 7, 3
"""days before and after today that get a partition: a backlog of a week, and what comes while nothing runs here"""
OTHER = "events_other"
KEY = "PRIMARY KEY (device, epoch, seq, time)"
NAME = re.compile(r"events_(before_)?d(\d{5})")
"""the events of a day, by days since the epoch; or all before that day, of a table that was not partitioned"""
PARTITIONS = """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass('events')"""


@dataclass(frozen=True, slots=True)
class DayPartition:
    """The events of one UTC day."""

    day: int
    """days since the epoch"""

    @property
    def name(self) -> str:
        return f"events_d{self.day:05d}"

    @property
    def since(self) -> int:
        """Seconds since the epoch."""
        return self.day * DAY

    @property
    def until(self) -> int:
        """Seconds since the epoch, exclusive."""
        return (self.day + 1) * DAY


def kind(transaction: Transaction) -> str:
    """``p``: partitioned; ``r``: a plain table, of an older hub; empty: there is no table yet."""
    rows = transaction.execute("SELECT relkind::text FROM pg_class WHERE oid = to_regclass('events')")
    return str(rows[0][0]) if rows else ""


def create(transaction: Transaction, table: str) -> None:
    """Create the partitioned table. ``table``: its plain CREATE TABLE statement."""
    columns, _, _ = table.rpartition("PRIMARY KEY")
    transaction.execute(f"{columns}{KEY}) PARTITION BY RANGE (time)")
    transaction.execute(f"CREATE TABLE {OTHER} PARTITION OF events DEFAULT")


def upgrade(transaction: Transaction, schema: Sequence[str], now: float | None = None) -> None:
    """Make a plain table of an older hub the partition of all days up to today. It is locked and read once.

    ``schema``: the statements that create the table, first, and its indexes. Raises ConflictError for another table.
    """
    if kind(transaction) != "r":
        raise ConflictError("the events are partitioned already", "nothing is left to do")
    bound = DayPartition(math.floor((time.time() if now is None else now) / DAY) + 1)
    old = f"events_before_d{bound.day:05d}"
    transaction.execute("ALTER TABLE events DROP CONSTRAINT events_pkey")
    transaction.execute(f"ALTER TABLE events RENAME TO {old}")
    for (index,) in transaction.execute("SELECT indexname FROM pg_indexes WHERE tablename = ?", [old]):
        transaction.execute(f"ALTER INDEX {index} RENAME TO {old}{index.removeprefix('events')}")
    transaction.execute(f"ALTER TABLE {old} ADD {KEY}")
    late = f"{old} WHERE time >= {bound.since}"
    transaction.execute(f"CREATE TEMP TABLE moved_late ON COMMIT DROP AS SELECT * FROM {late}")  # noqa: S608
    transaction.execute(f"DELETE FROM {late}")  # noqa: S608
    create(transaction, schema[0])
    for statement in schema[1:]:
        transaction.execute(statement)
    transaction.execute(f"ALTER TABLE events ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ({bound.since})")
    make_ahead(transaction, now)
    transaction.execute("INSERT INTO events SELECT * FROM moved_late")


def make_ahead(transaction: Transaction, now: float | None = None) -> int:
    """Make the missing partitions around ``now`` (seconds since the epoch). Returns how many were made."""
    today = math.floor((time.time() if now is None else now) / DAY)
    known = {row[0] for row in transaction.execute(PARTITIONS)}
    first = max(0, today - BEFORE, *(int(found[2]) for name in known if (found := NAME.fullmatch(name)) and found[1]))
    wanted = [DayPartition(day) for day in range(first, today + AHEAD + 1)]
    missing = [one for one in wanted if one.name not in known]
    for one in missing:
        _make(transaction, one)
    return len(missing)


def drop_before(transaction: Transaction, moment: float, kept: str, values: list[object]) -> int:
    """Drop the days that end before ``moment`` (seconds since the epoch). Returns the number of deleted events.

    ``kept``: condition of events that stay although their time is old, with its ``values``.
    """
    gone = 0
    for (name,) in transaction.execute(PARTITIONS):
        found = NAME.fullmatch(name)
        if found is None or (int(found[2]) + (0 if found[1] else 1)) * DAY > moment:
            continue
        transaction.execute(f"ALTER TABLE events DETACH PARTITION {name}")
        count = transaction.execute(f"SELECT count(*) FROM {name}")[0][0]  # noqa: S608 - the name was matched
        left = transaction.many(f"INSERT INTO events SELECT * FROM {name} WHERE {kept}", [values])  # noqa: S608
        transaction.execute(f"DROP TABLE {name}")
        gone += count - left
    return gone


def _make(transaction: Transaction, one: DayPartition) -> None:
    """A partition cannot be made while the default one holds its rows: they wait in a table for that long."""
    of_day = f"{OTHER} WHERE time >= {one.since} AND time < {one.until}"
    waiting = f"moved_{one.name}"
    strays = transaction.execute(f"SELECT 1 FROM {of_day} LIMIT 1")  # noqa: S608
    if strays:
        transaction.execute(f"CREATE TEMP TABLE {waiting} ON COMMIT DROP AS SELECT * FROM {of_day}")  # noqa: S608
        transaction.execute(f"DELETE FROM {of_day}")  # noqa: S608
    transaction.execute(f"CREATE TABLE {one.name} PARTITION OF events FOR VALUES FROM ({one.since}) TO ({one.until})")
    if strays:
        transaction.execute(f"INSERT INTO events SELECT * FROM {waiting}")  # noqa: S608
