"""The gate between a float model and its quantized copy."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.core.types import Box, Detection
from edge.inference.onboarding.comparison import DetectionAgreement, EmbeddingAgreement


def face(left: float, score: float = 0.9, label: str = "face") -> Detection:
    return Detection(label, score, Box(left, 0.1, left + 0.1, 0.3))


TEN = [face(i / 10) for i in range(10)]


def test_the_same_boxes_agree_wholly() -> None:
    agreement = DetectionAgreement()
    agreement.compare(TEN, list(reversed(TEN)))

    assert agreement.figures() == {"detections": 10, "recall": 1.0, "precision": 1.0, "overlap": 1.0}
    assert agreement.passes()


def test_boxes_that_moved_a_little_still_agree_and_the_overlap_tells() -> None:
    agreement = DetectionAgreement()
    agreement.compare(TEN, [face(i / 10 + 0.01) for i in range(10)])

    assert agreement.passes()
    assert 0.7 < agreement.figures()["overlap"] < 0.9


@pytest.mark.parametrize(
    ("other", "recall", "precision"),
    [
        (TEN[:8], 0.8, 1.0),
        ([*TEN, face(0.03, 0.5), face(0.33, 0.5)], 1.0, 10 / 12),
        ([face(i / 10, label="cat") for i in range(10)], 0.0, 0.0),
        ([], 0.0, 0.0),
    ],
)
def test_what_is_missed_added_or_renamed_does_not_pass(other: list[Detection], recall: float, precision: float) -> None:
    agreement = DetectionAgreement()
    agreement.compare(TEN, other)

    figures = agreement.figures()
    assert (figures["recall"], figures["precision"]) == (pytest.approx(recall), pytest.approx(precision))
    assert not agreement.passes()


def test_one_box_is_not_counted_for_two() -> None:
    agreement = DetectionAgreement()
    agreement.compare([*TEN, face(0.001), face(0.101)], TEN)

    assert agreement.figures()["recall"] == pytest.approx(10 / 12)


@pytest.mark.parametrize(("turn", "passes"), [(0.0, True), (0.2, True), (0.8, False), (3.1, False)])
def test_embeddings_that_turned_away_do_not_pass(turn: float, passes: bool) -> None:
    agreement = EmbeddingAgreement()
    for _ in range(10):
        agreement.compare(np.array([1, 0], np.float32), np.array([np.cos(turn), np.sin(turn)], np.float32))

    assert agreement.figures()["mean_cosine"] == pytest.approx(np.cos(turn), abs=1e-6)
    assert agreement.passes() is passes


def test_a_bad_fifth_of_the_crops_does_not_hide_behind_the_mean() -> None:
    agreement = EmbeddingAgreement([1.0] * 40 + [0.7] * 10)

    assert agreement.figures()["mean_cosine"] > EmbeddingAgreement.LOWEST_MEAN
    assert not agreement.passes()


def test_too_little_to_see_is_an_error_and_not_a_pass() -> None:
    detections, embeddings = DetectionAgreement(), EmbeddingAgreement([1.0] * 9)
    detections.compare(TEN[:9], TEN[:9])

    with pytest.raises(ModelError, match="of the original in the pictures, got 9"):
        detections.passes()
    with pytest.raises(ModelError, match="crops in the pictures, got 9"):
        embeddings.passes()
