from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge.scheduler import FairShare


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
