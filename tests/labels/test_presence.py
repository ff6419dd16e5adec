"""When a label of the whole picture is there."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.labels.presence import STAYS, LabelPresence

THRESHOLDS = np.array([0.5, 0.3], np.float32)


def a_dwell() -> LabelPresence:
    return LabelPresence(("cat", "dog"), THRESHOLDS, votes=2, confirm_seconds=0.3, lost_seconds=2.0)


def look(dwell: LabelPresence, cat: float, dog: float, now: float) -> set[str]:
    return set(dwell.look(np.array([cat, dog], np.float32), now))


def test_a_label_is_there_after_as_many_looks_and_as_long_as_it_needs() -> None:
    dwell = a_dwell()
    assert look(dwell, 0.9, 0.0, 10.0) == set()
    assert dwell.undecided
    assert look(dwell, 0.9, 0.0, 10.2) == set(), "two looks, but not long enough"
    assert look(dwell, 0.9, 0.0, 10.4) == {"cat"}
    assert not dwell.undecided


def test_one_look_alone_says_nothing() -> None:
    dwell = a_dwell()
    for number in range(20):
        assert look(dwell, 0.9 if number % 2 else 0.1, 0.0, float(number)) == set()


def test_a_label_goes_only_after_it_was_missed_for_long() -> None:
    dwell = a_dwell()
    for now in (0.0, 1.0):
        look(dwell, 0.9, 0.0, now)
    assert look(dwell, 0.0, 0.0, 2.0) == {"cat"}
    assert look(dwell, 0.0, 0.0, 2.5) == {"cat"}
    assert look(dwell, 0.0, 0.0, 3.0) == set()


def test_a_label_that_is_there_stays_a_little_below_its_threshold() -> None:
    dwell = a_dwell()
    for now in (0.0, 1.0):
        look(dwell, 0.6, 0.0, now)
    for now in range(2, 20):
        assert look(dwell, 0.5 * STAYS + 0.01, 0.0, float(now)) == {"cat"}


def test_another_version_goes_on_with_what_it_knows() -> None:
    dwell = a_dwell()
    dwell.go_on({"dog": 0.7, "bird": 0.9}, 5.0)
    assert dwell.look(np.array([0.0, 0.4], np.float32), 6.0) == {"dog": np.float32(0.4)}


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), max_size=40))
def test_what_is_there_was_said_by_two_looks_in_a_row(rows: list[tuple[float, float]]) -> None:
    dwell, before, earlier = a_dwell(), set[str](), (0.0, 0.0)
    for number, row in enumerate(rows):
        there = look(dwell, *row, float(number))
        for i, name in enumerate(("cat", "dog")):
            if name in there - before:
                assert min(row[i], earlier[i]) >= THRESHOLDS[i]
        before, earlier = there, row
