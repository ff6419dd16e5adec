from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.types import Identity, IdentityState, Match
from edge.pipeline.tracking.identity_voting import IdentityVotes, VotingRules

RULES = VotingRules(match=0.4, uncertain=0.28, margin=0.06, votes=2)
NAMES = ("ann", "bob", "cid", "dan")
KNOWN, RETRACTED, UNKNOWN = IdentityState.KNOWN, IdentityState.RETRACTED, IdentityState.UNKNOWN


def looks_like(**similarities: float) -> list[Match]:
    """Matches, best first, by subject."""
    found = [Match(f"face of {name}", name, similarity) for name, similarity in similarities.items()]
    return sorted(found, key=lambda match: -match.similarity)


STRANGER = looks_like(ann=0.15, bob=0.12)
ANN, BOB = looks_like(ann=0.62, bob=0.2), looks_like(bob=0.6, ann=0.22)


def after(*votes: Sequence[Match], quality: float = 0.8, rules: VotingRules = RULES) -> Identity:
    return [*all_after(*votes, quality=quality, rules=rules)][-1]


def all_after(*votes: Sequence[Match], quality: float = 0.8, rules: VotingRules = RULES) -> list[Identity]:
    counted = IdentityVotes(rules, "staff")
    return [counted.add(vote, quality) for vote in votes]


def test_a_track_without_votes_is_pending() -> None:
    assert IdentityVotes(RULES, "staff").identity == Identity(collection="staff")


def test_two_agreeing_votes_make_a_name_with_its_evidence() -> None:
    first, second = all_after(ANN, looks_like(ann=0.55, bob=0.3))
    assert first.state is IdentityState.PENDING
    assert second == Identity(KNOWN, "ann", 0.62, 0.3, "face of ann", "staff")


def test_one_vote_is_enough_only_where_the_setting_says_so() -> None:
    assert after(looks_like(ann=0.95)).state is IdentityState.PENDING
    assert after(ANN, rules=VotingRules(0.4, 0.28, 0.06, votes=1)).subject == "ann"


def test_five_unknown_votes_and_one_strong_wrong_one_are_unknown() -> None:
    """Others drop the unknown votes here, and call the stranger by the one wrong name."""
    wrong = looks_like(tom=0.95, ann=0.1)
    assert after(*[STRANGER] * 5, wrong).state is UNKNOWN
    assert after(wrong, *[STRANGER] * 5).state is UNKNOWN
    assert after(*[STRANGER] * 3, wrong, *[STRANGER] * 2).state is UNKNOWN
    assert after(*[STRANGER] * 5, wrong, wrong).state is UNKNOWN


def test_look_alikes_stay_uncertain() -> None:
    twins = looks_like(ann=0.60, bob=0.57)
    assert after(twins, twins, twins, twins).state is IdentityState.UNCERTAIN
    one, other = looks_like(ann=0.60, bob=0.52), looks_like(bob=0.60, ann=0.52)
    assert {i.state for i in all_after(*[one, other] * 5)} <= {IdentityState.PENDING, IdentityState.UNCERTAIN}


def test_several_faces_of_the_best_subject_are_no_runner_up() -> None:
    faces = [Match(str(n), "ann", 0.6 - n / 100) for n in range(5)]
    assert after(faces, faces) == Identity(KNOWN, "ann", 0.6, None, "0", "staff")


def test_a_face_without_a_subject_is_known_by_its_id() -> None:
    assert after([Match("f-1", None, 0.7)], [Match("f-1", None, 0.7)]).subject == "f-1"


def test_below_the_match_but_above_doubt_is_uncertain() -> None:
    assert after(*[looks_like(ann=0.35, bob=0.1)] * 3) == Identity(
        IdentityState.UNCERTAIN, "ann", 0.35, 0.1, "face of ann", "staff"
    )


def test_an_empty_collection_makes_everybody_unknown() -> None:
    assert after([], [], []) == Identity(UNKNOWN, None, -1.0, collection="staff")


def test_an_unknown_may_become_known() -> None:
    states = [identity.state for identity in all_after(*[STRANGER] * 3, *[ANN] * 5)]
    assert states[2] is UNKNOWN
    assert states[-1] is KNOWN


def test_one_look_does_not_take_a_name_back() -> None:
    for other in (STRANGER, BOB):
        assert after(ANN, ANN, other).state is KNOWN


def test_poor_looks_that_still_lean_to_the_name_leave_it() -> None:
    lean = looks_like(ann=0.33, bob=0.2)
    assert after(ANN, ANN, *[lean] * 20).state is KNOWN


