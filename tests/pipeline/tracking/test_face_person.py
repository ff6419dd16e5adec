import pytest

from edge.core.types import Box, Identity, IdentityState, Track
from edge.pipeline.tracking.face_person import CHANGE_SECONDS, FacePersonLinker, fit, merged

PENDING, KNOWN, UNKNOWN = Identity(), Identity(IdentityState.KNOWN, "ann", 0.6), Identity(IdentityState.UNKNOWN)
BOB = Identity(IdentityState.KNOWN, "bob", 0.7)
UNCERTAIN = Identity(IdentityState.UNCERTAIN, "ann", 0.35)
RETRACTED = Identity(IdentityState.RETRACTED, "ann", 0.6)


def a_track(name: str, label: str, box: Box, now: float = 0.0) -> Track:
    return Track(name, "door", label, box, 0.9, now, now, now, now)


def person(name: str, x: float) -> Track:
    return a_track(name, "person", Box(x - 0.15, 0.2, x + 0.15, 1.0))


def face(name: str, x: float, y: float = 0.3) -> Track:
    return a_track(name, "face", Box(x - 0.04, y - 0.06, x + 0.04, y + 0.06))


def see(now: float, *tracks: Track) -> None:
    for track in tracks:
        track.seen = now


def test_a_face_belongs_to_the_person_whose_box_holds_it_and_names_the_track() -> None:
    ann, bob, seen = person("p1", 0.3), person("p2", 0.7), face("f1", 0.31)
    holders = FacePersonLinker()
    holders.update([ann, bob, seen], 0.0)
    seen.identity = KNOWN
    holders.name([ann, bob, seen], 0.0)
    assert seen.holder == "p1"
    assert (ann.identity, bob.identity) == (KNOWN, PENDING)


def test_a_face_without_a_person_has_no_holder() -> None:
    ann, seen = person("p1", 0.3), face("f1", 0.8)
    FacePersonLinker().update([ann, seen], 0.0)
    assert seen.holder is None


def test_of_two_boxes_that_hold_a_face_the_one_with_the_face_on_top_wins() -> None:
    large, small = a_track("p1", "person", Box(0.2, 0.0, 0.6, 1.0)), a_track("p2", "person", Box(0.3, 0.35, 0.5, 1.0))
    seen = face("f1", 0.4, 0.45)
    FacePersonLinker().update([large, small, seen], 0.0)
    assert seen.holder == "p2"


def test_a_person_holds_one_face_and_the_second_stays_on_its_own() -> None:
    ann, first, second = person("p1", 0.3), face("f1", 0.3), face("f2", 0.4)
    holders = FacePersonLinker()
    for now in (0.0, 1.0):
        see(now, ann, first, second)
        holders.update([ann, second, first], now)
    assert {first.holder, second.holder} == {"p1", None}


def test_passing_another_person_does_not_take_the_face_along() -> None:
    ann, bob, seen = person("p1", 0.3), person("p2", 0.8), face("f1", 0.3)
    holders = FacePersonLinker()
    held = []
    for n, x in enumerate((0.8, 0.6, 0.4, 0.3, 0.1, -0.2)):
        now = n * CHANGE_SECONDS / 3
        bob.box = Box(x - 0.15, 0.2, x + 0.15, 1.0)
        see(now, ann, bob, seen)
        holders.update([ann, bob, seen], now)
        held.append(seen.holder)
    assert held == ["p1"] * 6


def test_a_face_changes_hands_when_another_person_holds_it_better_for_long() -> None:
    ann, bob, seen = person("p1", 0.3), person("p2", 0.5), face("f1", 0.3)
    holders = FacePersonLinker()
    for n in range(10):
        now = n * CHANGE_SECONDS / 4
        x = 0.3 if n == 0 else 0.43
        seen.box = Box(x - 0.04, 0.24, x + 0.04, 0.36)
        bob.box = Box(0.28, 0.2, 0.58, 1.0)
        see(now, ann, bob, seen)
        holders.update([ann, bob, seen], now)
    assert seen.holder == "p2"


def test_a_holder_that_is_hidden_for_a_moment_keeps_its_face() -> None:
    ann, seen = person("p1", 0.3), face("f1", 0.3)
    holders = FacePersonLinker()
    holders.update([ann, seen], 0.0)
    see(1.0, seen)
    holders.update([ann, seen], 1.0)
    assert seen.holder == "p1"
    holders.update([seen], 2.0)
    assert seen.holder is None


def test_a_person_keeps_the_name_when_the_face_turns_away() -> None:
    ann, seen = person("p1", 0.3), face("f1", 0.3)
    holders = FacePersonLinker()
    holders.update([ann, seen], 0.0)
    seen.identity = KNOWN
    holders.name([ann, seen], 0.0)
    see(1.0, ann)
    holders.update([ann], 1.0)
    holders.name([ann], 1.0)
    assert ann.identity == KNOWN


def test_a_further_face_of_somebody_else_takes_the_name_back_before_it_gives_its_own() -> None:
    ann, seen = person("p1", 0.3), face("f1", 0.3)
    holders = FacePersonLinker()
    holders.update([ann, seen], 0.0)
    seen.identity = KNOWN
    holders.name([ann, seen], 0.0)
    other = face("f2", 0.3)
    story = []
    for now, identity in ((1.0, PENDING), (2.0, BOB), (3.0, BOB)):
        other.identity = identity
        see(now, ann, other)
        holders.update([ann, other], now)
        holders.name([ann, other], now)
        story.append((ann.identity.state, ann.identity.subject))
    assert story == [
        (IdentityState.KNOWN, "ann"), (IdentityState.RETRACTED, "ann"), (IdentityState.KNOWN, "bob")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("of_person", "of_face", "expected"),
    [
        (PENDING, KNOWN, KNOWN),
        (PENDING, UNCERTAIN, UNCERTAIN),
        (KNOWN, UNCERTAIN, KNOWN),
        (KNOWN, UNKNOWN, RETRACTED),
        (KNOWN, BOB, RETRACTED),
        (KNOWN, RETRACTED, RETRACTED),
        (BOB, RETRACTED, BOB),
        (RETRACTED, UNKNOWN, UNKNOWN),
        (RETRACTED, BOB, BOB),
        (UNKNOWN, UNCERTAIN, UNCERTAIN),
        (UNKNOWN, RETRACTED, UNKNOWN),
    ],
)
def test_what_a_further_face_says_of_a_person(of_person: Identity, of_face: Identity, expected: Identity) -> None:
    said = merged(of_person, of_face)
    assert (said.state, said.subject) == (expected.state, expected.subject)


def test_a_face_fits_only_where_most_of_it_is_inside() -> None:
    whole, outside = Box(0.45, 0.3, 0.55, 0.42), Box(0.0, 0.3, 0.1, 0.4)
    assert fit(whole, Box(0.3, 0.25, 0.7, 1.0)) > 0.7
    assert fit(outside, Box(0.3, 0.25, 0.7, 1.0)) == 0.0
    assert fit(whole, Box(0.5, 0.5, 0.5, 0.5)) == 0.0
