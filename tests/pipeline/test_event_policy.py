from itertools import count, groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.settings.vision import CameraSettings, LabelSettings, TrackingSettings
from edge.core.types import Box, Event, Frame, Identity, IdentityState, Picture, Track
from edge.pipeline.event_policy import UPDATE_SPACING, EventPolicy

KNOWN = Identity(IdentityState.KNOWN, "ann", 0.6, 0.2, "f-1", "staff")
UNCERTAIN, UNKNOWN = Identity(IdentityState.UNCERTAIN, "ann", 0.3), Identity(IdentityState.UNKNOWN)
RETRACTED = Identity(IdentityState.RETRACTED, "ann", 0.6)
LABELS = {"face": LabelSettings(), "person": LabelSettings(score=0.5, min_size=0.1, max_size=0.9)}


def a_frame(now: float) -> Frame:
    return Frame("door", 0, now, 1e9 + now, Picture(None, "rgb", 1, 1), video_time=now)  # type: ignore[arg-type]


def a_track(name: str = "1-1", label: str = "face", height: float = 0.2, confirmed: bool = True) -> Track:
    box = Box(0.4, 0.4, 0.5, 0.4 + height)
    return Track(name, "door", label, box, 0.8, 0.0, 0.0, 1e9, 1e9, hits=3, top_score=0.8, confirmed=confirmed)


def a_policy(**camera: object) -> EventPolicy:
    return EventPolicy(CameraSettings(name="door", **camera), LABELS, TrackingSettings(update_seconds=60))  # type: ignore[arg-type]


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type, event.track) for event in events]


@pytest.mark.parametrize("state", ["uncertain", "retracted"])
def test_a_name_in_doubt_is_told_only_where_the_settings_want_it(state: str) -> None:
    def told(**wanted: bool) -> list[Identity]:
        policy, track = EventPolicy(CameraSettings(name="door"), LABELS, TrackingSettings(), **wanted), a_track()
        track.identity = Identity(IdentityState(state), "alice", 0.5, 0.4, "f-1", "faces")
        (event,) = policy.events([track], [], a_frame(0))
        (present,) = policy.presence(0.0).tracks
        (end,) = policy.events([], [track], a_frame(1))
        return [event.identity, present.identity, end.identity]

    assert told() == [Identity(IdentityState(state), None, 0.5, 0.4, None, "faces")] * 3
    assert told(doubtful_names=True) == [Identity(IdentityState(state), "alice", 0.5, 0.4, "f-1", "faces")] * 3


def test_a_confirmed_track_is_new_once_and_ends_once() -> None:
    policy, track = a_policy(), a_track(confirmed=False)
    assert policy.events([track], [], a_frame(0.0)) == []
    track.confirmed, track.identity = True, UNKNOWN
    assert told(policy.events([track], [], a_frame(0.3))) == [("new", "1-1")]
    assert policy.events([track], [], a_frame(0.5)) == []
    track.seen_time = 1e9 + 0.5
    (end,) = policy.events([], [track], a_frame(2.6), clock="unsynced", release="r7")
    assert end == Event(
        "end", "door", "1-1", "face", 0.8, track.box, UNKNOWN, (), 1e9 + 2.6, 1e9, 1e9 + 0.5, "unsynced", "r7", "left",
        2.6,
    )  # fmt: skip
    assert policy.events([], [track], a_frame(3.0)) == []


def test_a_track_that_was_never_new_has_no_end() -> None:
    assert a_policy().events([], [a_track(confirmed=False)], a_frame(1.0)) == []


def test_an_identity_decided_later_is_an_update() -> None:
    policy, track = a_policy(), a_track()
    policy.events([track], [], a_frame(0.0))
    track.identity = KNOWN
    (update,) = policy.events([track], [], a_frame(0.2))
    assert (update.type, update.identity) == ("update", KNOWN)
    track.identity = RETRACTED
    assert told(policy.events([track], [], a_frame(0.4))) == [("update", "1-1")]


def test_a_better_look_at_the_same_name_is_no_news() -> None:
    policy, track = a_policy(), a_track()
    track.identity = KNOWN
    policy.events([track], [], a_frame(0.0))
    track.identity = Identity(IdentityState.KNOWN, "ann", 0.8)
    assert policy.events([track], [], a_frame(5.0)) == []


def test_doubts_wait_for_the_next_update() -> None:
    policy, track = a_policy(), a_track()
    policy.events([track], [], a_frame(0.0))
    track.identity = UNCERTAIN
    assert policy.events([track], [], a_frame(UPDATE_SPACING / 2)) == []
    assert told(policy.events([track], [], a_frame(UPDATE_SPACING))) == [("update", "1-1")]


def test_a_change_of_zones_is_an_update() -> None:
    policy, track = a_policy(), a_track()
    policy.events([track], [], a_frame(0.0))
    track.zones = frozenset({"mat", "door"})
    (update,) = policy.events([track], [], a_frame(2.0))
    assert (update.type, update.zones) == ("update", ("door", "mat"))


def test_a_track_that_does_not_change_is_told_again_after_its_time() -> None:
    policy, track = a_policy(), a_track()
    kinds = [told(policy.events([track], [], a_frame(now))) for now in range(125)]
    assert [now for now, kind in enumerate(kinds) if kind] == [0, 60, 120]