def test_a_blurred_look_weighs_less_than_a_sharp_one() -> None:
    votes = IdentityVotes(RULES)
    for matches, quality in ((ANN, 0.9), (ANN, 0.9), (STRANGER, 0.2), (STRANGER, 0.2), (STRANGER, 0.2)):
        identity = votes.add(matches, quality)
    assert identity.state is KNOWN


def test_a_track_that_changes_hands_takes_the_name_back_before_it_gives_another() -> None:
    identities = all_after(*[ANN] * 6, *[BOB] * 8)
    story = [(i.state, i.subject) for n, i in enumerate(identities) if n == 0 or i.state != identities[n - 1].state]
    assert story == [(IdentityState.PENDING, None), (KNOWN, "ann"), (RETRACTED, "ann"), (KNOWN, "bob")]
    assert identities[9].state is not KNOWN, "four looks at somebody else must be enough"


def test_a_track_that_a_stranger_takes_over_ends_unknown_by_way_of_retracted() -> None:
    states = [i.state for i in all_after(*[ANN] * 4, *[STRANGER] * 8)]
    assert states[-1] is UNKNOWN
    assert states[states.index(UNKNOWN) - 1] is RETRACTED


def test_after_a_change_of_the_collection_one_look_does_not_take_the_name() -> None:
    votes = IdentityVotes(RULES)
    votes.add(ANN, 0.8)
    votes.add(ANN, 0.8)
    votes.forget()
    assert votes.add(STRANGER, 0.8).state is KNOWN
    assert votes.add(STRANGER, 0.8).state is RETRACTED


cosines = st.floats(-1, 1, allow_nan=False)
matches = st.dictionaries(st.sampled_from(NAMES), cosines, max_size=4).map(lambda found: looks_like(**found))
looks = st.lists(st.tuples(matches, st.floats(0, 1)), max_size=25)
rules = st.builds(
    lambda match, gap, margin, votes: VotingRules(match, match - gap, margin, votes),
    st.floats(0.1, 0.7), st.floats(0.02, 0.3), st.floats(0, 0.2), st.integers(1, 4),
)  # fmt: skip


def played(played_looks: list[tuple[list[Match], float]], by: VotingRules) -> list[Identity]:
    votes = IdentityVotes(by)
    return [votes.add(found, quality) for found, quality in played_looks]


@given(looks, rules, st.permutations(NAMES))
def test_what_subjects_are_called_never_matters(
    seen: list[tuple[list[Match], float]], by: VotingRules, others: list[str]
) -> None:
    other = dict(zip(NAMES, others, strict=True))
    renamed = [([Match(m.face_id, other[m.name], m.similarity) for m in found], q) for found, q in seen]
    expected = [(i.state, other[i.subject] if i.subject else None, i.similarity) for i in played(seen, by)]
    assert [(i.state, i.subject, i.similarity) for i in played(renamed, by)] == expected


@given(st.lists(st.floats(0, 1), max_size=20), rules, st.data())
def test_unknown_votes_never_make_a_name(qualities: list[float], by: VotingRules, data: st.DataObject) -> None:
    votes = IdentityVotes(by)
    for quality in qualities:
        below = st.dictionaries(st.sampled_from(NAMES), st.floats(-1, by.uncertain, exclude_max=True), max_size=4)
        identity = votes.add(looks_like(**data.draw(below)), quality)
        assert identity.subject is None


@given(looks, rules, matches)
def test_unknown_votes_never_turn_what_is_not_a_name_into_one(
    seen: list[tuple[list[Match], float]], by: VotingRules, found: list[Match]
) -> None:
    votes = IdentityVotes(by)
    for one, quality in seen:
        votes.add(one, quality)
    before = votes.identity
    after_it = votes.add([Match(m.face_id, m.subject, min(m.similarity, by.uncertain - 0.01)) for m in found], 1.0)
    assert before.state is KNOWN or after_it.state is not KNOWN


@given(looks, rules)
def test_a_name_always_has_its_match_and_its_margin(seen: list[tuple[list[Match], float]], by: VotingRules) -> None:
    for identity in played(seen, by):
        if identity.state is KNOWN:
            assert identity.similarity is not None
            assert identity.similarity >= by.match
            assert identity.runner_up is None or identity.similarity - identity.runner_up >= by.margin - 1e-12


@given(looks, rules)
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
    identities = all_after(*[ANN] * votes, rules=VotingRules(0.4, 0.28, 0.06, votes))
    assert [i.state is KNOWN for i in identities] == [False] * (votes - 1) + [True]
