"""Tiled inference (as SAHI) for small objects: the detector also runs on overlapping tiles, and detections are merged.

A tile magnifies a face by the ratio of picture to tile size. Tiles are never upscaled.
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
"""overlap of adjacent tiles, fraction of a tile: larger faces are detected in the whole picture"""
BORDER = 0.01
"""fraction of a tile: a box this close to the tile's border is cut off"""
SAME = 0.6
"""share of a box inside another one of its label, of another tile, from which both are one object"""
PIECES = 0.2
"""the same for two boxes that are both cut off by their tile's border"""


@dataclass(frozen=True, slots=True)
class _TileDetections:
    detection: Detection
    part: Box | None
    """None: merged from several tiles"""
    cut: bool
    """cut off by the border of its tile"""


class Tiling:
    """Tiled inference with at most ``most`` tiles per picture, one inference per tile."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.looks = 0
        """number of tiles of the latest picture"""

    def add(
        self,
        detector: DetectionModel,
        found: Sequence[Detection],
        picture: Picture,
        regions: Sequence[Box] = (WHOLE,),
        scores: Mapping[str, float] | None = None,
    ) -> list[Detection]:
        """Merge ``found`` of the whole picture with detections of the tiles that touch ``regions``, best first.

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
    """Overlapping tiles that cover a picture of this size, row by row, with the largest magnification.

    At most ``most`` tiles, none smaller than the detector's input; none if the whole picture is not downscaled.
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
    """The best box of each object; cut-off boxes that no complete box contains are joined."""
    found = list(every)
    while len(kept := _once(found)) < len(found):
        found = kept  # a joined box may contain another cut-off box
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
    """Whether ``one`` is the same object as the better ``before``. Within a tile, NMS has decided that already."""
    if (one.part is not None and one.part == before.part) or one.detection.label != before.detection.label:
        return False
    a, b = one.detection.box, before.detection.box
    common = a.intersection(b)
    smaller = min(a.area, b.area)
    return smaller > 0 and common / smaller >= (PIECES if one.cut and before.cut else SAME)


def _joined(first: Detection, second: Detection) -> Detection:
    """Two cut-off boxes joined, with the landmarks of the better one."""
    a, b = first.box, second.box
    box = Box(min(a.left, b.left), min(a.top, b.top), max(a.right, b.right), max(a.bottom, b.bottom))
    return replace(first, box=box)


def _steps(parts: int) -> float:
    """Length of ``parts`` overlapping tiles, in tiles."""
    return parts - (parts - 1) * OVERLAP


def _cuts(parts: int) -> list[tuple[float, float]]:
    length = 1 / _steps(parts)
    return [(i * length * (1 - OVERLAP), min(1.0, i * length * (1 - OVERLAP) + length)) for i in range(parts)]


def _cut(picture: Picture, tile: Box) -> tuple[Picture, Box]:
    """The tile and its actual box, aligned to even pixels as i420 requires."""
    left, top = (2 * math.floor(value / 2) for value in (tile.left * picture.width, tile.top * picture.height))
    right = min(picture.width, 2 * math.ceil(tile.right * picture.width / 2))
    bottom = min(picture.height, 2 * math.ceil(tile.bottom * picture.height / 2))
    place = Box(left / picture.width, top / picture.height, right / picture.width, bottom / picture.height)
    return pictures.cut(picture, left, top, right, bottom), place


def _placed(detection: Detection, tile: Box) -> Detection:
    """A detection of a tile, in fractions of the whole picture."""

    def point(x: float, y: float) -> tuple[float, float]:
        return tile.left + x * tile.width, tile.top + y * tile.height

    box = detection.box
    corners = Box(*point(box.left, box.top), *point(box.right, box.bottom))
    return replace(detection, box=corners, landmarks=tuple(Point(*point(p.x, p.y)) for p in detection.landmarks))


def _is_cut(box: Box, tile: Box) -> bool:
    """Whether a box reaches a border of its tile that is not a border of the picture."""
    near_x, near_y = BORDER * tile.width, BORDER * tile.height
    return (
        (tile.left > 0 and box.left <= tile.left + near_x)
        or (tile.top > 0 and box.top <= tile.top + near_y)
        or (tile.right < 1 and box.right >= tile.right - near_x)
        or (tile.bottom < 1 and box.bottom >= tile.bottom - near_y)
    )
