"""What the hub keeps: once each, in any order, with marks that never pass a hole. SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs.events import an_event
from rigs.postgres import Postgres

from edge.core.errors import InputError, SettingsError, TransientError
from edge.core.types import Identity, IdentityState, Queued
from edge.hub import databases
from edge.hub import queries as reading
from edge.hub.databases import HubDatabase, RowSet
from edge.hub.store import Arrived, Document, EventStore, contiguous
from edge.mqtt.messages import WireEvent, event_json, parse


def arrived(seq: int, after: int | None = None, device: str = "porch", epoch: int = 3, **changes: object) -> Arrived:
    event = an_event("new", **changes)
    body = event_json(device, Queued(seq, epoch, seq, seq - 1, event))
    return Arrived(device, epoch, seq, seq - 1 if after is None else after, body.decode(), parse(WireEvent, body))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], HubDatabase]]:
    """Opens one and the same empty database, as often as it is called."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("server").new_database()
    opened: list[HubDatabase] = []

    def make() -> HubDatabase:
        opened.append(databases.connect(url, tmp_path))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def store(connect: Callable[[], HubDatabase]) -> EventStore:
    return EventStore(connect())


def test_an_event_is_stored_once_however_often_it_comes(store: EventStore) -> None:
    batch = [arrived(1), arrived(2), arrived(2)]
    assert store.add(batch).new == 2
    assert store.add(batch).new == 0
    assert [row.seq for row in reading.events(store.database, reading.EventQuery())] == [1, 2]


def test_the_mark_stops_at_a_hole_and_jumps_when_it_is_filled(store: EventStore) -> None:
    assert store.add([arrived(1), arrived(2)]).marks == {("porch", 3): 2}
    assert store.add([arrived(5), arrived(4)]).marks == {("porch", 3): 2}
    assert store.add([arrived(3)]).marks == {("porch", 3): 5}
    with store.database.transaction() as transaction:
        assert transaction.execute("SELECT * FROM ahead") == []


def test_a_seq_that_will_never_come_does_not_hold_the_mark(store: EventStore) -> None:
    assert store.add([arrived(10, after=0), arrived(20, after=10)]).marks == {("porch", 3): 20}


def test_an_event_whose_predecessor_was_dropped_meanwhile_says_so_when_it_comes_again(store: EventStore) -> None:
    store.add([arrived(1)])
    assert store.add([arrived(5, after=4)]).marks == {("porch", 3): 1}
    assert store.add([arrived(5, after=1)]).marks == {("porch", 3): 5}


def test_each_epoch_of_each_device_has_a_mark_of_its_own(store: EventStore) -> None:
    marks = store.add([arrived(1), arrived(1, epoch=4), arrived(2, device="yard")]).marks
    assert marks == {("porch", 3): 1, ("porch", 4): 1, ("yard", 3): 0}


def test_rows_of_a_batch_are_those_that_were_filled_in_last(store: EventStore) -> None:
    rows = RowSet("kept", (("device", "text"), ("seq", "bigint")))
    for number in range(2):
        with store.database.transaction() as transaction:
            transaction.fill(rows, [("first", 1)])
            transaction.fill(rows, [("a\tb\\N\n", number), (None, 2**53)])
            found = transaction.execute("SELECT device, seq FROM kept ORDER BY seq")
        assert found == [("a\tb\\N\n", number), (None, 2**53)]


