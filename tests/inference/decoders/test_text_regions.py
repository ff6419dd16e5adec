"""Words by the map of their center areas."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.inference.card import Decoder
from edge.inference.decoders.text_regions import decode

WIDTH, HEIGHT, STRIDE = 640, 480, 4
OPTIONS = {"stride": STRIDE, "shrink": 0.25}
CARD = Decoder("text_regions", ("#0",), ("text",), options=OPTIONS, width=WIDTH, height=HEIGHT)


def a_map(*words: tuple[tuple[float, float], tuple[float, float], float]) -> np.ndarray:
    """(N, 1) probabilities of the center areas of words: center, (width, height) in pixels, degrees clockwise."""
    fine = np.zeros((HEIGHT, WIDTH), np.float32)
    for center, (width, height), angle in words:
        area = (center, (width - 0.5 * height, 0.5 * height), angle)
        cv2.fillPoly(fine, [np.round(cv2.boxPoints(area)).astype(np.int32)], 0.95)
    small = cv2.resize(fine, (WIDTH // STRIDE, HEIGHT // STRIDE), interpolation=cv2.INTER_AREA)
    return small.reshape(-1, 1)


@pytest.mark.parametrize("angle", [0.0, 12.0, -20.0])
@pytest.mark.parametrize("size", [(120.0, 32.0), (60.0, 20.0), (300.0, 80.0)])
def test_a_word_grows_from_its_center_area_to_its_corners(size: tuple[float, float], angle: float) -> None:
    found = decode([a_map(((320.0, 240.0), size, angle))], CARD, 0.5)

    assert len(found.scores) == 1
    assert found.scores[0] > 0.6
    corners = np.asarray(found.landmarks)[0] * (WIDTH, HEIGHT)
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    assert float(np.hypot(*across)) == pytest.approx(size[0], abs=9)
    assert float(np.hypot(*down)) == pytest.approx(size[1], abs=9)
    assert math.degrees(math.atan2(across[1], across[0])) == pytest.approx(angle, abs=3)
    assert corners.mean(axis=0) == pytest.approx((320, 240), abs=2.5)
    box = np.asarray(found.boxes)[0] * (WIDTH, HEIGHT, WIDTH, HEIGHT)
    assert box == pytest.approx([*corners.min(axis=0), *corners.max(axis=0)], abs=0.01)


def test_words_of_a_line_stay_apart_and_a_narrow_letter_is_upright() -> None:
    found = decode([a_map(((100.0, 100.0), (80.0, 24.0), 0.0), ((170.0, 100.0), (40.0, 24.0), 0.0),
                          ((400.0, 300.0), (30.0, 48.0), 0.0))], CARD, 0.5)  # fmt: skip

    assert len(found.scores) == 3
    corners = np.asarray(found.landmarks) * (WIDTH, HEIGHT)
    assert all(abs(one[1, 1] - one[0, 1]) < 1 and one[1, 0] > one[0, 0] for one in corners)


def test_low_probabilities_make_no_word() -> None:
    low = a_map(((320.0, 240.0), (120.0, 32.0), 0.0)) * 0.6

    assert len(decode([low], CARD, 0.7).scores) == 0
    assert len(decode([np.zeros_like(low)], CARD, 0.1).scores) == 0


def test_a_card_of_another_stride_is_an_error() -> None:
    with pytest.raises(ModelError, match="the card's stride makes 4800 cells, the file has 19200"):
        decode([a_map()], Decoder("text_regions", ("#0",), options={"stride": 8}, width=WIDTH, height=HEIGHT), 0.5)
    with pytest.raises(ModelError, match=r"expected options\.stride in pixels"):
        decode([a_map()], Decoder("text_regions", ("#0",), width=WIDTH, height=HEIGHT), 0.5)
