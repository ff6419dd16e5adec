"""When tracks are looked at, and what becomes of the looks."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.settings.vision import RecognitionSettings
from edge.core.types import Box, Embedding, IdentityState, Match, Point, Quality, Space, Track
from edge.pipeline.tracking.embedding_schedule import SPACING, EmbeddingScheduler, frontality, schedule
from edge.pipeline.tracking.identity_voting import VotingRules

RULES = VotingRules(lambda match: 30.0 * (match.similarity - 0.2), lambda: 6.0, margin=0.06, votes=2, good_quality=0.4)
"""a cosine of .4 is what a name needs"""
SPACE = Space("ab" * 32, "litert", 1, 4)
ANN, BOB, STRANGER, TWINS = (
    [Match("1", "ann", 0.6), Match("2", "bob", 0.2)],
    [Match("2", "bob", 0.6), Match("1", "ann", 0.2)],
    [Match("1", "ann", 0.1)],
    [Match("1", "ann", 0.5), Match("2", "bob", 0.49)],
)


def a_track(number: int = 1, size: float = 0.2, seen: float = 0.0, hits: int = 5) -> Track:
    return Track(
        f"1-{number}", "door", "face", Box(0.1, 0.1, 0.1 + size, 0.1 + size), 0.9, 0.0, seen, 0.0, 0.0, hits=hits
    )


def an_embedding(matches: list[Match], quality: float = 0.8) -> Embedding:
    """Of a face that looks like whom it matches best."""
    face = {"ann": 0, "bob": 1}.get(matches[0].name, 2) if matches and matches[0].similarity > 0.3 else 3
    return Embedding(np.eye(4, dtype=np.float32)[face], SPACE, Quality(quality))


class Watched:
    """A track that is looked at whenever it asks, at 10 frames a second."""

    def __init__(self, **changes: float) -> None:
        self.settings = RecognitionSettings(**changes)
        self.looks = EmbeddingScheduler(RULES, self.settings, "staff")
        self.track = a_track()
        self.now = 0.0
        self.asked: list[float] = []

    def watch(self, seconds: float, matches: list[Match], size: float = 0.2, quality: float = 0.8) -> int:
        """Embeddings spent."""
        before = len(self.asked)
        for _ in range(round(seconds * 10)):
            self.now = round(self.now + 0.1, 3)
            self.track.seen, self.track.box = self.now, Box(0.1, 0.1, 0.1 + size, 0.1 + size)
            if self.looks.wants(self.track, self.now) is not None:
                self.asked.append(self.now)
                self.looks.add(self.track, matches, an_embedding(matches, quality), self.now)
        return len(self.asked) - before


def test_somebody_who_stays_costs_two_embeddings_and_a_refresh() -> None:
    watched = Watched(refresh_seconds=10)
    assert watched.watch(1, ANN) == 2
    assert watched.track.identity.subject == "ann"
    assert watched.watch(29, ANN) == 2


def test_a_track_that_is_not_seen_in_the_frame_asks_for_nothing() -> None:
    looks = EmbeddingScheduler(RULES, RecognitionSettings())
    assert looks.wants(a_track(seen=1.0), 1.5) is None
    assert looks.wants(a_track(seen=1.5), 1.5) is not None


def test_a_first_sighting_waits_for_the_second_unless_one_vote_is_enough() -> None:
    assert EmbeddingScheduler(RULES, RecognitionSettings()).wants(a_track(hits=1), 0.0) is None
    assert EmbeddingScheduler(RULES, RecognitionSettings(votes=1)).wants(a_track(hits=1), 0.0) is not None


def test_an_undecided_track_asks_at_growing_intervals_and_rests_after_its_attempts() -> None:
    watched = Watched(attempts=8, refresh_seconds=30)
    watched.watch(25, TWINS)
    assert watched.track.identity.state is IdentityState.UNCERTAIN
    gaps = [b - a for a, b in zip(watched.asked, watched.asked[1:], strict=False)]
    assert len(watched.asked) == 8
    assert all(later >= earlier - 0.11 for earlier, later in itertools.pairwise(gaps))
    assert gaps[-1] > 4 * gaps[0]


def test_a_track_that_rested_is_looked_at_once_every_refresh() -> None:
    watched = Watched(attempts=3, refresh_seconds=5)
    watched.watch(3, TWINS)
    assert watched.watch(20, TWINS) == 4


def test_an_unknown_who_comes_closer_is_looked_at_again_at_once() -> None:
    watched = Watched(refresh_seconds=60)
    watched.watch(6, STRANGER)
    assert watched.track.identity.state is IdentityState.UNKNOWN
    assert watched.watch(1, STRANGER) == 0
    assert watched.watch(0.2, STRANGER, size=0.3) == 1
    assert watched.watch(1, STRANGER, size=0.3) == 0


def test_somebody_who_turns_to_the_camera_for_a_second_and_a_half_is_named() -> None:
    """A clip in which the best looks came after the first ones had made a stranger of the singer."""
    watched = Watched(refresh_seconds=10)
    watched.watch(1.5, STRANGER, quality=0.3)
    assert watched.track.identity.state is IdentityState.UNKNOWN
    watched.watch(1.5, ANN)
    assert (watched.track.identity.state, watched.track.identity.subject) == (IdentityState.KNOWN, "ann")


def test_a_stranger_who_stays_costs_the_attempts_and_then_a_look_every_refresh() -> None:
    watched = Watched(attempts=12, refresh_seconds=10)
    assert watched.watch(60, STRANGER) <= 12 + 5
    assert watched.track.identity.state is IdentityState.UNKNOWN


def test_a_known_track_that_comes_closer_is_left_alone() -> None:
    watched = Watched(refresh_seconds=60)
    watched.watch(1, ANN)
    assert watched.watch(2, ANN, size=0.5) == 0


def test_a_refresh_that_disagrees_is_followed_up_until_the_name_is_settled() -> None:
    watched = Watched(refresh_seconds=10)
    watched.watch(9, ANN)
    watched.watch(4, BOB)
    assert (watched.track.identity.state, watched.track.identity.subject) == (IdentityState.KNOWN, "bob")


def test_a_known_track_is_looked_at_again_once_it_has_left_another() -> None:
    watched = Watched(refresh_seconds=60)
    watched.watch(1, ANN)
    watched.track.mingled = watched.now + 0.1
    assert watched.watch(0.1, ANN) == 0, "while they touch, a look may show either"
    assert watched.watch(0.1, BOB) == 1
    assert watched.watch(2, BOB) >= 2
    assert watched.track.identity.subject == "bob"


def test_a_crop_not_worth_embedding_waits_but_costs_no_attempt() -> None:
    looks, track = EmbeddingScheduler(RULES, RecognitionSettings(attempts=1)), a_track()
    looks.decline(0.0)
    track.seen = SPACING / 2
    assert looks.wants(track, track.seen) is None
    for track.seen in (1.0, 2.0, 3.0, 4.0):
        assert looks.wants(track, track.seen) is not None
        looks.decline(track.seen)


def test_whoever_turned_away_for_long_is_seen_within_a_second_of_turning_back() -> None:
    looks, track, now = EmbeddingScheduler(RULES, RecognitionSettings()), a_track(), 0.0
    for _ in range(200):
        now = track.seen = now + 0.1
        if looks.wants(track, now) is not None:
            looks.decline(now)
    looks.decline(now)
    track.seen = now + 1.0
    assert looks.wants(track, track.seen) is not None


def test_tracks_whose_crops_are_declined_leave_the_budget_to_others() -> None:
    away, new = a_track(1, size=0.5), a_track(2)
    looks = {track.id: EmbeddingScheduler(RULES, RecognitionSettings()) for track in (away, new)}
    looks[away.id].decline(0.0)
    away.seen = new.seen = 1.0
    assert schedule([away, new], looks, 1.0, 1) == [new]


def test_a_changed_collection_is_asked_at_once() -> None:
    watched = Watched(refresh_seconds=60)
    watched.watch(5, STRANGER)
    watched.looks.reopen()
    assert watched.watch(1, ANN) >= 2
    assert watched.track.identity.subject == "ann"


def test_the_budget_goes_to_the_open_questions_first() -> None:
    known, new = a_track(1), a_track(2)
    looks = {track.id: EmbeddingScheduler(RULES, RecognitionSettings(refresh_seconds=10)) for track in (known, new)}
    for now in (0.0, 1.0):
        looks[known.id].add(known, ANN, an_embedding(ANN), now)
    known.seen = new.seen = 20.0
    assert schedule([known, new], looks, 20.0, 1) == [new]
    assert schedule([known, new], looks, 20.0, 4) == [new, known]


def test_tracks_without_looks_are_not_scheduled() -> None:
    assert schedule([a_track()], {}, 0.0, 4) == []


def test_a_face_in_profile_is_a_worse_view() -> None:
    track = a_track()
    track.landmarks = (Point(0.3, 0.4), Point(0.5, 0.4), Point(0.4, 0.5), Point(0.3, 0.6), Point(0.5, 0.6))
    frontal = frontality(track)
    track.landmarks = (Point(0.3, 0.4), Point(0.5, 0.4), Point(0.49, 0.5), Point(0.3, 0.6), Point(0.5, 0.6))
    assert frontality(track) < 0.3 < frontal == 1.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([ANN, BOB, STRANGER, TWINS]), st.floats(0.1, 0.6)), max_size=300),
    st.integers(1, 12),
    st.sampled_from([0.03, 0.2, 1.0]),
)
def test_whatever_is_seen_a_track_keeps_within_its_attempts(
    frames: list[tuple[list[Match], float]], attempts: int, interval: float
) -> None:
    refresh = 5.0
    looks, track, asked = (
        EmbeddingScheduler(RULES, RecognitionSettings(attempts=attempts, refresh_seconds=refresh)),
        a_track(),
        [],
    )
    for n, (matches, size) in enumerate(frames):
        now = n * interval
        track.seen, track.box = now, Box(0.1, 0.1, 0.1 + size, 0.1 + size)
        if looks.wants(track, now) is not None:
            asked.append(now)
            looks.add(track, matches, an_embedding(matches), now)
    series = 1 + (len(frames) * interval) / refresh
    assert len(asked) <= attempts * series + series
    assert all(sum(start <= a < start + refresh for a in asked) <= 2 * attempts + 1 for start in asked)
    assert all(b - a >= SPACING - 1e-9 for a, b in itertools.pairwise(asked))
