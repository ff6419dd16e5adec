from __future__ import annotations

import math

import pytest

from edge.core.errors import ModelError
from edge.inference.calibration import MEANING, Calibration, false_match_rate, likeness_at

CALIBRATION = Calibration()


def test_a_likeness_means_the_same_error_rate_in_every_card() -> None:
    assert false_match_rate(80) == pytest.approx(1e-4)
    assert false_match_rate(99) == pytest.approx(1e-6)
    assert [likeness_at(false_match_rate(value)) for value in (45, 60, 77.7, 85, 99)] == pytest.approx(
        [45, 60, 77.7, 85, 99]
    )


def test_a_score_and_its_likeness_lead_back_to_each_other() -> None:
    assert CALIBRATION.likeness(0.35) == 80
    assert [CALIBRATION.score(CALIBRATION.likeness(score)) for score in (-0.5, 0.2, 0.5)] == pytest.approx(
        [-0.5, 0.2, 0.5]
    )
    assert (CALIBRATION.likeness(-3), CALIBRATION.likeness(3)) == (0, 100)


def test_evidence_grows_with_likeness_and_changes_sign_between_a_stranger_and_the_same_person() -> None:
    found = [CALIBRATION.log_likelihood_ratio(likeness) for likeness in range(101)]
    assert found == sorted(found)
    assert found[20] < -3 < 3 < found[80] < found[99]


def test_the_log_likelihood_ratio_is_that_of_the_shares_between_two_points() -> None:
    (low, _), (high, _) = MEANING[3], MEANING[4]
    same = CALIBRATION.accepts(low) - CALIBRATION.accepts(high)
    stranger = false_match_rate(low) - false_match_rate(high)
    assert CALIBRATION.log_likelihood_ratio((low + high) / 2) == pytest.approx(math.log(same / stranger))


@pytest.mark.parametrize(
    "points", [((0.0, 10.0),), ((0.0, 40.0), (0.0, 80.0)), ((0.0, 80.0), (0.5, 40.0))], ids=["one", "flat", "falling"]
)
def test_points_that_do_not_rise_are_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ModelError, match="rising"):
        Calibration(points)


def test_shares_that_rise_are_refused() -> None:
    with pytest.raises(ModelError, match="falling share"):
        Calibration(accepted=((0.0, 0.5), (100.0, 0.9)))
