"""Which detection is which track: prediction, gates, and the cheapest assignment.

Each thing is expected where its velocity takes it. A detection that lies within reach of that place, and has
about its size, may be the thing; how far "within reach" is grows with the seconds since the thing was seen, so
that nothing here depends on the frame rate. Distances are measured in box sizes, which makes them independent
of the picture's shape.

The assignment is the cheapest one as a whole, not the best pair first: at few frames a second things move by
their own size between two detections, and then taking the best pair first gives a thing its neighbor's detection
and leaves the neighbor with none. Things that do not compete (nearly all) are settled without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.core.types import Box


def cheapest_columns(matrix: Sequence[Sequence[float]]) -> list[int]:
    """The column of each row such that no column is used twice and the sum is least.

    Needs at least as many columns as rows, and finite costs.
    """
    height, width = len(matrix), len(matrix[0]) if matrix else 0
    row_price, column_price = [0.0] * height, [0.0] * width
    owner = [-1] * width
    for row in range(height):
        _admit(row, matrix, row_price, column_price, owner)
    chosen = [-1] * height
    for column, row in enumerate(owner):
        if row >= 0:
            chosen[row] = column
    return chosen


def _admit(
    start: int,
    matrix: Sequence[Sequence[float]],
    row_price: list[float],
    column_price: list[float],
    owner: list[int],
) -> None:
    """Give row ``start`` a column, moving earlier rows along the cheapest path where that is cheaper."""
    width = len(column_price)
    distance, previous, done = [math.inf] * width, [-1] * width, [False] * width
    row, column = start, -1
    while row >= 0:
        for j in range(width):
            cost = matrix[row][j] - row_price[row] - column_price[j]
            if not done[j] and cost < distance[j]:
                distance[j], previous[j] = cost, column
        column = min((j for j in range(width) if not done[j]), key=distance.__getitem__)
        step = distance[column]
        row_price[start] += step
        for j in range(width):
            if done[j]:
                row_price[owner[j]] += step
                column_price[j] -= step
            else:
                distance[j] -= step
        done[column] = True
        row = owner[column]
    while column >= 0:
        before = previous[column]
        owner[column] = owner[before] if before >= 0 else start
        column = before


VELOCITY_SECONDS = 0.4
"""time constant of the smoothed velocity"""
COAST_SECONDS = 1.0
"""time constant with which a thing that is not seen is expected to come to rest"""
REACH = 0.4
"""box sizes that a detection may lie off the prediction at once: boxes tremble"""
REACH_PER_SECOND = 1.5
"""box sizes more for each second since the thing was seen"""
REACH_YOUNG, REACH_PER_SECOND_YOUNG = 0.6, 6.0
"""the same while its velocity is not known yet; a face of someone walking by makes 9 a second"""
REACH_MOST = 3.0
SIZE_RATIO = 3.0
"""neither side of a box grows or shrinks by more between two detections"""
UNMATCHED = 2.4
"""cost of leaving a track without a detection: about that of the worst pair that passes the gates"""
FORBIDDEN = 1e6


@dataclass(slots=True)
class MotionModel:
    """Where a thing is and where it goes. Fractions of the frame; seconds."""

    x: float
    y: float
    width: float
    height: float
    at: float
    velocity_x: float = 0.0
    velocity_y: float = 0.0
    looks: int = 1

    @classmethod
    def starting(cls, box: Box, at: float) -> MotionModel:
        return cls(*_center_size(box), at)

    def expected(self, at: float) -> tuple[float, float, float, float]:
        """(center x, center y, width, height) at a moment; a thing that is not seen slows down."""
        horizon = COAST_SECONDS * (1.0 - math.exp(-(at - self.at) / COAST_SECONDS))
        return (
            self.x + self.velocity_x * horizon,
            self.y + self.velocity_y * horizon,
            self.width,
            self.height,
        )

    def reach(self, at: float) -> float:
        """Box sizes that a detection may lie off the prediction."""
        seconds = at - self.at
        if self.looks > 2:
            return min(REACH_MOST, REACH + REACH_PER_SECOND * seconds)
        return min(REACH_MOST, REACH_YOUNG + REACH_PER_SECOND_YOUNG * seconds)

    def rest(self, box: Box, at: float) -> None:
        """It was not seen, and is known to stand still in ``box``."""
        self.x, self.y, self.width, self.height = _center_size(box)
        self.velocity_x = self.velocity_y = 0.0
        self.at = at

    def seen(self, box: Box, at: float) -> None:
        """Move to where the thing was seen."""
        x, y, width, height = _center_size(box)
        seconds = at - self.at
        if seconds > 0:
            gain = 1.0 - math.exp(-seconds / VELOCITY_SECONDS)
            self.velocity_x += gain * ((x - self.x) / seconds - self.velocity_x)
            self.velocity_y += gain * ((y - self.y) / seconds - self.velocity_y)
        self.x, self.y, self.width, self.height, self.at = x, y, width, height, at
        self.looks += 1


def associate(motions: Sequence[MotionModel], boxes: Sequence[Box], at: float, tight: bool = False) -> dict[int, int]:
    """Index of the motion -> index of the box it continues in. ``tight``: only pairs that clearly overlap."""
    if not motions or not boxes:
        return {}
    found = [_center_size(box) for box in boxes]
    costs: list[dict[int, float]] = []
    for motion in motions:
        place, reach = motion.expected(at), motion.reach(at)
        x, width, half_reach = place[0], place[2], reach / 2
        row = {}
        for j, candidate in enumerate(found):
            if abs(candidate[0] - x) > half_reach * (width + candidate[2]):
                continue
            cost = _cost(place, candidate, reach, tight)
            if cost is not None:
                row[j] = cost
        costs.append(row)
    pairs: dict[int, int] = {}
    for rows in _competitions(costs):
        pairs.update(_cheapest(rows, costs))
    return pairs


def duplicates(box: Box, other: Box) -> bool:
    """Whether two boxes of one label, in one frame, are of one thing: much alike, or one mostly inside the other."""
    common = box.intersection(other)
    if common <= 0.0:
        return False
    small, large = sorted((box.area, other.area))
    return common / (small + large - common) >= 0.5 or (common >= 0.75 * small and small >= 0.3 * large)


def touches(box: Box, other: Box) -> bool:
    """Whether two boxes share so much that a detection of the one may be taken for the other's."""
    if box.left >= other.right or other.left >= box.right or box.top >= other.bottom or other.top >= box.bottom:
        return False
    return box.iou(other) >= 0.1


