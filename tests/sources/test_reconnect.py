from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import plugins as registry
from edge.core.errors import SourceError
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame, Picture
from edge.sources.base import CameraState
from edge.sources.reconnect import Backoff, reconnecting

PICTURE = Picture(np.zeros((2, 2, 3), np.uint8), "rgb", 2, 2)


class Flaky:
    """A live camera whose openings go as ``plan`` says: a number of frames, then an error or (None) the end."""

    live = True
    name = "flaky"
    plan: list[tuple[int, str | None]] = []  # noqa: RUF012
    opened = closed = 0

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self._camera = camera

    def frames(self) -> Iterator[Frame]:
        count, problem = type(self).plan[type(self).opened % len(type(self).plan)]
        type(self).opened += 1
        for sequence in range(count):
            yield Frame(self._camera.name, sequence, float(sequence), 0.0, PICTURE)
        if problem is not None:
            raise SourceError(problem)

    def close(self) -> None:
        type(self).closed += 1


class Stored(Flaky):
    """The same, but stored."""

    live = False


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Flaky, Stored):
        monkeypatch.setattr(kind, "opened", 0)
        monkeypatch.setattr(kind, "closed", 0)
    monkeypatch.setattr(
        registry, "load", lambda kind, table, name: {"flaky": Flaky, "stored": Stored}[name.split(":")[0]]
    )


QUICK = {"first": 0.001, "most": 0.001}


def run(
    plan: list[tuple[int, str | None]], count: int, source: str = "flaky:x"
) -> tuple[list[Frame], list[CameraState]]:
    Flaky.plan = Stored.plan = plan
    states: list[CameraState] = []
    frames = reconnecting(
        CameraSettings(name="door", source=source), threading.Event(), states.append, Backoff(**QUICK)
    )
    return list(itertools.islice(frames, count)), states


def test_sequences_go_on_across_reopening() -> None:
    frames, states = run([(3, "cable pulled"), (0, "not yet"), (4, None)], 9)
    assert [frame.sequence for frame in frames] == list(range(9))
    words = [(state.state, state.reason) for state in states]
    assert words == [
        ("connecting", ""), ("live", ""), ("lost", "cable pulled"),
        ("connecting", ""), ("lost", "not yet"),
        ("connecting", ""), ("live", ""), ("lost", "flaky ended"),
        ("connecting", ""), ("live", ""),
    ]  # fmt: skip


def test_every_opened_source_is_closed() -> None:
    run([(1, "a"), (0, "b")], 4)
    assert Flaky.closed >= Flaky.opened - 1 >= 6


def test_only_the_first_failure_of_a_streak_is_loud_and_the_recovery_counts_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "edge.sources.reconnect")
    run([(1, "gone"), (0, "gone"), (0, "gone"), (2, None)], 3)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("WARNING", "camera door is lost: gone"),
        ("DEBUG", "camera door is lost: gone"),
        ("DEBUG", "camera door is lost: gone"),
        ("INFO", "camera door is back after 3 failures"),
    ]


def test_credentials_in_a_reason_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    _, states = run([(1, "cannot open rtsp://admin:hunter2@host/s"), (1, None)], 2)
    assert "rtsp://***@host/s" in states[2].reason
    assert "hunter2" not in caplog.text


def test_a_stored_source_ends_once() -> None:
    frames, states = run([(3, None)], 100, "stored:x")
    assert len(frames) == 3
    assert [state.state for state in states] == ["connecting", "live"]


def test_a_stored_source_that_cannot_be_read_is_not_tried_again() -> None:
    with pytest.raises(SourceError, match="no such file"):
        run([(0, "no such file")], 1, "stored:x")
    assert (Stored.opened, Stored.closed) == (1, 1)


def test_stopping_ends_the_wait_at_once() -> None:
    Flaky.plan = [(0, "gone")]
    stop = threading.Event()
    frames = reconnecting(
        CameraSettings(source="flaky:x"),
        stop,
        lambda state: stop.set() if state.state == "lost" else None,
        Backoff(first=3600),
    )
    assert list(frames) == []


def test_stopping_ends_a_camera_that_delivers() -> None:
    Flaky.plan = [(10**9, None)]
    stop = threading.Event()
    frames = reconnecting(CameraSettings(source="flaky:x"), stop, lambda _: None)
    next(frames)
    stop.set()
    assert len(list(frames)) <= 1
    assert Flaky.closed == 1


@given(chances=st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_pauses_grow_to_a_limit_and_are_never_the_same_for_all(chances: list[float]) -> None:
    drawn = iter(chances)
    backoff = Backoff(1.0, 30.0, lambda: next(drawn))
    for number in range(len(chances)):
        whole = min(30.0, 2.0**number)
        assert whole / 2 <= backoff.next() <= whole


def test_a_camera_that_works_again_starts_with_short_pauses() -> None:
    backoff = Backoff(1.0, 30.0, lambda: 0.0)
    pauses = [backoff.next() for _ in range(4)]
    backoff.reset()
    assert [*pauses, backoff.next()] == [1.0, 2.0, 4.0, 8.0, 1.0]
