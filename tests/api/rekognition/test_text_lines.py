"""Words of a picture as lines, and the Filters of a request."""

from __future__ import annotations

import math

import pytest

from edge.api.rekognition.text_lines import TextWord, filtered_words, lines_of, text_detections
from edge.core.types import Point


def word(text: str, left: float, top: float, width: float = 0.1, height: float = 0.05, sure: float = 0.9) -> TextWord:
    right, bottom = left + width, top + height
    corners = (Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom))
    return TextWord(text, sure, corners)


def texts(words: list[TextWord], aspect: float = 1.0) -> list[str]:
    return [" ".join(one.text for one in line) for line in lines_of(words, aspect)]


def test_adjacent_words_are_one_line_and_words_below_another() -> None:
    words = [word("big", 0.22, 0.1), word("Hello", 0.1, 0.105), word("world", 0.35, 0.1), word("again", 0.1, 0.2)]

    assert texts(words) == ["Hello big world", "again"]


@pytest.mark.parametrize(
    "other",
    [word("far", 0.5, 0.1), word("TALL", 0.21, 0.06, height=0.12), word("low", 0.21, 0.14)],
)
def test_far_tall_and_lower_words_are_separate_lines(other: TextWord) -> None:
    assert len(texts([word("one", 0.1, 0.1), other])) == 2


def test_a_rotated_line_is_one_line() -> None:
    angle = math.radians(-20)

    def rotated(one: TextWord) -> TextWord:
        corners = tuple(
            Point(
                0.1 + p.x * math.cos(angle) - p.y * math.sin(angle), 0.6 + p.x * math.sin(angle) + p.y * math.cos(angle)
            )
            for p in one.corners
        )
        return TextWord(one.text, one.probability, corners)  # type: ignore[arg-type]

    words = [rotated(word(text, 0.12 * place, 0.0)) for place, text in enumerate(["A", "B", "C"])]

    assert texts(words) == ["A B C"]


def test_detections_are_lines_then_words_that_name_their_line() -> None:
    found = text_detections([word("AB", 0.1, 0.1, sure=0.8), word("12", 0.22, 0.1), word("exit", 0.1, 0.5)], 1.0)

    assert [(one["Type"], one["Id"], one["DetectedText"], one.get("ParentId")) for one in found] == [
        ("LINE", 0, "AB 12", None), ("LINE", 1, "exit", None),
        ("WORD", 2, "AB", 0), ("WORD", 3, "12", 0), ("WORD", 4, "exit", 1),
    ]  # fmt: skip
    line = found[0]
    assert line["Confidence"] == pytest.approx(85)
    assert line["Geometry"]["BoundingBox"] == pytest.approx({"Left": 0.1, "Top": 0.1, "Width": 0.22, "Height": 0.05})
    assert len(line["Geometry"]["Polygon"]) == 4


def test_filters_keep_confident_large_words_inside_the_regions() -> None:
    words = [word("sure", 0.1, 0.1), word("unsure", 0.1, 0.3, sure=0.4), word("tiny", 0.1, 0.5, 0.02, 0.01)]

    def kept(**rules: float) -> list[str]:
        return [one.text for one in filtered_words(words, {"WordFilter": rules})]

    assert [one.text for one in filtered_words(words, {})] == ["sure", "tiny"]
    assert kept(MinConfidence=30.0) == ["sure", "tiny", "unsure"]
    assert kept(MinConfidence=30.0, MinBoundingBoxHeight=0.02) == ["sure", "unsure"]
    assert kept(MinConfidence=30.0, MinBoundingBoxWidth=0.05) == ["sure", "unsure"]
    lower = {"BoundingBox": {"Left": 0.0, "Top": 0.45, "Width": 1.0, "Height": 0.5}}
    assert [one.text for one in filtered_words(words, {"RegionsOfInterest": [lower]})] == ["tiny"]


def test_at_most_a_hundred_words_the_most_confident() -> None:
    many = [word(str(number), 0.1, 0.1, sure=0.8 + number / 1000) for number in range(150)]

    kept = filtered_words(many, {})

    assert len(kept) == 100
    assert min(one.probability for one in kept) == pytest.approx(0.85)
