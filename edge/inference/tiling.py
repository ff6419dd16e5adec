"""Small things in large pictures: the detector looks at overlapping parts as well, and what it finds becomes one list.

A part shows a face as many times larger as the picture is larger than it. Parts are never magnified.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from edge.core.imaging import image as pictures
from edge.core.types import WHOLE, Box, Detection, Picture, Point
from edge.inference.protocols import DetectionModel

OVERLAP = 0.2
"""of a part with the next: a face that is larger than this is large enough for the look at the whole picture"""
BORDER = 0.01
"""of a part: a box that comes this close to where it was cut is a piece of something"""
SAME = 0.6
"""share of a box inside another one of its label, found in another part, from which on both are one thing"""
PIECES = 0.2
"""the same for two pieces, each cut by its part's border"""


@dataclass(frozen=True, slots=True)
class _TileDetections:
    detection: Detection
    part: Box | None
    """None: put together from several"""
    cut: bool
    """by the border of its part"""


class Tiling:
    """Looks at ``most`` parts of a picture at most. Times an invoke each."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.looks = 0
        """parts that were looked at in the latest picture"""

    def add(
        self,
        detector: DetectionModel,
        found: Sequence[Detection],
        picture: Picture,
        regions: Sequence[Box] = (WHOLE,),
        scores: Mapping[str, float] | None = None,
    ) -> list[Detection]:
        """``found`` in the whole picture and what the parts that touch ``regions`` show, best first.

        Raises ModelError.
        """
        tiles = grid(picture.width, picture.height, *detector.size, self.most)
        chosen = [tile for tile in tiles if any(tile.intersection(region) > 0 for region in regions)]
        self.looks = len(chosen)
        every = [_TileDetections(detection, WHOLE, False) for detection in found]
        for tile in chosen:
            part, tile = _cut(picture, tile)
            seen = (_placed(detection, tile) for detection in detector.detect(part, scores))
            every += [_TileDetections(detection, tile, _is_cut(detection.box, tile)) for detection in seen]
        return merged(every) if chosen else list(found)


@lru_cache(maxsize=64)
def grid(width: int, height: int, input_width: int, input_height: int, most: int) -> tuple[Box, ...]:
    """Overlapping parts that cover a picture of so many pixels, row by row: those that show it largest.

    ``most`` parts at most, none smaller than the detector's input; none at all where the whole is not shown smaller.
    """
    best: tuple[float, int, int, int] | None = None
    for columns in range(1, most + 1):
        for rows in range(1, most // columns + 1):
            across, down = width / _steps(columns), height / _steps(rows)
            scale = max(across / input_width, down / input_height)
            choice = (max(1.0, scale), columns * rows, columns, rows)
            best = choice if best is None or choice < best else best
    if best is None or best[1] == 1:
        return ()
    _, _, columns, rows = best
    return tuple(Box(left, top, right, bottom) for top, bottom in _cuts(rows) for left, right in _cuts(columns))


def merged(every: Iterable[_TileDetections]) -> list[Detection]:
    """Of boxes that show the same thing the best one; pieces that no whole box holds are put together."""
    found = list(every)
    while len(kept := _once(found)) < len(found):
        found = kept  # what was put together may hold another piece
    return sorted((one.detection for one in kept), key=lambda detection: -detection.score)


def _once(every: list[_TileDetections]) -> list[_TileDetections]:
    kept: list[_TileDetections] = []
    for one in sorted(every, key=lambda one: (one.cut, -one.detection.score)):
        other = next((index for index, before in enumerate(kept) if _same(one, before)), None)
        if other is None:
            kept.append(one)
        elif one.cut and kept[other].cut:
            kept[other] = _TileDetections(_joined(kept[other].detection, one.detection), None, True)
    return kept


def _same(one: _TileDetections, before: _TileDetections) -> bool:
    """Whether ``one`` shows what the better ``before`` does. Within a part the detector has decided that itself."""
    if (one.part is not None and one.part == before.part) or one.detection.label != before.detection.label:
        return False
    a, b = one.detection.box, before.detection.box
    common = a.intersection(b)
    smaller = min(a.area, b.area)
    return smaller > 0 and common / smaller >= (PIECES if one.cut and before.cut else SAME)


def _joined(first: Detection, second: Detection) -> Detection:
    """Two pieces as one, with the landmarks of the better one."""
    a, b = first.box, second.box
    box = Box(min(a.left, b.left), min(a.top, b.top), max(a.right, b.right), max(a.bottom, b.bottom))
    return replace(first, box=box)


def _steps(parts: int) -> float:
    """How many parts without overlap are as long as ``parts`` with it."""
    return parts - (parts - 1) * OVERLAP


def _cuts(parts: int) -> list[tuple[float, float]]:
    length = 1 / _steps(parts)
    return [(i * length * (1 - OVERLAP), min(1.0, i * length * (1 - OVERLAP) + length)) for i in range(parts)]


def _cut(picture: Picture, tile: Box) -> tuple[Picture, Box]:
    """The part and where it really lies: between even pixels, as i420 wants it."""
    left, top = (2 * math.floor(value / 2) for value in (tile.left * picture.width, tile.top * picture.height))
    right = min(picture.width, 2 * math.ceil(tile.right * picture.width / 2))
    bottom = min(picture.height, 2 * math.ceil(tile.bottom * picture.height / 2))
    place = Box(left / picture.width, top / picture.height, right / picture.width, bottom / picture.height)
    return pictures.cut(picture, left, top, right, bottom), place


def _placed(detection: Detection, tile: Box) -> Detection:
    """A detection of a part, in fractions of the whole picture."""

    def point(x: float, y: float) -> tuple[float, float]:
        return tile.left + x * tile.width, tile.top + y * tile.height

    box = detection.box
    corners = Box(*point(box.left, box.top), *point(box.right, box.bottom))
    return replace(detection, box=corners, landmarks=tuple(Point(*point(p.x, p.y)) for p in detection.landmarks))


def _is_cut(box: Box, tile: Box) -> bool:
    """Whether a box reaches a border of its part that is not the picture's own."""
    near_x, near_y = BORDER * tile.width, BORDER * tile.height
    return (
        (tile.left > 0 and box.left <= tile.left + near_x)
        or (tile.top > 0 and box.top <= tile.top + near_y)
        or (tile.right < 1 and box.right >= tile.right - near_x)
        or (tile.bottom < 1 and box.bottom >= tile.bottom - near_y)
    )
