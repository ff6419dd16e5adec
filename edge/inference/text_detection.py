"""Words of still pictures: small ones are detected in tiles, large ones in the whole picture."""

from __future__ import annotations

from dataclasses import replace

from edge.core.types import Box, Detection, Picture
from edge.inference.detector import Detector
from edge.inference.tiling import Tiling

LARGE = 0.05
"""height of a word, fraction of the picture's height, from which tiles add nothing"""
SAME = 0.5
"""share of a word inside another one from which both are the same"""
CORNER = 0.2
"""deviation of corners from their box, fraction of its height, from which the box was joined from several tiles"""


def detected_words(detector: Detector, picture: Picture, tiles: int) -> list[Detection]:
    """Words with their four corners as landmarks, best first; ``tiles``: maximum number of tiles. Raises ModelError."""
    found = detector.detect(picture)
    if tiles:
        lowest = dict.fromkeys(detector.labels, detector.card.thresholds.score)
        small = Tiling(tiles).add(detector, [], picture, scores=lowest)
        found = combined(found, small)
    return [with_corners(one) for one in found]


def combined(whole: list[Detection], tiled: list[Detection]) -> list[Detection]:
    """Words of the whole picture and of its tiles: of two that are the same, the tiles' where it is small."""
    large = [one for one in whole if one.box.height >= LARGE]
    added = [one for one in tiled if not _overlaps(one.box, large)]
    rest = [one for one in whole if one.box.height < LARGE and not _overlaps(one.box, added)]
    return sorted([*large, *added, *rest], key=lambda one: -one.score)


def with_corners(word: Detection) -> Detection:
    """The word; with the corners of its box where tiles were joined, whose landmarks are of one tile only."""
    xs, ys = [point.x for point in word.landmarks], [point.y for point in word.landmarks]
    if len(xs) == 4:
        box, room = word.box, CORNER * word.box.height
        gaps = min(xs) - box.left, max(xs) - box.right, min(ys) - box.top, max(ys) - box.bottom
        if max(map(abs, gaps)) <= room:
            return word
    return replace(word, landmarks=word.box.corners)


def _overlaps(box: Box, others: list[Detection]) -> bool:
    return any(box.held_by(other.box) > SAME or other.box.held_by(box) > SAME for other in others)
