import itertools
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.settings.vision import TrackingSettings
from edge.core.types import Box, Detection, Track
from edge.pipeline.tracking.association import associate, duplicates
from edge.pipeline.tracking.tracker import PATH_POINTS, Tracker, scores_to_detect

RATES = [1, 2, 5, 12, 30]


def a_tracker(scores: dict[str, float] | None = None, **changes: float) -> Tracker:
    return Tracker("door", TrackingSettings(**changes), (f"1-{n}" for n in itertools.count(1)), scores)


def box_at(x: float, y: float = 0.5, width: float = 0.1, height: float = 0.3) -> Box:
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def person(x: float, y: float = 0.5, score: float = 0.8, label: str = "person", width: float = 0.1) -> Detection:
    return Detection(label, score, box_at(x, y, width))


class Scene:
    """Plays things that move along functions of time to a tracker, and remembers every track that lived."""

    def __init__(self, tracker: Tracker | None = None) -> None:
        self.tracker = tracker or a_tracker()
        self.tracks: dict[str, Track] = {}
        self.ended: list[str] = []
        self.owners: dict[str, list[str]] = {}

    def play(self, moments: Iterable[float], things: dict[str, Callable[[float], Detection | None]]) -> None:
        for now in moments:
            seen = {name: thing(now) for name, thing in things.items()}
            update = self.tracker.update([d for d in seen.values() if d], now, 1e9 + now)
            self.ended += [track.id for track in update.ended]
            for track in update.tracks:
                self.tracks[track.id] = track
            for name, detection in seen.items():
                ids = [t.id for t in update.tracks if t.seen == now and detection and t.box == detection.box]
                self.owners.setdefault(name, []).extend(ids)

    @property
    def confirmed(self) -> list[Track]:
        return [track for track in self.tracks.values() if track.confirmed]

    def tracks_of(self, name: str) -> set[str]:
        return {track for track in self.owners[name] if self.tracks[track].confirmed}


def moments(rate: float, start: float = 0.0, end: float = 10.0) -> list[float]:
    return [start + n / rate for n in range(int((end - start) * rate) + 1)]


@pytest.mark.parametrize("rate", RATES)
def test_somebody_who_walks_by_is_one_track_at_any_frame_rate(rate: int) -> None:
    scene = Scene()
    scene.play(moments(rate), {"ann": lambda t: person(0.1 + 0.08 * t)})
    assert len(scene.tracks) == 1
    assert scene.confirmed[0].hits == 10 * rate + 1


def test_a_frame_rate_that_changes_in_the_middle_keeps_the_track() -> None:
    scene = Scene()
    times = [*moments(30, 0, 3), *moments(1, 4, 9), *moments(5, 9.2, 12), *moments(30, 12.1, 14)]
    scene.play(times, {"ann": lambda t: person(0.1 + 0.05 * t)})
    assert len(scene.tracks) == 1


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 99), max_size=60), st.sampled_from([5, 10, 30]))
def test_dropped_frames_do_not_cut_a_track_unless_it_was_out_of_sight_for_long(dropped: set[int], rate: int) -> None:
    times = [t for n, t in enumerate(moments(rate, 0, 99 / rate)) if n not in dropped]
    if any(b - a > 1.5 for a, b in itertools.pairwise(times)) or len(times) < 3:
        return
    scene = Scene()
    scene.play(times, {"ann": lambda t: person(0.1 + 0.02 * t)})
    assert len(scene.tracks) == 1


def test_confirmation_takes_seconds_and_two_detections() -> None:
    tracker = a_tracker(confirm_seconds=0.3)
    confirmed = [tracker.update([person(0.5)], now, now).tracks[0].confirmed for now in (0.0, 0.1, 0.2, 0.3, 0.4)]
    assert confirmed == [False, False, False, True, True]


def test_one_frame_a_second_confirms_with_the_second_look() -> None:
    tracker = a_tracker()
    assert not tracker.update([person(0.5)], 0.0, 0.0).tracks[0].confirmed
    assert tracker.update([person(0.5)], 1.0, 1.0).tracks[0].confirmed


def test_a_single_false_detection_is_never_confirmed_and_soon_forgotten() -> None:
    scene = Scene()
    scene.play(moments(5, 0, 3), {"ghost": lambda t: person(0.5) if t == 1.0 else None})
    assert scene.confirmed == []
    assert scene.ended == ["1-1"]
    assert scene.tracker.tracks == []


def test_a_track_is_lost_after_seconds_and_tells_when_it_was_seen_last() -> None:
    scene = Scene(a_tracker(lost_seconds=2.0))
    scene.play(moments(10, 0, 5), {"ann": lambda t: person(0.5) if t <= 1.0 else None})
    assert scene.ended == ["1-1"]
    assert scene.tracks["1-1"].seen == 1.0
    assert scene.tracks["1-1"].seen_time == 1e9 + 1.0


