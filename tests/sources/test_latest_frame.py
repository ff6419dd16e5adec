from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from edge.core.types import Frame, Picture
from edge.sources.latest_frame import LatestFrame

PICTURE = Picture(np.zeros((2, 2, 3), np.uint8), "rgb", 2, 2)


def a_frame(sequence: int) -> Frame:
    return Frame("door", sequence, float(sequence), float(sequence), PICTURE)


def test_only_the_newest_frame_is_kept_and_the_others_are_counted() -> None:
    latest = LatestFrame()
    for sequence in range(5):
        latest.put(a_frame(sequence))
    taken = latest.take(0)
    assert taken is not None
    assert taken.sequence == 4
    assert (latest.taken, latest.dropped) == (1, 4)


def test_a_cut_in_a_dropped_frame_is_told_by_the_next() -> None:
    latest = LatestFrame()
    latest.put(a_frame(1))
    latest.put(replace(a_frame(2), cut=True))
    latest.put(a_frame(3))
    latest.put(a_frame(4))
    taken = latest.take(0)
    assert taken is not None
    assert (taken.sequence, taken.cut) == (4, True)
    latest.put(a_frame(5))
    taken = latest.take(0)
    assert taken is not None
    assert not taken.cut


def test_nothing_is_taken_twice() -> None:
    latest = LatestFrame()
    latest.put(a_frame(1))
    assert latest.take(0) is not None
    assert latest.take(0) is None


def test_taking_waits_for_a_frame() -> None:
    latest = LatestFrame()
    threading.Timer(0.05, latest.put, [a_frame(7)]).start()
    taken = latest.take(10)
    assert taken is not None
    assert taken.sequence == 7


def test_closing_wakes_who_waits() -> None:
    latest = LatestFrame()
    threading.Timer(0.05, latest.close).start()
    assert latest.take(10) is None
    assert latest.closed


def test_the_last_frame_can_be_taken_after_closing_and_later_ones_are_dropped() -> None:
    latest = LatestFrame()
    latest.put(a_frame(1))
    latest.close()
    latest.put(a_frame(2))
    taken = latest.take()
    assert taken is not None
    assert taken.sequence == 1
    assert latest.take() is None
    assert (latest.taken, latest.dropped) == (1, 1)


def test_every_frame_is_taken_or_dropped_whoever_is_faster() -> None:
    latest, seen = LatestFrame(), []

    def take_all() -> None:
        while (frame := latest.take()) is not None:
            seen.append(frame.sequence)

    reader = threading.Thread(target=take_all)
    reader.start()
    for sequence in range(20_000):
        latest.put(a_frame(sequence))
    latest.close()
    reader.join(30)
    assert seen == sorted(set(seen))
    assert seen[-1] == 19_999
    assert latest.taken == len(seen)
    assert latest.taken + latest.dropped == 20_000