def _center_size(box: Box) -> tuple[float, float, float, float]:
    width, height = max(1e-6, box.right - box.left), max(1e-6, box.bottom - box.top)
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2, width, height


def _cost(
    place: tuple[float, float, float, float], found: tuple[float, float, float, float], reach: float, tight: bool
) -> float | None:
    """0 (the expected box exactly) .. UNMATCHED, or None where it cannot be the same thing."""
    x, y, width, height = place
    found_x, found_y, found_width, found_height = found
    off_x, off_y = abs(x - found_x), abs(y - found_y)
    wide, high = (width + found_width) / 2, (height + found_height) / 2
    if off_y > reach * high or off_x > reach * wide:
        return None
    wider, higher = width / found_width, height / found_height
    if not (1 / SIZE_RATIO <= wider <= SIZE_RATIO and 1 / SIZE_RATIO <= higher <= SIZE_RATIO):
        return None
    common_x = min(wide - off_x, width, found_width)
    common_y = min(high - off_y, height, found_height)
    common = common_x * common_y if common_x > 0 and common_y > 0 else 0.0
    iou = common / (width * height + found_width * found_height - common)
    if tight and iou < 0.3:
        return None
    distance = math.hypot(off_x / wide, off_y / high) / reach
    shape = 0.2 * (abs(math.log(wider)) + abs(math.log(higher)))
    return min(UNMATCHED - 0.01, 1.0 - iou + distance + shape)


def _competitions(costs: Sequence[dict[int, float]]) -> list[list[int]]:
    """Rows in groups that share no box with another group."""
    groups: list[tuple[list[int], set[int]]] = []
    for i, row in enumerate(costs):
        if not row:
            continue
        rows, columns = [i], set(row)
        apart = []
        for group in groups:
            if columns.isdisjoint(group[1]):
                apart.append(group)
            else:
                rows, columns = group[0] + rows, columns | group[1]
        groups = [*apart, (rows, columns)]
    return [rows for rows, _ in groups]


def _cheapest(rows: list[int], costs: Sequence[dict[int, float]]) -> dict[int, int]:
    if len(rows) == 1:
        row = costs[rows[0]]
        return {rows[0]: min(row, key=row.__getitem__)}
    columns = sorted({column for row in rows for column in costs[row]})
    matrix = [
        [costs[row].get(column, FORBIDDEN) for column in columns]
        + [UNMATCHED if other == row else FORBIDDEN for other in rows]
        for row in rows
    ]
    chosen = cheapest_columns(matrix)
    return {row: columns[j] for row, j in zip(rows, chosen, strict=True) if j < len(columns)}
