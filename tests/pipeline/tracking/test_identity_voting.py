"""Looks become names: evidence added up, correlated looks counted less, and names taken back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.types import Identity, IdentityState, Match
from edge.pipeline.tracking.identity_voting import IdentityVotes, VotingRules

if TYPE_CHECKING:
    from edge.core.types import FloatArray

NAMES = ("ann", "bob", "cid", "dan")
KNOWN, RETRACTED, UNKNOWN = IdentityState.KNOWN, IdentityState.RETRACTED, IdentityState.UNKNOWN
UNCERTAIN, PENDING = IdentityState.UNCERTAIN, IdentityState.PENDING
NEEDED = 6.0


def by_cosine(match: Match) -> float:
    """No evidence at .2, that of a name at .4."""
    return 30.0 * (match.similarity - 0.2)


def rules(votes: int = 2, margin: float = 0.06, good: float = 0.3) -> VotingRules:
    return VotingRules(by_cosine, lambda: NEEDED, margin, votes, good)


RULES = rules()


def looks_like(**similarities: float) -> list[Match]:
    """Matches, best first, by subject."""
    found = [Match(f"face of {name}", name, similarity) for name, similarity in similarities.items()]
    return sorted(found, key=lambda match: -match.similarity)


STRANGER = looks_like(ann=0.15, bob=0.12)
ANN, BOB = looks_like(ann=0.62, bob=0.2), looks_like(bob=0.6, ann=0.22)


def a_face(number: int, pose: float = 0.0) -> FloatArray:
    """A unit vector: faces of two numbers have nothing in common, poses of one have the cosine of their difference."""
    vector = np.zeros(64, np.float32)
    vector[2 * number], vector[2 * number + 1] = math.cos(pose), math.sin(pose)
    return vector


def after(*looks: Sequence[Match], quality: float = 0.8, rules: VotingRules = RULES) -> Identity:
    return [*all_after(*looks, quality=quality, rules=rules)][-1]


def all_after(*looks: Sequence[Match], quality: float = 0.8, rules: VotingRules = RULES) -> list[Identity]:
    counted = IdentityVotes(rules, "staff")
    return [counted.add(look, quality) for look in looks]


def test_a_track_without_looks_is_pending() -> None:
    assert IdentityVotes(RULES, "staff").identity == Identity(collection="staff")


def test_two_agreeing_looks_make_a_name_with_its_evidence() -> None:
    first, second = all_after(ANN, looks_like(ann=0.55, bob=0.3))
    assert first.state is PENDING
    assert second == Identity(KNOWN, "ann", 0.62, 0.2, "face of ann", "staff", likeness=0.0)


def test_one_look_is_enough_only_where_the_setting_says_so() -> None:
    assert after(looks_like(ann=0.95)).state is PENDING
    assert after(ANN, rules=rules(votes=1)).subject == "ann"


def test_many_unknown_looks_and_two_that_agree_are_unknown() -> None:
    wrong = looks_like(tom=0.95, ann=0.1)
    assert after(*[STRANGER] * 5, wrong).state is UNKNOWN
    assert after(wrong, *[STRANGER] * 5).state is UNKNOWN
    assert after(*[STRANGER] * 3, wrong, *[STRANGER] * 2).state is UNKNOWN
    assert after(*[STRANGER] * 5, wrong, wrong).state is UNKNOWN
    assert after(STRANGER, wrong, wrong, *[STRANGER] * 4).state is UNKNOWN


def test_a_name_needs_the_share_of_the_looks_and_not_two_that_agree() -> None:
    strong = looks_like(ann=0.9, bob=0.1)
    assert after(STRANGER, STRANGER, strong, strong).state is not KNOWN
    assert after(STRANGER, STRANGER, strong, strong, strong, strong).state is KNOWN


def test_evidence_of_looks_that_differ_adds_up_and_that_of_the_same_look_does_not() -> None:
    weak = looks_like(ann=0.36, bob=0.1)
    poses = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    same, other = IdentityVotes(RULES), IdentityVotes(RULES)
    assert {same.add(weak, 0.8, a_face(0, pose / 100)).state for pose in poses * 20} == {PENDING, UNCERTAIN}
    assert [other.add(weak, 0.8, a_face(0, pose)).state for pose in poses][-1] is KNOWN


def test_look_alikes_stay_uncertain() -> None:
    twins = looks_like(ann=0.60, bob=0.57)
    assert after(twins, twins, twins, twins).state is UNCERTAIN
    one, other = looks_like(ann=0.60, bob=0.52), looks_like(bob=0.60, ann=0.52)
    assert {i.state for i in all_after(*[one, other] * 5)} <= {PENDING, UNCERTAIN}


def test_several_faces_of_the_best_subject_are_no_runner_up() -> None:
    faces = [Match(str(n), "ann", 0.6 - n / 100) for n in range(5)]
    assert after(faces, faces) == Identity(KNOWN, "ann", 0.6, None, "0", "staff", likeness=0.0)


def test_a_face_without_a_subject_is_known_by_its_id() -> None:
    assert after([Match("f-1", None, 0.7)], [Match("f-1", None, 0.7)]).subject == "f-1"


def test_less_than_a_name_needs_is_uncertain() -> None:
    assert after(*[looks_like(ann=0.33, bob=0.1)] * 3) == Identity(
        UNCERTAIN, "ann", 0.33, 0.1, "face of ann", "staff", likeness=0.0
    )


def test_an_empty_collection_makes_everybody_unknown() -> None:
    assert after([], [], []) == Identity(UNKNOWN, None, -1.0, collection="staff")


def test_an_unknown_may_become_known() -> None:
    states = [identity.state for identity in all_after(*[STRANGER] * 3, *[ANN] * 5)]
    assert states[2] is UNKNOWN
    assert states[-1] is KNOWN


def test_what_a_name_needs_is_asked_anew_at_each_look() -> None:
    needed = 6.0
    votes = IdentityVotes(VotingRules(by_cosine, lambda: needed))
    assert [votes.add(ANN, 0.8).state, votes.add(ANN, 0.8).state] == [PENDING, KNOWN]
    needed = 100.0
    assert [votes.add(STRANGER, 0.8).state, votes.add(STRANGER, 0.8).state] == [KNOWN, RETRACTED]


def test_one_look_does_not_take_a_name_back() -> None:
    for other in (STRANGER, BOB):
        assert after(ANN, ANN, other).state is KNOWN


def test_later_looks_that_speak_against_a_name_retract_it() -> None:
    looks = [looks_like(ann=0.45, bob=0.1)] * 3 + [STRANGER] * 6
    states = [identity.state for identity in all_after(*looks)]
    assert states[2] is KNOWN
    assert RETRACTED in states
    assert states[-1] is not KNOWN


def test_poor_looks_that_still_lean_to_the_name_leave_it() -> None:
    lean = looks_like(ann=0.33, bob=0.2)
    assert after(ANN, ANN, *[lean] * 20).state is KNOWN


def test_a_blurred_look_weighs_less_than_a_sharp_one() -> None:
    votes = IdentityVotes(RULES)
    for matches, quality in ((ANN, 0.9), (ANN, 0.9), (STRANGER, 0.2), (STRANGER, 0.2), (STRANGER, 0.2)):
        identity = votes.add(matches, quality)
    assert identity.state is KNOWN


def test_poor_looks_support_a_name_and_never_make_one() -> None:
    assert after(*[ANN] * 20, quality=0.2).state is UNCERTAIN
    votes = IdentityVotes(RULES)
    states = [votes.add(ANN, quality).state for quality in (0.2, 0.2, 0.2, 0.8, 0.8)]
    assert states[-2:] == [UNCERTAIN, KNOWN]


def test_a_track_that_changes_hands_takes_the_name_back_before_it_gives_another() -> None:
    votes = IdentityVotes(RULES)
    seen = [(ANN, a_face(0, number / 10)) for number in range(6)] + [
        (BOB, a_face(1, number / 10)) for number in range(8)
    ]
    identities = [votes.add(look, 0.8, vector) for look, vector in seen]
    story = [(i.state, i.subject) for n, i in enumerate(identities) if n == 0 or i.state != identities[n - 1].state]
    assert story == [(PENDING, None), (KNOWN, "ann"), (RETRACTED, "ann"), (KNOWN, "bob")]
    assert identities[9].state is not KNOWN or identities[9].subject == "bob", "four looks at somebody else are enough"


def test_a_track_that_a_stranger_takes_over_ends_unknown_by_way_of_retracted() -> None:
    for known in (4, 100):
        states = [i.state for i in all_after(*[ANN] * known, *[STRANGER] * 12)]
        assert RETRACTED in states
        assert KNOWN not in states[states.index(RETRACTED) :]
        assert states[-1] is UNKNOWN


def test_after_a_change_of_the_collection_one_look_does_not_take_the_name() -> None:
    votes = IdentityVotes(RULES)
    votes.add(ANN, 0.8)
    votes.add(ANN, 0.8)
    votes.forget()
    assert votes.add(STRANGER, 0.8).state is KNOWN
    assert votes.add(STRANGER, 0.8).state is RETRACTED


def test_an_erased_subject_is_in_no_look_and_no_name() -> None:
    votes = IdentityVotes(RULES, "staff")
    votes.add(ANN, 0.8)
    votes.add(ANN, 0.8)
    assert votes.erase("ann")
    assert votes.identity == Identity(collection="staff")
    assert not votes.erase("ann")


class Crowd:
    """Scores of one visitor against everybody enrolled, as calibrated: normal, of deviation 1, and correlated.

    A stranger's mean against each subject is 0, the subject's own is ``SAME`` higher: so the evidence of a score z is
    ``SAME * z - SAME**2 / 2``.
    """

    SAME = 5.0

    def __init__(self, subjects: int, correlation: float, seed: int, own: int | None = None) -> None:
        self._chance = np.random.default_rng(seed)
        self._own, self._correlation, self._subjects = own, correlation, subjects
        self._pair = self._chance.normal(size=subjects)

    def look(self) -> list[Match]:
        apart = self._chance.normal(size=self._subjects)
        scores = math.sqrt(self._correlation) * self._pair + math.sqrt(1 - self._correlation) * apart
        if self._own is not None:
            scores[self._own] += self.SAME
        best = np.argsort(-scores)[:5].tolist()
        return [Match(f"f{i}", f"s{i}", float(scores[i]) / 10) for i in best]

    @classmethod
    def rules(cls, false_names: float, subjects: int) -> VotingRules:
        def evidence(match: Match) -> float:
            return min(14.0, max(-6.0, cls.SAME * 10 * match.similarity - cls.SAME**2 / 2))

        least = -NormalDist().inv_cdf(false_names / subjects) / 10
        return VotingRules(evidence, lambda: evidence(Match("", "", least)))


def named_by(looks: Sequence[int], correlation: float, subjects: int, false_names: float, visits: int) -> list[float]:
    """The share of strangers who were ever given a name within so many looks."""
    counted = [0] * len(looks)
    for seed in range(visits):
        crowd, votes = Crowd(subjects, correlation, seed), IdentityVotes(Crowd.rules(false_names, subjects))
        first = None
        for number in range(1, looks[-1] + 1):
            if votes.add(crowd.look(), 0.8, a_face(0) if correlation > 0.9 else None).state is KNOWN:
                first = number
                break
        for i, many in enumerate(looks):
            counted[i] += first is not None and first <= many
    return [count / visits for count in counted]


@pytest.mark.parametrize(
    "correlation", [pytest.param(0.2, marks=pytest.mark.long), 0.6, pytest.param(0.95, marks=pytest.mark.long)]
)
def test_the_chance_of_a_name_does_not_grow_with_the_length_of_a_strangers_stay(correlation: float) -> None:
    short, long = named_by((12, 150), correlation, subjects=10, false_names=0.05, visits=400)
    assert long <= 0.05 * 1.3
    assert long <= short + 0.0075, "three of 400"


@pytest.mark.parametrize("subjects", [1, 30])
def test_the_right_name_comes_with_the_first_looks(subjects: int) -> None:
    rules, waits = Crowd.rules(0.001, subjects), []
    for seed in range(200):
        crowd, votes = Crowd(subjects, 0.6, seed, own=0), IdentityVotes(rules)
        waits.append(next((n for n in range(1, 13) if votes.add(crowd.look(), 0.8).subject == "s0"), 99))
    assert sorted(waits)[100] <= 4
    assert sum(wait < 99 for wait in waits) >= 0.95 * 200


cosines = st.floats(-1, 1, allow_nan=False)
matches = st.dictionaries(st.sampled_from(NAMES), cosines, max_size=4).map(lambda found: looks_like(**found))
looks = st.lists(st.tuples(matches, st.floats(0, 1)), max_size=25)
some_rules = st.builds(rules, st.integers(1, 4), st.floats(0, 0.2), st.floats(0, 0.5))


def played(played_looks: list[tuple[list[Match], float]], by: VotingRules) -> list[Identity]:
    votes = IdentityVotes(by)
    return [votes.add(found, quality) for found, quality in played_looks]


@given(looks, some_rules, st.permutations(NAMES))
def test_what_subjects_are_called_never_matters(
    seen: list[tuple[list[Match], float]], by: VotingRules, others: list[str]
) -> None:
    other = dict(zip(NAMES, others, strict=True))
    renamed = [([Match(m.face_id, other[m.name], m.similarity) for m in found], q) for found, q in seen]
    expected = [(i.state, other[i.subject] if i.subject else None, i.similarity) for i in played(seen, by)]
    assert [(i.state, i.subject, i.similarity) for i in played(renamed, by)] == expected


@given(st.lists(st.floats(0, 1), max_size=20), some_rules, st.data())
def test_unknown_looks_never_make_a_name(qualities: list[float], by: VotingRules, data: st.DataObject) -> None:
    votes = IdentityVotes(by)
    for quality in qualities:
        below = st.dictionaries(st.sampled_from(NAMES), st.floats(-1, 0.2, exclude_max=True), max_size=4)
        identity = votes.add(looks_like(**data.draw(below)), quality)
        assert identity.subject is None


@given(looks, some_rules, matches)
def test_unknown_looks_never_turn_what_is_not_a_name_into_one(
    seen: list[tuple[list[Match], float]], by: VotingRules, found: list[Match]
) -> None:
    votes = IdentityVotes(by)
    for one, quality in seen:
        votes.add(one, quality)
    before = votes.identity
    after_it = votes.add([Match(m.face_id, m.subject, min(m.similarity, 0.19)) for m in found], 1.0)
    assert before.state is KNOWN or after_it.state is not KNOWN


@given(looks, some_rules)
def test_a_name_has_as_many_good_looks_as_are_asked_for(seen: list[tuple[list[Match], float]], by: VotingRules) -> None:
    known_before = False
    for number, identity in enumerate(played(seen, by), 1):
        if identity.state is KNOWN and not known_before:
            good = [found for found, quality in seen[:number] if quality >= by.good_quality and found]
            assert sum(found[0].name == identity.subject for found in good) >= by.votes
        known_before |= identity.state is KNOWN


@given(looks, some_rules)
def test_a_name_ends_only_by_being_retracted(seen: list[tuple[list[Match], float]], by: VotingRules) -> None:
    before = Identity()
    for identity in played(seen, by):
        if before.state is KNOWN:
            assert identity.state in (KNOWN, RETRACTED)
            assert identity.subject == before.subject
        if identity.state is RETRACTED:
            assert before.state in (KNOWN, RETRACTED)
        before = identity


@pytest.mark.parametrize("votes", [1, 2, 3, 5])
def test_fewer_votes_than_set_never_make_a_name(votes: int) -> None:
    identities = all_after(*[ANN] * votes, rules=rules(votes))
    assert [i.state is KNOWN for i in identities] == [False] * (votes - 1) + [True]
