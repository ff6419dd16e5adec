"""What is deleted by age is as old as the time that has passed, whatever the clock says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from rigs.review_faces import BOX, CROP, SPACE, look

from edge.core.settings.services import ReviewSettings, StrangerSettings
from edge.core.storage.ages import SCHEMA
from edge.core.system import trusted_time
from edge.core.system.trusted_time import ClockReading, TrustedClock
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.stranger_store import Stranger

DAY = 86400.0
NOW = 1_796_000_000.0
SETTINGS = ReviewSettings(enabled=True, days=30)
STRANGERS = StrangerSettings(enabled=True, days=30, most=2)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, float]:
    """Wall time and time since the start of the system, to be set."""
    told = {"wall": NOW, "passed": 10.0}
    own = TrustedClock(tmp_path, lambda: ClockReading("1", told["passed"], told["wall"], True))
    monkeypatch.setitem(trusted_time._clocks, tmp_path.absolute(), own)
    monkeypatch.setattr("time.time", lambda: told["wall"])
    return told


def question(clock: dict[str, float]) -> ReviewQuestion:
    where = ("door", "1-1", "face", "staff", SPACE, BOX)
    return ReviewQuestion("uncertain", clock["wall"], *where, 0.9, 0.8, "alice", (), look(0), CROP)


def stranger(clock: dict[str, float], person: int) -> Stranger:
    now = clock["wall"]
    return Stranger(0, None, "staff", "face", SPACE, now, now, 1, 0.9, look(person)[None])


def kept(state: Path) -> tuple[int, int, int]:
    with ReviewQueue(state, SETTINGS) as queue:
        queue.expire()
        queue.strangers.expire(STRANGERS)
        return queue.count(), len(queue.answers()), len(queue.strangers.all())


def fill(state: Path, clock: dict[str, float]) -> None:
    with ReviewQueue(state, SETTINGS) as queue:
        queue.put([question(clock), question(clock)])
        queue.answer(queue.doubts()[0], "confirmed", "alice")
        queue.strangers.put([stranger(clock, 3)], STRANGERS)


@pytest.mark.parametrize(
    ("first", "then"),
    [(1577836800.0, NOW), (NOW, NOW + 40 * DAY), (NOW + 400 * DAY, NOW), (NOW, 1577836800.0)],
    ids=["boots in 2020", "40 days ahead", "was ahead", "goes back to 2020"],
)
def test_a_clock_that_jumps_deletes_nothing(tmp_path: Path, clock: dict[str, float], first: float, then: float) -> None:
    clock["wall"] = first
    fill(tmp_path, clock)
    clock["wall"] = then
    clock["passed"] += 60
    assert kept(tmp_path) == (1, 1, 1)


def test_what_is_old_goes_although_the_clock_stands_still(tmp_path: Path, clock: dict[str, float]) -> None:
    fill(tmp_path, clock)
    clock["passed"] += 31 * DAY
    assert kept(tmp_path) == (0, 0, 0)


def test_the_strangers_seen_last_stay_also_where_the_clock_went_back(tmp_path: Path, clock: dict[str, float]) -> None:
    with ReviewQueue(tmp_path, SETTINGS) as queue:
        for person in (3, 4, 5):
            queue.strangers.put([stranger(clock, person)], STRANGERS)
            clock["wall"] -= 400 * DAY
            clock["passed"] += 60
        assert [one.id for one in queue.strangers.all()] == [2, 3]


def test_rows_of_an_older_version_are_counted_from_now_on(tmp_path: Path, clock: dict[str, float]) -> None:
    fill(tmp_path, clock)
    with sqlite3.connect(tmp_path / "review.sqlite") as db:
        db.execute("DROP TABLE ages")
    db.close()
    assert "CREATE TABLE IF NOT EXISTS ages" in SCHEMA
    clock["wall"] += 400 * DAY
    assert kept(tmp_path) == (1, 1, 1)
    clock["passed"] += 31 * DAY
    assert kept(tmp_path) == (0, 0, 0)
