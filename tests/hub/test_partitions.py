"""Events in PostgreSQL: a partition per day, made ahead, filled from what came too early, and dropped whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.postgres import Postgres

from edge.core.errors import ConflictError
from edge.hub import databases, partitions
from edge.hub.databases import HubDatabase
from edge.hub.databases import Postgres as PostgresDatabase
from edge.hub.partitions import AHEAD, BEFORE, DAY, OTHER, DayPartition
from edge.hub.store import NEW_EVENTS, SCHEMA, EventStore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def database(server: Postgres, tmp_path: Path) -> Iterator[HubDatabase]:
    one = databases.connect(server.new_database(), tmp_path)
    assert isinstance(one, PostgresDatabase)
    yield one
    one.close()


def put(database: HubDatabase, seq: int, moment: float, received: float = 0.0, body: str = "{}") -> int:
    row = ("porch", 1, seq, "new", "door", f"1-{seq}", "face", "known", "alice", 0.8, moment, moment, None,
           received or moment, body)  # fmt: skip
    with database.transaction() as transaction:
        return int(transaction.insert("events", NEW_EVENTS, [row]))


def places(database: HubDatabase) -> dict[int, str]:
    """Seq of each event -> the partition that holds it."""
    with database.transaction(reading=True) as transaction:
        return dict(transaction.execute("SELECT seq, tableoid::regclass::text FROM events"))


def today() -> DayPartition:
    return DayPartition(int(time.time() // DAY))


def test_a_new_database_has_a_partition_for_each_day_around_today(database: HubDatabase) -> None:
    EventStore(database).prepare()
    with database.transaction(reading=True) as transaction:
        names = {row[0] for row in transaction.execute(partitions.PARTITIONS)}
    days = {DayPartition(today().day + number).name for number in range(-BEFORE, AHEAD + 1)}
    assert names == {OTHER, *days}
    put(database, 1, time.time())
    put(database, 2, 1000.0)
    assert places(database) == {1: today().name, 2: OTHER}


def test_an_event_is_stored_once_in_a_partition_too(database: HubDatabase) -> None:
    EventStore(database).prepare()
    moment = time.time()
    assert [put(database, 1, moment), put(database, 1, moment)] == [1, 0]


def test_what_came_too_early_moves_into_the_partition_of_its_day(database: HubDatabase) -> None:
    EventStore(database).prepare()
    later = DayPartition(today().day + 30)
    put(database, 1, later.since + 5)
    assert places(database) == {1: OTHER}
    with database.transaction() as transaction:
        assert partitions.make_ahead(transaction, later.since) == BEFORE + AHEAD + 1
    assert places(database) == {1: later.name}


def test_old_days_are_dropped_whole_and_clocks_that_were_wrong_keep_their_events(database: HubDatabase) -> None:
    store = EventStore(database)
    store.prepare()
    old, now = DayPartition(today().day - 5), time.time()
    put(database, 1, old.since + 5)
    put(database, 2, old.since + 6, received=now, body='{"clock":"unsynced"}')
    put(database, 3, now)
    assert store.forget_before(old.until + 1.0) == 1
    assert places(database) == {2: OTHER, 3: today().name}
    with database.transaction(reading=True) as transaction:
        assert (old.name,) not in transaction.execute(partitions.PARTITIONS)


def test_the_table_of_an_older_hub_becomes_a_partition_without_losing_or_doubling_an_event(
    database: HubDatabase,
) -> None:
    with database.transaction() as transaction:
        for statement in SCHEMA:
            transaction.execute(statement)
    tomorrow = DayPartition(today().day + 1)
    moments = {1: 1000.0, 2: time.time(), 3: tomorrow.since + 5.0, 4: tomorrow.since + 40 * DAY}
    for seq, moment in moments.items():
        put(database, seq, moment)
    store = EventStore(database)
    store.partition()
    old = f"events_before_d{tomorrow.day:05d}"
    assert places(database) == {1: old, 2: old, 3: tomorrow.name, 4: OTHER}
    assert [put(database, seq, moment) for seq, moment in moments.items()] == [0, 0, 0, 0]
    with database.transaction(reading=True) as transaction:
        indexes = transaction.execute("SELECT count(*) FROM pg_indexes WHERE tablename = ?", [old])[0][0]
    assert indexes == 6, "those of before, and the key"
    with pytest.raises(ConflictError):
        store.partition()
    assert store.forget_before(tomorrow.since + 0.0) == 2
    assert set(places(database)) == {3, 4}


def test_the_table_of_an_older_hub_goes_on_as_it_is(database: HubDatabase) -> None:
    with database.transaction() as transaction:
        transaction.execute(SCHEMA[0])
    store = EventStore(database)
    store.prepare()
    put(database, 1, 1000.0)
    assert places(database) == {1: "events"}
    assert store.forget_before(1001.0) == 1
