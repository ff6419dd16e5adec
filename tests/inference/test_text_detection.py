"""Words of the whole picture and of its tiles, combined."""

from __future__ import annotations

from edge.core.types import Box, Detection
from edge.inference.text_detection import combined, with_corners


def a_word(left: float, top: float, width: float, height: float, score: float = 0.9) -> Detection:
    box = Box(left, top, left + width, top + height)
    return Detection("text", score, box, box.corners)


def test_small_words_come_from_tiles_and_large_ones_from_the_whole_picture() -> None:
    large, blurred, faint = a_word(0.1, 0.1, 0.5, 0.2), a_word(0.1, 0.5, 0.2, 0.03, 0.6), a_word(0.7, 0.9, 0.1, 0.02)
    part_of_large, sharp, new = a_word(0.3, 0.1, 0.1, 0.2), a_word(0.1, 0.5, 0.2, 0.03), a_word(0.5, 0.7, 0.1, 0.02)

    found = combined([large, blurred, faint], [part_of_large, sharp, new])

    assert sorted(found, key=lambda one: one.box.top) == [large, sharp, new, faint]


def test_a_word_joined_from_tiles_has_the_corners_of_its_box() -> None:
    half, whole = a_word(0.1, 0.1, 0.2, 0.05), Box(0.1, 0.1, 0.5, 0.15)
    joined = Detection("text", 0.9, whole, half.landmarks)

    assert with_corners(joined).landmarks == whole.corners
    assert with_corners(half) is half
    assert with_corners(Detection("text", 0.9, whole)).landmarks == whole.corners
