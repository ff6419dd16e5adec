"""Zones: polygons in fractions of the frame, entered by the bottom centre of a box.

A corner or an edge belongs to the zone: things stand on the picture's lower edge. Where a polygon crosses itself,
the even-odd rule decides. A track is in a zone, or out of it again, after ``inertia`` seconds of it, so that a box
that trembles on an edge reports nothing; where it is first seen, it is at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from edge.types import Point, Track

Polygon = Sequence[tuple[float, float]]

ON_EDGE = 1e-9


class Zones:
    """The zones of one camera."""

    def __init__(self, polygons: Mapping[str, Polygon], inertia: float = 0.4) -> None:
        self._polygons = {name: tuple(polygon) for name, polygon in polygons.items()}
        self._inertia = inertia
        self._changing: dict[str, dict[str, float]] = {}
        """by track: the zones whose membership changed lately, and since when (monotonic seconds)"""

    def of(self, point: Point) -> frozenset[str]:
        """The zones that hold a point, without inertia. A point outside the frame counts where the frame ends."""
        x, y = min(1.0, max(0.0, point.x)), min(1.0, max(0.0, point.y))
        return frozenset(name for name, polygon in self._polygons.items() if holds(polygon, x, y))

    def update(self, tracks: Sequence[Track], now: float) -> None:
        """Set ``zones`` of the tracks seen at ``now``; call it once a frame with all tracks of the camera."""
        if not self._polygons:
            return
        for track in tracks:
            if track.seen == now:
                self._move(track, self.of(track.box.bottom_center), now)
        live = {track.id for track in tracks}
        self._changing = {track: since for track, since in self._changing.items() if track in live}

    def _move(self, track: Track, there: frozenset[str], now: float) -> None:
        if track.id not in self._changing:
            self._changing[track.id] = {}
            track.zones = there
            return
        before = self._changing[track.id]
        since = {name: before.get(name, now) for name in there ^ track.zones}
        lasting = frozenset(name for name, start in since.items() if now - start >= self._inertia)
        track.zones ^= lasting
        self._changing[track.id] = {name: start for name, start in since.items() if name not in lasting}


def holds(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a polygon holds a point, edges included."""
    inside = False
    for (ax, ay), (bx, by) in pairwise((*polygon, polygon[0])):
        if _on_edge(ax, ay, bx, by, x, y):
            return True
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            inside = not inside
    return inside


def _on_edge(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> bool:
    if not (
        min(ax, bx) - ON_EDGE <= x <= max(ax, bx) + ON_EDGE and min(ay, by) - ON_EDGE <= y <= max(ay, by) + ON_EDGE
    ):
        return False
    return abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) <= ON_EDGE