def test_at_one_frame_in_three_seconds_one_missed_look_does_not_lose_a_track() -> None:
    scene = Scene(a_tracker(lost_seconds=2.0))
    scene.play([0, 3, 6, 9, 12, 15, 18, 21], {"ann": lambda t: None if t == 15 else person(0.5)})
    assert len(scene.tracks) == 1


def test_who_is_hidden_for_a_second_comes_out_as_the_same_track() -> None:
    scene = Scene()
    scene.play(moments(10, 0, 6), {"ann": lambda t: None if 2.0 < t < 3.1 else person(0.1 + 0.08 * t)})
    assert len(scene.tracks) == 1


@pytest.mark.parametrize("rate", [5, 10, 30])
def test_two_people_who_cross_keep_their_tracks(rate: int) -> None:
    scene = Scene()
    scene.play(
        moments(rate, 0, 6),
        {"ann": lambda t: person(0.1 + 0.13 * t, 0.50), "bob": lambda t: person(0.9 - 0.13 * t, 0.54)},
    )
    assert len(scene.confirmed) == 2
    assert len(scene.tracks_of("ann")) == len(scene.tracks_of("bob")) == 1


def test_two_people_who_cross_while_one_hides_the_other_keep_their_tracks() -> None:
    def bob(t: float) -> Detection | None:
        x = 0.9 - 0.13 * t
        return None if abs(x - (0.1 + 0.13 * t)) < 0.09 else person(x, 0.52)

    scene = Scene()
    scene.play(moments(10, 0, 6), {"ann": lambda t: person(0.1 + 0.13 * t), "bob": bob})
    assert len(scene.confirmed) == 2
    assert len(scene.tracks_of("ann")) == len(scene.tracks_of("bob")) == 1


def test_tracks_that_touched_or_came_out_of_hiding_say_when() -> None:
    scene = Scene()
    scene.play(
        moments(10, 0, 6),
        {
            "ann": lambda t: person(0.1 + 0.08 * t),
            "bob": lambda t: person(0.9 - 0.08 * t),
            "cid": lambda t: None if 2.0 < t < 2.8 else person(0.5, 0.95),
            "dan": lambda t: person(0.9, 0.1),
        },
    )
    ann, bob, cid, dan = (scene.tracks[next(iter(scene.tracks_of(name)))] for name in ("ann", "bob", "cid", "dan"))
    assert ann.mingled == bob.mingled == pytest.approx(5.5, abs=0.15)
    assert cid.mingled == pytest.approx(2.8)
    assert dan.mingled is None


def test_in_a_row_that_moves_by_most_of_its_spacing_everybody_keeps_the_own_track() -> None:
    """Best pair first would give the second the detection of the first, and so on down the row."""
    scene = Scene()
    row = {f"p{n}": (lambda t, n=n: person(0.1 + 0.12 * n + 0.045 * t)) for n in range(5)}
    scene.play(moments(1, 0, 6), row)
    assert [len(scene.tracks_of(name)) for name in row] == [1] * 5
    assert len(scene.tracks) == 5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_trembling_boxes_with_gaps_and_doubles_make_no_storm_of_ids(seed: int) -> None:
    generator = random.Random(seed)
    tracker, ids = a_tracker({"person": 0.5}), set()
    for now in moments(10, 0, 20):
        found = []
        for x in (0.15, 0.5, 0.85):
            if generator.random() < 0.75:
                found.append(person(x + generator.gauss(0, 0.005), score=generator.uniform(0.35, 0.9)))
            if generator.random() < 0.2:
                found.append(Detection("person", 0.55, box_at(x, 0.45, 0.09, 0.2)))
        ids |= {track.id for track in tracker.update(found, now, now).tracks if track.confirmed}
    assert len(ids) == 3


def test_a_thing_whose_label_flickers_is_one_track_with_its_commonest_label() -> None:
    tracker = a_tracker()
    labels = ["truck", "car", "car", "car", "bus", "car", "truck"]
    for n, label in enumerate(labels):
        update = tracker.update([person(0.3 + 0.02 * n, label=label)], n / 5, n / 5)
    assert [(t.id, t.label) for t in update.tracks] == [("1-1", "car")]


def test_a_thing_under_two_labels_at_once_is_one_track() -> None:
    tracker = a_tracker()
    for n in range(5):
        update = tracker.update([person(0.5, label="car"), person(0.505, label="truck", score=0.7)], n / 5, n / 5)
    assert len(update.tracks) == 1


def test_a_face_inside_a_person_is_a_track_of_its_own() -> None:
    tracker = a_tracker()
    update = tracker.update([person(0.5), Detection("face", 0.9, box_at(0.5, 0.42, 0.09, 0.12))], 0.0, 0.0)
    assert sorted(track.label for track in update.tracks) == ["face", "person"]


