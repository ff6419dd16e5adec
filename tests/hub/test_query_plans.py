"""Queries of ``edge hub events`` and ``status`` go by an index: their plans on a table of 20,000 rows."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from rigs.postgres import Postgres

from edge.hub import databases, partitions
from edge.hub.databases import HubDatabase
from edge.hub.queries import EventQuery, page_query
from edge.hub.store import NEW_EVENTS, EventStore

ROWS, DEVICES = 20_000, 2_000
QUERIES = [
    EventQuery(),
    EventQuery(since=1.79e9 + 100, until=1.79e9 + 200),
    EventQuery(device="device-7"),
    EventQuery(device="device-7", since=1.79e9 + 100),
    EventQuery(subject="p17"),
    EventQuery(subject="p17", since=1.79e9 + 100),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDatabase]:
    folder = tmp_path_factory.mktemp("plans")
    if request.param == "sqlite":
        yield from _filled(databases.connect("", folder))
        return
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'rekognition-edge[hub]'")
    with Postgres(folder) as server:
        yield from _filled(databases.connect(server.new_database(), folder))


def _filled(one: HubDatabase) -> Iterator[HubDatabase]:
    EventStore(one).prepare()
    chance = random.Random(3)
    rows = [
        (f"device-{number % DEVICES}", 1, number, "new", "gate" if number % 2500 == 7 else "door", f"1-{number}",
         "dog" if number % 2500 == 9 else "face", "known",
         f"p{chance.randrange(500)}", 0.8, 1.79e9 + number, 1.79e9 + number, None, 1.79e9 + number, "{}")
        for number in range(1, ROWS + 1)
    ]  # fmt: skip
    with one.transaction() as transaction:
        if one.lock_rows:
            partitions.make_ahead(transaction, 1.79e9)  # the days of the rows, and some that stay empty
        transaction.insert("events", NEW_EVENTS, rows)
        transaction.execute("ANALYZE events" if one.lock_rows else "ANALYZE")
    yield one
    one.close()


def plan(database: HubDatabase, statement: str, values: list[object]) -> str:
    explain = "EXPLAIN " if database.lock_rows else "EXPLAIN QUERY PLAN "
    with database.transaction(reading=True) as transaction:
        return "\n".join(" ".join(map(str, row)) for row in transaction.execute(explain + statement, values))


def scanned(found: str) -> set[str]:
    """Tables with rows that a plan of PostgreSQL reads as a whole; a partition without rows costs nothing."""
    return {one for one in re.findall(r"Seq Scan on (\w+)", found) if one == "events" or one in FILLED}


FILLED = {partitions.DayPartition(int((1.79e9 + second) // partitions.DAY)).name for second in (0, ROWS)}


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("after", [(), (1.79e9 + 5000, "device-7", 1, 5000)], ids=["first page", "a later page"])
@pytest.mark.parametrize("wanted", QUERIES, ids=str)
def test_events_are_found_by_an_index(
    wanted: EventQuery, after: tuple[object, ...], latest: bool, database: HubDatabase
) -> None:
    found = plan(database, *page_query(wanted, after, 100, latest))
    assert "index" in found.lower(), found
    assert scanned(found) == set(), found


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize(
    "wanted", [EventQuery(label="dog"), EventQuery(camera="gate"), EventQuery(camera="gate", type="new")], ids=str
)
def test_what_is_rare_in_the_fleet_is_not_looked_for_along_the_time(
    wanted: EventQuery, latest: bool, database: HubDatabase
) -> None:
    found = plan(database, *page_query(wanted, (), 100, latest))
    column = "label" if wanted.label else "camera"
    in_data = [line for line in found.splitlines() if any(one in line for one in FILLED)] or [found]
    assert all(re.search(rf"events_{column}\b|_{column}_time_idx", line) for line in in_data if "Scan" in line), found
    assert scanned(found) == set(), found
    if not database.lock_rows:
        assert f"events_{column}" in found


def test_the_last_event_of_each_device_is_found_by_an_index(database: HubDatabase) -> None:
    found = plan(database, "SELECT max(time) FROM events WHERE device = ?", ["device-7"])
    assert re.search(r"events_device|_device_time_idx", found), found
    assert scanned(found) == set(), found


def test_a_day_is_looked_for_in_its_partition_alone(database: HubDatabase) -> None:
    if not database.lock_rows:
        pytest.skip("SQLite has no partitions")
    day = partitions.DayPartition(int(1.79e9 // partitions.DAY))
    found = plan(database, *page_query(EventQuery(since=day.since, until=day.until), (), 100))
    assert set(re.findall(r"on (events_\w+)", found)) == {day.name}, found