@pytest.mark.parametrize(
    ("height", "score", "reported"), [(0.05, 0.8, 0), (0.2, 0.8, 1), (0.95, 0.8, 0), (0.2, 0.4, 0)]
)
def test_size_and_score_of_the_label_decide(height: float, score: float, reported: int) -> None:
    track = a_track(label="person", height=height)
    track.top_score = score
    assert len(a_policy().events([track], [], a_frame(0.0))) == reported


def test_labels_that_do_not_matter_are_not_told() -> None:
    assert a_policy().events([a_track(label="cat")], [], a_frame(0.0)) == []


def test_only_a_track_that_entered_a_required_zone_is_told_and_then_to_its_end() -> None:
    square = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5))
    policy, track = a_policy(zones={"mat": square, "yard": square}, required_zones=("mat",)), a_track(confirmed=False)
    track.zones = frozenset({"mat"})
    assert policy.events([track], [], a_frame(0.0)) == []
    track.zones, track.confirmed = frozenset({"yard"}), True
    assert told(policy.events([track], [], a_frame(1.0))) == [("new", "1-1")]
    stays_out = a_track("1-2")
    assert policy.events([track, stays_out], [], a_frame(1.5)) == []
    assert told(policy.events([], [track, stays_out], a_frame(3.0))) == [("end", "1-1")]


def test_a_face_that_a_person_holds_is_told_by_the_person() -> None:
    policy, face, person = a_policy(), a_track("1-1"), a_track("1-2", "person")
    face.holder = person.id
    assert told(policy.events([face, person], [], a_frame(0.0))) == [("new", "1-2")]
    assert told(policy.events([], [face, person], a_frame(3.0))) == [("end", "1-2")]


def test_a_face_told_before_somebody_held_it_goes_on_to_its_end() -> None:
    policy, face, person = a_policy(), a_track("1-1"), a_track("1-2", "person")
    policy.events([face], [], a_frame(0.0))
    face.holder, face.identity = person.id, KNOWN
    assert told(policy.events([face, person], [], a_frame(1.0))) == [("update", "1-1"), ("new", "1-2")]
    assert told(policy.events([person], [face], a_frame(2.0))) == [("end", "1-1")]


def test_a_face_whose_holder_is_gone_is_told_itself() -> None:
    policy, face = a_policy(), a_track("1-1")
    face.holder = "1-2"
    assert told(policy.events([face], [], a_frame(0.0))) == [("new", "1-1")]


def test_finish_ends_everything_that_was_told_with_its_reason() -> None:
    policy, told_track, silent = a_policy(), a_track("1-1"), a_track("1-2", confirmed=False)
    policy.events([told_track, silent], [], a_frame(0.0))
    ends = policy.finish([silent], 5.0, 1e9 + 5, "stopped")
    assert [(end.type, end.track, end.reason) for end in ends] == [("end", "1-1", "stopped")]
    assert policy.finish([told_track], 6.0, 1e9 + 6) == []


def test_presence_says_who_and_what_was_told_and_is_there() -> None:
    policy, ann, cat = a_policy(), a_track("1-1"), a_track("1-2", "person")
    ann.identity, ann.zones = KNOWN, frozenset({"mat"})
    policy.events([ann, cat, a_track("1-3", confirmed=False)], [], a_frame(0.0))
    before = policy.presence(1e9)
    assert [one.track for one in before.tracks] == ["1-1", "1-2"]
    assert (before.subjects, before.counts) == (("ann",), {"face": 1, "person": 1})
    ann.box = Box(0.0, 0.0, 0.3, 0.3)
    assert before.says_the_same(policy.presence(1e9 + 1))
    ann.identity = RETRACTED
    assert not before.says_the_same(policy.presence(1e9 + 1))
    policy.events([], [ann, cat], a_frame(9.0))
    assert policy.presence(1e9 + 9).tracks == ()


class Chaos:
    """Tracks that come, change and go as the numbers say."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.live: list[Track] = []

    def step(self, choices: list[tuple[int, int]]) -> tuple[list[Track], list[Track]]:
        ended = []
        for what, which in choices:
            if what == 0 or not self.live:
                label = ("face", "person", "cat")[which % 3]
                self.live.append(a_track(f"1-{next(self.numbers)}", label, confirmed=which % 2 == 0))
                continue
            track = self.live[which % len(self.live)]
            if what == 1:
                self.live.remove(track)
                ended.append(track)
            elif what == 2:
                track.confirmed = True
            elif what == 3:
                track.identity = (Identity(), KNOWN, UNCERTAIN, UNKNOWN, RETRACTED)[which % 5]
            elif what == 4:
                track.zones = frozenset({"mat"} if which % 2 else ())
            else:
                track.holder = self.live[(which + 1) % len(self.live)].id if which % 3 else None
        return list(self.live), ended


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=5), st.floats(0, 90))),
    st.booleans(),
)
def test_every_new_has_one_end_and_nothing_comes_before_or_after(
    frames: list[tuple[list[tuple[int, int]], float]], zoned: bool
) -> None:
    square = {"mat": ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5))}
    policy = a_policy(zones=square, required_zones=("mat",) if zoned else ())
    chaos, now, events = Chaos(), 0.0, []
    for choices, pause in frames:
        now += pause
        events += policy.events(*chaos.step(choices), a_frame(now))
        present = {one.track for one in policy.presence(now).tracks}
        assert present <= {track.id for track in chaos.live}
    events += policy.finish(chaos.live[::2], now, now)
    for _, story in groupby(sorted(events, key=lambda event: event.track), key=lambda event: event.track):
        kinds = [event.type for event in story]
        assert kinds == ["new"] + ["update"] * (len(kinds) - 2) + ["end"]
