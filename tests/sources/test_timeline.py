from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.av import LONGEST_STEP, Timeline


def times(*stamps: float | None) -> list[float]:
    timeline = Timeline(0.04)
    return [timeline.at(stamp) for stamp in stamps]


def test_time_counts_from_the_first_frame() -> None:
    assert times(10.0, 10.04, 10.08, 11.0) == pytest.approx([0.0, 0.04, 0.08, 1.0])


def test_missing_timestamps_are_a_period_apart() -> None:
    assert times(None, None, None) == pytest.approx([0.0, 0.04, 0.08])
    assert times(5.0, None, 5.08) == pytest.approx([0.0, 0.04, 0.08])


def test_timestamps_that_wrap_go_on() -> None:
    assert times(95443.6, 95443.64, 0.0, 0.04) == pytest.approx([0.0, 0.04, 0.08, 0.12])


def test_a_jump_of_a_day_is_not_waited_for() -> None:
    assert times(0.0, 0.04, 86400.0, 86400.04) == pytest.approx([0.0, 0.04, 0.08, 0.12])


def test_a_pause_that_the_duration_allows_is_kept() -> None:
    timeline = Timeline(0.2, duration=303.0)
    assert [timeline.at(stamp) for stamp in (0.0, 2.8, 303.0, 305.8)] == pytest.approx([0.0, 2.8, 303.0, 305.8])


def test_a_jump_past_the_duration_is_a_broken_timestamp() -> None:
    timeline = Timeline(0.2, duration=303.0)
    assert [timeline.at(stamp) for stamp in (0.0, 400.0, 400.2)] == pytest.approx([0.0, 0.2, 0.4])


@given(st.lists(st.none() | st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_time_never_goes_back_and_never_far_ahead(stamps: list[float | None]) -> None:
    got = times(*stamps)
    assert got[0] == 0.0
    assert all(0 <= later - earlier <= LONGEST_STEP + 1e-6 for earlier, later in itertools.pairwise(got))
