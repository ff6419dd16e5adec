"""What was put is there until it was delivered: after a restart, in order, within its bounds."""

from __future__ import annotations

import math
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rigs.events import ALICE, an_event
from rigs.waiting import eventually

from edge.core.errors import InputError
from edge.core.settings.messaging import OutboxSettings
from edge.core.types import Box, Event, Identity, IdentityState, Queued
from edge.mqtt.outbox import store as codec
from edge.mqtt.outbox.outbox import Outbox

NOW = OutboxSettings(commit_seconds=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Outbox]]:
    """Opens the outbox, as often as a test likes."""
    made: list[Outbox] = []

    def open_it(**changes: object) -> Outbox:
        made.append(Outbox(path, NOW.model_copy(update=changes)))
        return made[-1]

    yield open_it
    for outbox in made:
        outbox.close()


def types(items: list[Queued]) -> list[tuple[str, str]]:
    return [(item.event.track, item.event.type) for item in items]


def test_what_was_put_is_there_after_a_restart_with_the_same_keys(opened: Callable[..., Outbox]) -> None:
    first = opened()
    first.put([an_event("new"), an_event("update", identity=ALICE), an_event("end")])
    before = first.read(0, 10)
    epoch = first.epoch
    first.close()
    again = opened()
    assert again.read(0, 10) == before
    assert [item.seq for item in before] == [1, 2, 3]
    assert [item.after for item in before] == [0, 1, 2]
    assert before[1].event.identity == ALICE
    assert {item.epoch for item in before} == {epoch} != {again.epoch}


def test_the_session_counts_the_starts(opened: Callable[..., Outbox]) -> None:
    sessions = []
    for _ in range(3):
        outbox = opened()
        sessions.append(outbox.session)
        outbox.close()
    assert sessions == [1, 2, 3]


def test_only_the_owner_may_read_the_file(opened: Callable[..., Outbox], path: Path) -> None:
    opened().put([an_event("new")])
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_a_new_file_has_a_new_epoch(tmp_path: Path) -> None:
    epochs = set()
    for number in range(5):
        outbox = Outbox(tmp_path / str(number) / "outbox.db", NOW)
        epochs.add(outbox.epoch)
        outbox.close()
    assert len(epochs) == 5
    assert all(1 <= epoch < 2**31 for epoch in epochs)


def test_done_events_leave_and_their_seq_never_comes_again(opened: Callable[..., Outbox]) -> None:
    outbox = opened()
    outbox.put([an_event("new"), an_event("end")])
    outbox.done(item.key for item in outbox.read(0, 10))
    assert outbox.read(0, 10) == []
    outbox.close()
    again = opened()
    assert again.read(0, 10) == []
    again.put([an_event("new", "9-1")])
    assert [item.seq for item in again.read(0, 10)] == [3]


def test_the_hubs_mark_removes_what_it_passed(opened: Callable[..., Outbox]) -> None:
    outbox = opened()
    outbox.put([an_event("new", f"1-{number}") for number in range(10)])
    assert outbox.passed(outbox.epoch, 7)
    assert [item.seq for item in outbox.read(0, 99)] == [8, 9, 10]
    assert not outbox.passed(outbox.epoch, 11)
    assert outbox.passed(outbox.epoch + 1, 9)
    assert [item.seq for item in outbox.read(0, 99)] == [8, 9, 10]
    assert eventually(lambda: outbox.stats().waiting == 3)


def test_a_track_that_the_last_run_left_open_is_closed_at_the_next_start(opened: Callable[..., Outbox]) -> None:
    first = opened()
    first.put([an_event("new", "1-1"), an_event("new", "1-2"), an_event("update", "1-2", identity=ALICE)])
    first.put([an_event("end", "1-1")])
    first.close()
    items = opened().read(0, 10)
    assert types(items) == [("1-1", "new"), ("1-2", "new"), ("1-2", "update"), ("1-1", "end"), ("1-2", "end")]
    closing = items[-1].event
    assert (closing.reason, closing.identity, closing.ended) == ("restart", ALICE, closing.time)


def test_a_track_is_closed_once_however_often_the_daemon_starts(opened: Callable[..., Outbox]) -> None:
    outbox = opened()
    outbox.put([an_event("new", "1-1")])
    for _ in range(3):
        outbox.close()
        outbox = opened()
    assert types(outbox.read(0, 10)) == [("1-1", "new"), ("1-1", "end")]


def test_a_delivered_new_is_closed_as_well(opened: Callable[..., Outbox]) -> None:
    first = opened()
    first.put([an_event("new", "1-1")])
    first.done([first.read(0, 1)[0].key])
    first.close()
    assert types(opened().read(0, 10)) == [("1-1", "end")]


