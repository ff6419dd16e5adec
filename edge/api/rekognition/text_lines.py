"""Words of a picture as lines, and both as TextDetections."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.api.rekognition import shapes
from edge.api.rekognition.streams.regions import inside
from edge.core.types import Box, Point

MOST_WORDS = 100
"""words per picture, as documented for DetectText"""
DEFAULT_CONFIDENCE = 80.0
"""WordFilter.MinConfidence of a request without one, as documented"""
WIDEST_GAP = 1.3
"""maximum gap between two words of a line, word heights"""
SIMILAR_HEIGHT = 0.55
"""minimum ratio of the lower to the higher of two adjacent words of a line"""
BASELINE_OFFSET = 0.5
"""maximum offset of a word from the direction of its line, word heights"""

Corners = tuple[Point, Point, Point, Point]


@dataclass(frozen=True)
class TextWord:
    """A word with its text."""

    text: str
    probability: float
    """0..1"""
    corners: Corners
    """fractions of the picture, clockwise from the top left of the word"""

    @property
    def box(self) -> Box:
        return bounds(self.corners)


def bounds(corners: Sequence[Point]) -> Box:
    """The smallest box that contains the points."""
    xs, ys = [one.x for one in corners], [one.y for one in corners]
    return Box(min(xs), min(ys), max(xs), max(ys))


def filtered_words(words: Sequence[TextWord], filters: Mapping[str, Any]) -> list[TextWord]:
    """Words that pass the Filters of a request: at most MOST_WORDS, the most confident ones."""
    rules = filters.get("WordFilter", {})
    lowest = rules.get("MinConfidence", DEFAULT_CONFIDENCE) / 100
    height, width = rules.get("MinBoundingBoxHeight", 0.0), rules.get("MinBoundingBoxWidth", 0.0)
    regions = filters.get("RegionsOfInterest", ())
    passed = [
        word
        for word in words
        if word.probability >= lowest
        and word.box.height >= height
        and word.box.width >= width
        and inside(word.box, regions)
    ]
    return sorted(passed, key=lambda word: -word.probability)[:MOST_WORDS]


def lines_of(words: Sequence[TextWord], aspect: float) -> list[list[TextWord]]:
    """Words grouped into lines, top to bottom, each left to right; ``aspect``: width / height of the picture."""
    lines: list[list[TextWord]] = []
    for word in sorted(words, key=lambda one: one.box.left):
        fitting = [line for line in lines if _continues(line[-1], word, aspect)]
        if fitting:
            min(fitting, key=lambda line: _gap(line[-1], word, aspect)).append(word)
        else:
            lines.append([word])
    return sorted(lines, key=lambda line: (line[0].box.top, line[0].box.left))


def text_detections(words: Sequence[TextWord], aspect: float) -> list[dict[str, Any]]:
    """TextDetections: the lines, then the words of each line, which have its Id as ParentId."""
    lines = lines_of(words, aspect)
    found = [
        _detection("LINE", number, " ".join(one.text for one in line), _confidence(line), _outline(line))
        for number, line in enumerate(lines)
    ]
    for number, line in enumerate(lines):
        for word in line:
            detection = _detection("WORD", len(found), word.text, word.probability, word.corners)
            found.append({**detection, "ParentId": number})
    return found


def _detection(kind: str, number: int, text: str, probability: float, corners: Sequence[Point]) -> dict[str, Any]:
    return {
        "DetectedText": text,
        "Type": kind,
        "Id": number,
        "Confidence": shapes.percent(probability),
        "Geometry": {
            "BoundingBox": shapes.box(bounds(corners)),
            "Polygon": [{"X": one.x, "Y": one.y} for one in corners],
        },
    }


def _confidence(line: Sequence[TextWord]) -> float:
    return sum(word.probability for word in line) / len(line)


def _outline(line: Sequence[TextWord]) -> Corners:
    """From the left side of the first word to the right side of the last one."""
    return line[0].corners[0], line[-1].corners[1], line[-1].corners[2], line[0].corners[3]


def _place(point: Point, aspect: float) -> complex:
    """In picture heights."""
    return complex(point.x * aspect, point.y)


def _height(word: TextWord, aspect: float) -> float:
    return abs(_place(word.corners[3], aspect) - _place(word.corners[0], aspect))


def _middle(word: TextWord, first: int, second: int, aspect: float) -> complex:
    return (_place(word.corners[first], aspect) + _place(word.corners[second], aspect)) / 2


def _gap(before: TextWord, after: TextWord, aspect: float) -> float:
    return abs(_middle(after, 0, 3, aspect) - _middle(before, 1, 2, aspect))


def _continues(before: TextWord, after: TextWord, aspect: float) -> bool:
    """Whether ``after`` follows ``before`` in its line."""
    heights = _height(before, aspect), _height(after, aspect)
    if min(heights) <= 0 or min(heights) < SIMILAR_HEIGHT * max(heights):
        return False
    along = _middle(before, 1, 2, aspect) - _middle(before, 0, 3, aspect)
    direction = along / abs(along) if abs(along) > 0 else complex(1)
    step = (_middle(after, 0, 3, aspect) - _middle(before, 1, 2, aspect)) * direction.conjugate()
    height = math.sqrt(heights[0] * heights[1])
    return -0.5 * height <= step.real <= WIDEST_GAP * height and abs(step.imag) <= BASELINE_OFFSET * height