def test_a_transaction_that_failed_leaves_no_trace_in_the_next(store: EventStore) -> None:
    store.prepare()
    rows = RowSet("kept", (("seq", "bigint"),))

    def fail() -> None:
        with store.database.transaction() as transaction:
            transaction.fill(rows, [(1,)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.database.transaction() as transaction:
        transaction.fill(rows, [(2,)])
        assert transaction.execute("SELECT seq FROM kept") == [(2,)]


def test_a_device_that_asks_for_no_mark_gets_none(store: EventStore) -> None:
    plain = arrived(7)
    without = Arrived(plain.device, plain.epoch, plain.seq, None, plain.body, plain.event)
    stored = store.add([without])
    assert (stored.new, stored.marks) == (1, {})


def test_an_event_that_cannot_be_read_is_kept_and_does_not_hold_the_mark(store: EventStore) -> None:
    odd = Arrived("porch", 3, 2, 1, '{"v": 2}\0', None, "v: too new")
    assert store.add([arrived(1), odd, arrived(3)]).marks == {("porch", 3): 3}
    with store.database.transaction() as transaction:
        ((body, problem),) = transaction.execute("SELECT body, problem FROM unreadable")
    assert (body, problem) == ('{"v": 2}\N{REPLACEMENT CHARACTER}', "v: too new")


def test_names_that_a_database_cannot_hold_are_stored_all_the_same(store: EventStore) -> None:
    nasty = "a\0b'; DROP TABLE events; --%s?"
    store.add([arrived(1, identity=Identity(IdentityState.KNOWN, nasty, 0.9), label="x\0y")])
    (row,) = reading.events(store.database, reading.EventQuery())
    assert row.subject == nasty.replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert [one.seq for one in reading.events(store.database, reading.EventQuery(subject=row.subject))] == [1]


def test_several_ingests_on_one_database_lose_nothing_and_agree_on_the_mark(connect: Callable[[], HubDatabase]) -> None:
    count, workers = 240, 4
    EventStore(connect()).prepare()
    marks: list[int] = []

    def work(number: int) -> None:
        store = EventStore(connect())
        for start in range(number, count, workers * 3):
            batch = [arrived(seq + 1) for seq in range(start, min(count, start + workers * 3), workers)]
            marks.append(store.add(batch[::-1]).marks["porch", 3])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(marks) == count
    rows = list(reading.events(connect(), reading.EventQuery()))
    assert sorted(row.seq for row in rows) == list(range(1, count + 1))


def test_events_are_found_by_device_camera_subject_and_time(store: EventStore) -> None:
    alice = Identity(IdentityState.KNOWN, "alice", 0.9)
    store.add(
        [
            arrived(1, time=100.0, started=99.0),
            arrived(2, time=200.0, started=199.0, identity=alice),
            arrived(3, time=300.0, started=299.0, camera="hall"),
            arrived(1, device="yard", time=150.0, started=149.0),
        ]
    )

    def found(**wanted: object) -> list[tuple[str, int]]:
        return [(row.device, row.seq) for row in reading.events(store.database, reading.EventQuery(**wanted))]

    assert found() == [("porch", 1), ("yard", 1), ("porch", 2), ("porch", 3)]
    assert found(device="yard") == [("yard", 1)]
    assert found(subject="alice") == [("porch", 2)]
    assert found(camera="hall", type="new") == [("porch", 3)]
    assert found(since=150.0, until=300.0) == [("yard", 1), ("porch", 2)]
    newest = reading.events(store.database, reading.EventQuery(), 2, latest=True)
    assert [(row.device, row.seq) for row in newest] == [("porch", 3), ("porch", 2)]


def test_pages_meet_without_gap_or_overlap(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 3)
    store.add([arrived(seq, time=float(seq // 4), started=0.0) for seq in range(1, 12)])
    for latest in (False, True):
        seqs = [row.seq for row in reading.events(store.database, reading.EventQuery(), latest=latest)]
        assert seqs == sorted(seqs, reverse=latest)
        assert len(seqs) == 11
    assert len(list(reading.events(store.database, reading.EventQuery(), 7))) == 7


def test_the_fleet_shows_what_each_device_said_last(store: EventStore) -> None:
    stats = {"outbox": {"waiting": 4, "lost": 1}, "cameras": {"door": {"status": "live"}}}
    said = {
        "status": {"online": True},
        "info": {"version": "1.2"},
        "stats": stats,
        "reported": {"release": "r7", "phase": "committed"},
    }
    documents = [Document("porch", kind, json.dumps(body), 50.0) for kind, body in said.items()]
    store.add([arrived(1, time=40.0, started=39.0), arrived(1, device="yard", time=41.0, started=39.0)], documents)
    porch, yard = reading.fleet(store.database)
    assert (porch.device, porch.online, porch.release, porch.version) == ("porch", True, "r7", "1.2")
    assert (porch.backlog, porch.lost, porch.cameras) == (4, 1, {"door": "live"})
    assert (porch.last_event, porch.heard) == (40.0, 50.0)
    assert (yard.device, yard.online, yard.last_event) == ("yard", None, 41.0)


def test_old_events_go_when_they_are_told_to(store: EventStore) -> None:
    store.add([arrived(1, time=100.0, started=99.0), arrived(2, time=200.0, started=199.0)])
    assert store.forget_before(150.0) == 1
    assert [row.seq for row in reading.events(store.database, reading.EventQuery())] == [2]


def test_a_clock_that_was_wrong_makes_no_event_old_before_its_time_and_keeps_none_for_ever(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, now = 86400.0, 2_000_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    store.add(
        [
            arrived(1, time=17.0, clock="unsynced"),  # a board without a clock, that has just started
            arrived(2, time=now - 40 * day),  # waited for long in an outbox
            arrived(3, time=now - 5 * day),
            arrived(4, time=now + 3000 * day),
        ]
    )

    def kept_after(days: float) -> list[int]:
        monkeypatch.setattr(time, "time", lambda: now + days * day)
        store.forget_before(now + (days - 30) * day)
        return sorted(row.seq for row in reading.events(store.database, reading.EventQuery()))

    assert kept_after(0) == [1, 3, 4]
    assert kept_after(29) == [1, 4]
    assert kept_after(31) == []


def test_what_could_not_be_read_is_not_kept_for_ever_either(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    store.add([Arrived("porch", 3, 1, 0, '{"v":2}', None, "v: too new")])

    def unreadable() -> list[tuple[object, ...]]:
        with store.database.transaction() as transaction:
            return list(transaction.execute("SELECT seq FROM unreadable"))

    assert store.forget_before(999.0) == 0
    assert unreadable() == [(1,)]
    assert store.forget_before(1001.0) == 1
    assert unreadable() == []


def test_exports_hold_every_event(store: EventStore, tmp_path: Path) -> None:
    store.add([arrived(seq, identity=Identity(IdentityState.KNOWN, "=1+1", 0.5)) for seq in range(1, 8)])
    rows = reading.events(store.database, reading.EventQuery())
    assert reading.write_csv(tmp_path / "events.csv", rows) == 7
    lines = (tmp_path / "events.csv").read_text().splitlines()
    assert lines[0].startswith("device,epoch,seq,type")
    assert len(lines) == 8
    assert ",'=1+1," in lines[1]  # no formula to a spreadsheet
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'rekognition-edge[hub]'")
    assert reading.write_parquet(tmp_path / "events.parquet", reading.events(store.database, reading.EventQuery())) == 7
    table = parquet.read_table(tmp_path / "events.parquet")
    assert table.column("seq").to_pylist() == list(range(1, 8))
    assert table.column("subject").to_pylist()[0] == "=1+1"


def test_a_database_that_is_away_is_weather(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'rekognition-edge[hub]'")
    store = EventStore(databases.connect("postgresql://nobody:hush@127.0.0.1:1/edge", tmp_path))
    with pytest.raises(TransientError) as raised:
        store.add([arrived(1)])
    assert "hush" not in str(raised.value)


def test_a_full_disk_is_weather(tmp_path: Path) -> None:
    blocked = tmp_path / "hub.sqlite"
    blocked.mkdir()
    with pytest.raises(TransientError):
        EventStore(databases.connect(str(blocked), tmp_path)).add([arrived(1)])


def test_another_kind_of_database_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        databases.connect("mysql://user:hush@host/x", tmp_path)
    assert "hush" not in str(raised.value)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_order_they_come_in_the_mark_is_the_end_of_what_is_complete(data: st.DataObject) -> None:
    seqs = sorted(data.draw(st.sets(st.integers(1, 60), max_size=30)))
    steps = list(zip(seqs, [0, *seqs], strict=False))
    came = data.draw(st.lists(st.sampled_from(steps), max_size=60)) if steps else []
    mark = contiguous(0, came)
    missing = [seq for seq in seqs if (seq, dict(steps)[seq]) not in came]
    first = min(missing, default=10_000)
    assert mark == max([seq for seq in seqs if seq < first], default=0)


@pytest.mark.parametrize(
    ("text", "expected"), [("2h", 92800.0), ("1d", 13600.0), ("1763800000", 1763800000.0), ("90s", 99910.0)]
)
def test_times_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert reading.moment(text, now=100000.0) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "12", "2026-13-01", "2 h"])
def test_times_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        reading.moment(text)
