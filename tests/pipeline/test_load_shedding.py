"""The order in which work is given up: never another one, never swinging, always back in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.settings.vision import SheddingSettings as Limits
from edge.pipeline import load_shedding as shedding
from edge.pipeline.load_shedding import LADDER, NOTHING, STEADY, TOP, WORDS, EmbeddingPace, LoadShedder, Measured

LIMITS = Limits()
TICK = 2.0

measured = st.builds(
    Measured,
    latency=st.none() | st.floats(0, 4),
    temperature=st.none() | st.floats(20, 100),
    throttled=st.sampled_from([(), (), ("under_voltage",), ("throttled", "soft_temperature_limit")]),
)
weather = st.lists(st.tuples(st.integers(1, 60), measured), max_size=12)
"""how often each state of the board is seen, one after the other"""


def changes(made: LoadShedder, seen: Iterable[Measured], start: float = 0.0) -> list[tuple[float, int]]:
    """(time, new level) of each change while the board is seen so, every two seconds."""
    found = []
    for number, one in enumerate(seen):
        now = start + TICK * number
        if made.step(now, one):
            found.append((now, made.level))
    return found


def spread(phases: list[tuple[int, Measured]]) -> list[Measured]:
    return [one for times, one in phases for _ in range(times)]


def reacting(board: Callable[[int], Measured], seconds: float) -> list[tuple[float, int]]:
    """The changes before a board whose state follows from the level."""
    made = LoadShedder(LIMITS)
    moments = (TICK * number for number in range(int(seconds / TICK)))
    return [(now, made.level) for now in moments if made.step(now, board(made.level))]


@settings(deadline=None, max_examples=60)
@given(weather)
def test_each_change_is_one_step_of_the_declared_order(phases: list[tuple[int, Measured]]) -> None:
    levels = [0, *(level for _, level in changes(LoadShedder(LIMITS), spread(phases)))]

    assert all(abs(after - before) == 1 and 0 <= after <= TOP for before, after in pairwise(levels))


def test_each_level_gives_up_what_the_one_before_does_and_more() -> None:
    for before, after in pairwise(LADDER):
        assert after.rate <= before.rate
        assert after.regions <= before.regions
        assert after.embeddings is not None or before.embeddings is None
        assert after != before
    given_up = [
        [name for name, whole in zip(("rate", "regions", "embeddings"), _whole(one), strict=True) if not whole]
        for one in LADDER
    ]
    assert given_up == [[], ["rate"], ["rate"], ["rate", "regions"], ["rate", "regions", "embeddings"]]
    assert len(WORDS) == len(LADDER)


def _whole(shed: shedding.ShedLevel) -> tuple[bool, bool, bool]:
    return shed.rate == 1, shed.regions, shed.embeddings is None


@settings(deadline=None, max_examples=60)
@given(weather)
def test_a_step_waits_for_lasting_pressure_and_a_step_back_for_lasting_room(
    phases: list[tuple[int, Measured]],
) -> None:
    timed = [(0.0, 0), *changes(LoadShedder(LIMITS), spread(phases))]

    for (earlier, before), (later, after) in pairwise(timed):
        assert later - earlier >= (LIMITS.worsen_seconds if after > before else LIMITS.recover_seconds)


@settings(deadline=None, max_examples=60)
@given(weather, st.one_of(st.none(), st.floats(20, LIMITS.temperature - LIMITS.cooler)))
def test_whatever_was_once_the_board_is_cool_and_quick_everything_is_taken_up_again(
    phases: list[tuple[int, Measured]], temperature: float | None
) -> None:
    made, seen = LoadShedder(LIMITS), spread(phases)
    changes(made, seen)
    start = TICK * len(seen)
    calm = [Measured(0.1, temperature)] * int((TOP + 1) * STEADY / TICK)

    assert changes(made, calm, start) == [] or made.level == 0
    assert (made.level, made.shed, made.why) == (0, NOTHING, "")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 2), min_size=TOP + 1, max_size=TOP + 1), st.floats(40, 110), st.floats(0, 8))
def test_a_load_at_the_edge_does_not_make_it_swing(latencies: list[float], hot: float, cooling: float) -> None:
    latencies = sorted(latencies, reverse=True)
    hours = 2.0
    found = reacting(lambda level: Measured(latencies[level], hot - cooling * level), hours * 3600)

    # up the ladder once, then one try and one failure for each doubling of the wait, then once in ten minutes
    once_in = STEADY + LIMITS.worsen_seconds
    doublings = 6
    assert len(found) <= TOP + 2 * (doublings + hours * 3600 / once_in)
    last_hour = [level for now, level in found if now >= 3600]
    assert max(last_hour, default=0) - min(last_hour, default=0) <= 1


def test_what_is_between_pressure_and_room_changes_nothing() -> None:
    made = LoadShedder(LIMITS)
    changes(made, [Measured(temperature=85.0)] * 4)
    level = made.level

    assert level == 1
    assert changes(made, [Measured(temperature=77.0, latency=0.8)] * 5000, 100.0) == []


def test_one_slow_moment_costs_nothing() -> None:
    slow, quick = Measured(latency=3.0), Measured(latency=0.1)

    assert changes(LoadShedder(LIMITS), [slow, slow, quick] * 100) == []


def test_why_is_told_in_words_and_with_the_latest_figures() -> None:
    made = LoadShedder(LIMITS)
    changes(made, [Measured(0.2, 82.4, ("under_voltage",))] * 4)
    assert made.why == "82 °C, 80 at most, under voltage"

    made.step(100.0, Measured(1.5, 75.0))
    assert made.why == "a frame takes 1.50 s, 1.00 at most"


def test_heat_is_given_time_to_fall_before_the_next_step() -> None:
    hot = changes(LoadShedder(LIMITS), [Measured(temperature=90.0)] * 60)
    slow = changes(LoadShedder(LIMITS), [Measured(latency=9.0)] * 60)

    assert [level for _, level in hot] == [level for _, level in slow] == [1, 2, 3, 4]
    assert hot[-1][0] >= 3 * shedding.HEAT_SECONDS > slow[-1][0]


@settings(deadline=None, max_examples=60)
@given(st.floats(0.2, 60), st.sampled_from([0.5, 0.25]), st.floats(0, 0.2))
def test_a_camera_keeps_its_share_of_frames_and_one_a_second_where_it_has_that(
    fps: float, share: float, jitter: float
) -> None:
    pace, frames = EmbeddingPace(fps), max(10, int(60 * fps))
    moments = [(number + jitter * (number % 3 - 1)) / fps for number in range(frames)]
    through = sum(pace.due(moment, share) for moment in moments)

    wanted = max(fps * share, min(fps, shedding.SLOWEST)) / fps * frames
    assert 0.75 * wanted - 2 <= through <= 1.34 * wanted + 2


def test_every_frame_is_due_while_nothing_is_shed() -> None:
    pace = EmbeddingPace(5.0)

    assert all(pace.due(moment, 1.0) for moment in (0.0, 0.01, 0.02, 0.02, 5.0))
