from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge.daemon.scheduler import STILL, FairShare


def served(share: FairShare, cameras: list[str], cost: float, rounds: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for _ in range(rounds):
        chosen = share.choose(cameras)
        share.charge(chosen, cost)
        counted[chosen] += 1
    return counted


def test_cameras_that_always_wait_are_served_by_weight() -> None:
    counted = served(FairShare({"a": 1.0, "b": 3.0}), ["a", "b"], 0.02, 400)

    assert counted == {"a": 100, "b": 300}


def test_a_camera_that_was_away_does_not_claim_what_it_missed() -> None:
    share = FairShare({"a": 1.0, "b": 1.0})
    served(share, ["a"], 0.02, 100)

    assert served(share, ["a", "b"], 0.02, 20)["b"] <= 11


@given(weights=st.dictionaries(st.sampled_from("abcd"), st.floats(0.5, 8), min_size=2), cost=st.floats(0.001, 1))
def test_nobody_who_waits_is_left_out(weights: dict[str, float], cost: float) -> None:
    rounds = int(40 * sum(weights.values()) / min(weights.values()))

    counted = served(FairShare(weights), list(weights), cost, rounds)

    assert set(counted) == set(weights)


CAMERAS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(st.floats(0.05, 20), st.floats(0.001, 0.5)), min_size=2
)
"""name -> weight, seconds that a frame costs"""


@given(cameras=CAMERAS)
def test_seconds_are_shared_by_weight_whatever_a_frame_costs(cameras: dict[str, tuple[float, float]]) -> None:
    """No two that always wait are further apart than a frame of each, by weight: the bound of fair queueing."""
    share, spent = FairShare({name: weight for name, (weight, _) in cameras.items()}), dict.fromkeys(cameras, 0.0)
    for _ in range(200):
        chosen = share.choose(list(cameras))
        share.charge(chosen, cameras[chosen][1])
        spent[chosen] += cameras[chosen][1]

        served = {name: spent[name] / weight for name, (weight, _) in cameras.items()}
        frame = {name: cost / weight for name, (weight, cost) in cameras.items()}
        most, least = max(served, key=served.__getitem__), min(served, key=served.__getitem__)
        assert served[most] - served[least] <= frame[most] + frame[least] + 1e-9


@given(cameras=CAMERAS, away=st.integers(1, 100))
def test_who_comes_back_waits_for_one_frame_of_each_other_at_most(
    cameras: dict[str, tuple[float, float]], away: int
) -> None:
    share = FairShare({name: weight for name, (weight, _) in cameras.items()})
    back, *others = cameras
    for _ in range(away):
        chosen = share.choose(others)
        share.charge(chosen, cameras[chosen][1])
    waited: Counter[str] = Counter()
    while (chosen := share.choose([*others, back])) != back:
        share.charge(chosen, cameras[chosen][1])
        waited[chosen] += 1

    assert max(waited.values(), default=0) <= 1


def test_where_nothing_moves_a_camera_counts_for_less() -> None:
    share, counted = FairShare({"street": 1.0, "cellar": 1.0}), Counter[str]()
    for _ in range(500):
        chosen = share.choose(["street", "cellar"])
        share.charge(chosen, 0.02, moving=chosen == "street")
        counted[chosen] += 1

    assert counted["cellar"] == 500 * STILL / (1 + STILL)