def test_what_scores_low_continues_a_track_but_starts_none() -> None:
    tracker = a_tracker({"person": 0.5})
    assert tracker.update([person(0.5, score=0.4)], 0.0, 0.0).tracks == []
    tracker.update([person(0.5, score=0.6)], 0.1, 0.1)
    tracker.update([person(0.5, score=0.6)], 0.2, 0.2)
    track = tracker.update([person(0.51, score=0.35)], 0.3, 0.3).tracks[0]
    assert (track.hits, track.score, track.top_score) == (3, 0.35, 0.6)
    assert scores_to_detect({"person": 0.5})["person"] <= 0.35


def test_while_nothing_moves_nothing_ages() -> None:
    tracker = a_tracker(lost_seconds=2.0)
    for n in range(5):
        tracker.update([person(0.5)], n / 5, n / 5)
    for n in range(5, 500):
        assert len(tracker.still(n / 5).tracks) == 1
    update = tracker.update([person(0.5)], 100.0, 100.0)
    assert [track.id for track in update.tracks] == ["1-1"]
    assert update.ended == []


def test_a_camera_that_was_away_for_a_minute_comes_back_to_new_tracks() -> None:
    scene = Scene()
    scene.play([*moments(5, 0, 2), *moments(5, 62, 64)], {"ann": lambda t: person(0.5)})
    assert [track.started for track in scene.confirmed] == [0.0, 62.0]
    assert scene.ended == ["1-1"]


def test_a_cut_ends_every_track() -> None:
    tracker = a_tracker()
    for n in range(5):
        tracker.update([person(0.5)], n / 5, n / 5)
    assert [track.id for track in tracker.cut()] == ["1-1"]
    assert [track.id for track in tracker.update([person(0.5)], 1.0, 1.0).tracks] == ["1-2"]


def test_finish_ends_all_and_leaves_none() -> None:
    tracker = a_tracker()
    tracker.update([person(0.2), person(0.8)], 0.0, 0.0)
    assert [track.id for track in tracker.finish()] == ["1-1", "1-2"]
    assert tracker.finish() == []


def test_the_path_is_bounded() -> None:
    tracker = a_tracker()
    for n in range(3 * PATH_POINTS):
        track = tracker.update([person(0.5)], n / 10, n / 10).tracks[0]
    assert len(track.path) == PATH_POINTS


def test_a_clock_that_stands_still_or_steps_back_is_survived() -> None:
    tracker = a_tracker()
    for now in (1.0, 1.0, 0.5, 0.5, 1.2, 1.5):
        update = tracker.update([person(0.5)], now, now)
    assert len(update.tracks) == 1
    assert update.tracks[0].seen == 1.5


def test_boxes_of_no_size_and_outside_the_frame_are_survived() -> None:
    tracker = a_tracker()
    odd = [Detection("person", 0.9, Box(0.5, 0.5, 0.5, 0.5)), Detection("person", 0.9, Box(-0.4, 0.9, 0.1, 1.6))]
    for n in range(4):
        update = tracker.update(odd, n / 5, n / 5)
    assert len(update.tracks) == 2


coordinates = st.floats(0, 1, allow_nan=False)
boxes = st.builds(lambda a, b, c, d: Box(min(a, b), min(c, d), max(a, b), max(c, d)), *[coordinates] * 4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.builds(Detection, st.sampled_from(["face", "car", "bus"]), coordinates, boxes), max_size=6))
)
def test_whatever_is_detected_no_track_lives_on_after_its_end_and_no_id_comes_twice(
    frames: list[list[Detection]],
) -> None:
    tracker = a_tracker({"face": 0.5, "car": 0.3, "bus": 0.3})
    ended: set[str] = set()
    for n, found in enumerate(frames):
        update = tracker.update(found, n * 0.4, n * 0.4)
        live = [track.id for track in update.tracks]
        assert len(live) == len(set(live))
        assert ended.isdisjoint(live)
        assert ended.isdisjoint(track.id for track in update.ended)
        ended |= {track.id for track in update.ended}


@given(boxes, boxes)
def test_being_a_duplicate_is_mutual(one: Box, other: Box) -> None:
    assert duplicates(one, other) == duplicates(other, one)


def test_association_of_nothing_is_nothing() -> None:
    assert associate([], [box_at(0.5)], 0.0) == {}
    assert associate([], [], 0.0) == {}


@pytest.mark.parametrize(("rate", "cars"), [(12.5, 4), (6.25, 4), (5, 4), (2, 4)])
def test_four_cars_of_a_real_video_are_four_tracks(rate: float, cars: int) -> None:
    """Detections of yolov8n-224 (score from .15) in video/car-detection.mp4; four cars were counted by eye."""
    frames = json.loads((Path(__file__).parent / "cars.json").read_text())
    tracker, confirmed, latest = a_tracker({"car": 0.35, "truck": 0.35, "bus": 0.35}), set(), -1.0
    for seconds, found in frames:
        if seconds - latest < 1 / rate - 1e-6:
            continue
        latest = seconds
        detections = [Detection(label, score, Box(*sides)) for label, score, *sides in found]
        update = tracker.update(detections, seconds, seconds)
        confirmed |= {track.id for track in update.tracks if track.confirmed}
    assert len(confirmed) == cars