def test_updates_coalesce_only_while_told_so_and_never_across_tracks_or_names(opened: Callable[..., Outbox]) -> None:
    outbox = opened()
    outbox.put([an_event("new", "1-1"), an_event("new", "1-2"), an_event("update", "1-1"), an_event("update", "1-1")])
    assert len(outbox.read(0, 99)) == 4
    outbox.coalesce = True
    outbox.put([an_event("update", "1-2"), an_event("update", "1-1", identity=ALICE)])
    outbox.put([an_event("update", "1-1", identity=ALICE), an_event("update", "1-1", identity=ALICE)])
    outbox.put([an_event("end", "1-1", identity=ALICE)])
    assert types(outbox.read(0, 99)) == [
        ("1-1", "new"),
        ("1-2", "new"),
        ("1-2", "update"),
        ("1-1", "update"),
        ("1-1", "end"),
    ]
    assert outbox.stats().coalesced == 4
    assert outbox.stats().waiting == 5
    assert outbox.stats().lost == 0


def test_updates_that_have_waited_too_long_go_whatever_their_time_says(
    opened: Callable[..., Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_796_000_000.0]
    monkeypatch.setattr("edge.mqtt.outbox.outbox.trusted_now", lambda _: now[0])
    first = opened()
    first.put([an_event("new"), an_event("update", time=5.0)])
    first.close()
    second = opened()  # notes how far the outbox is
    second.put([an_event("update", "7-2", time=1600000001.0), an_event("update", "7-3", time=9e9)])
    second.close()
    now[0] += 25 * 3600
    third = opened()
    assert types(third.read(0, 99)) == [
        ("7-1", "new"), ("7-1", "end"), ("7-2", "update"), ("7-3", "update"), ("7-2", "end"), ("7-3", "end"),
    ]  # fmt: skip
    assert third.stats().expired == 1


def test_past_the_cap_the_oldest_go_updates_first_and_the_loss_is_counted(
    opened: Callable[..., Outbox], path: Path
) -> None:
    outbox = opened(max_bytes=1 << 20, commit_seconds=0.05)
    for number in range(150):
        track = f"1-{number}"
        outbox.put([an_event("new", track), an_event("update", track, label="x" * 200)] * 10)
    assert eventually(lambda: outbox.stats().lost > 0)
    outbox.put([an_event("end", "1-149")])
    assert eventually(lambda: outbox.read(outbox.last - 1, 1)[-1:] and outbox.stats().waiting > 100)
    outbox.close()
    again = opened(max_bytes=1 << 20)
    stats, items = again.stats(), again.read(0, 100_000)
    assert stats.waiting == len(items)
    assert stats.lost + len(items) >= 3001
    assert items[-1].event.type == "end" or ("1-149", "end") in types(items)
    assert sum(file.stat().st_size for file in path.parent.iterdir()) <= (1 << 20) + 64 * 1024
    kinds = [item.event.type for item in items]
    assert kinds.count("new") > kinds.count("update")


def test_an_event_that_is_no_json_is_refused_and_loses_no_other(opened: Callable[..., Outbox]) -> None:
    outbox = opened()
    with pytest.raises(InputError, match="door"):
        outbox.put([an_event("new"), an_event("end", score=math.nan)])
    outbox.put([an_event("new", "2-2")])
    assert types(outbox.read(0, 9)) == [("2-2", "new")]


def test_put_of_nothing_is_nothing(opened: Callable[..., Outbox]) -> None:
    outbox = opened()
    outbox.put([])
    assert outbox.stats().waiting == 0


def test_reading_skips_cameras_and_done_events_and_finds_a_track(opened: Callable[..., Outbox]) -> None:
    outbox = opened()
    outbox.put([an_event("new", f"1-{number}", camera="ab"[number % 2]) for number in range(20)])
    assert {item.event.camera for item in outbox.read(0, 99, without=["a"])} == {"b"}
    outbox.done(item.key for item in outbox.read(0, 15))
    assert [item.seq for item in outbox.read(0, 3)] == [16, 17, 18]
    assert [item.seq for item in outbox.of_track("b", "1-17", 99)] == [18]


def test_events_of_a_commit_window_share_a_write_and_are_not_given_out_before_it(opened: Callable[..., Outbox]) -> None:
    outbox = opened(commit_seconds=10)
    outbox.put([an_event("new", "1-1")])
    assert eventually(lambda: len(outbox.read(0, 9)) == 1)
    outbox.put([an_event("new", "1-2")])
    outbox.put([an_event("new", "1-3")])
    assert len(outbox.read(0, 9)) == 1
    outbox.close()
    assert len(opened().read(0, 9)) == 6


@pytest.mark.parametrize("how", ["garbage", "empty", "truncated", "zeros in the middle"])
def test_a_damaged_file_is_set_aside_and_work_goes_on(
    how: str, opened: Callable[..., Outbox], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = opened()
    first.put([an_event("new", f"1-{number}") for number in range(500)])
    epoch = first.epoch
    first.close()
    whole = path.read_bytes()
    damaged = {
        "garbage": b"this is not a database " * 1000,
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "zeros in the middle": whole[:8192] + bytes(len(whole) - 16384) + whole[-8192:],
    }[how]
    path.write_bytes(damaged)
    second = opened()
    assert second.stats().state == "ok"
    assert second.epoch != epoch
    second.put([an_event("new", "2-1")])
    assert types(second.read(0, 9)) == [("2-1", "new")]
    if how != "empty":
        assert path.with_name("outbox.db.damaged-1").read_bytes() == damaged
        assert "set aside" in caplog.text


def test_a_disk_that_breaks_the_file_again_and_again_is_not_filled_with_what_was_set_aside(
    opened: Callable[..., Outbox], path: Path
) -> None:
    opened().close()
    for number in range(7):
        path.write_bytes(b"damage %d " % number * 1000)
        opened().close()
    aside = sorted(path.parent.glob("*.damaged-*"))
    assert [file.name for file in aside] == [f"outbox.db.damaged-{number}" for number in (5, 6, 7)]
    assert aside[-1].read_bytes() == b"damage 6 " * 1000


def test_one_damaged_row_costs_one_event(opened: Callable[..., Outbox], path: Path) -> None:
    first = opened()
    first.put([an_event("new", f"1-{number}") for number in range(3)])
    first.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE events SET body = '{\"type\": 5' WHERE position = 2")
        database.execute("DELETE FROM journal")
    database.close()
    second = opened()
    assert [item.seq for item in second.read(0, 9)] == [1, 3]
    assert second.stats().lost == 1


NAMES = st.text(st.characters(codec="utf-8"), max_size=30)
FRACTIONS = st.floats(-1, 2, allow_nan=False)
EVENTS = st.builds(
    Event,
    type=st.sampled_from(["new", "update", "end"]),
    camera=NAMES,
    track=NAMES,
    label=NAMES,
    score=st.floats(0, 1),
    box=st.builds(Box, FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS),
    identity=st.builds(
        Identity,
        state=st.sampled_from(IdentityState),
        subject=st.none() | NAMES,
        similarity=st.none() | st.floats(-1, 1),
        runner_up=st.none() | st.floats(-1, 1),
        face_id=st.none() | NAMES,
        collection=st.none() | NAMES,
    ),
    zones=st.lists(NAMES, max_size=3).map(tuple),
    time=st.floats(0, 1e10),
    started=st.floats(0, 1e10),
    ended=st.none() | st.floats(0, 1e10),
    clock=st.sampled_from(["synced", "unsynced"]),
    release=NAMES,
    reason=NAMES,
    video_time=st.none() | st.floats(0, 1e6),
)


@given(EVENTS)
def test_every_event_comes_out_of_the_file_as_it_went_in(event: Event) -> None:
    assert codec.load(codec.dump(event)) == event


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_text_that_is_no_event_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        codec.load(text)


@given(data=st.data())
@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_new_gets_one_end_whatever_the_order_of_puts_and_restarts(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("outbox") / "outbox.db"
    outbox, live, number = Outbox(path, NOW), set[str](), 0
    for step in data.draw(st.lists(st.sampled_from(["new", "update", "end", "restart"]), max_size=25)):
        if step == "restart":
            outbox.close()
            outbox, live = Outbox(path, NOW), set()
        elif step == "new":
            number += 1
            live.add(f"1-{number}")
            outbox.put([an_event("new", f"1-{number}")])
        elif live:
            track = data.draw(st.sampled_from(sorted(live)))
            outbox.put([an_event(step, track)])  # type: ignore[arg-type]
            live -= {track} if step == "end" else set()
    outbox.close()
    outbox = Outbox(path, NOW)
    seen: dict[str, list[str]] = {}
    for item in outbox.read(0, 1000):
        seen.setdefault(item.event.track, []).append(item.event.type)
    outbox.close()
    assert len(seen) == number
    for kinds in seen.values():
        assert (kinds[0], kinds[-1], kinds.count("new"), kinds.count("end")) == ("new", "end", 1, 1)
