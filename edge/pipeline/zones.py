"""Zones: polygons in fractions of the frame, entered by the bottom center of a box.

A corner or an edge belongs to the zone: things stand on the picture's lower edge. Where a polygon crosses itself,
the even-odd rule decides. A track is in a zone, or out of it again, after ``inertia`` seconds of it, so that a box
that trembles on an edge reports nothing; where it is first seen, it is at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from edge.core.types import Point, Track

Polygon = Sequence[tuple[float, float]]
_Edge = tuple[float, float, float, float]

ON_EDGE = 1e-9


class Zones:
    """The zones of one camera."""

    def __init__(self, polygons: Mapping[str, Polygon], inertia: float = 0.4) -> None:
        self._zones = {name: _edges(polygon) for name, polygon in polygons.items()}
        self._inertia = inertia
        self._changing: dict[str, dict[str, float]] = {}
        """by track: the zones whose membership changed lately, and since when (monotonic seconds)"""

    def of(self, point: Point) -> frozenset[str]:
        """The zones that hold a point, without inertia. A point outside the frame counts where the frame ends."""
        x, y = min(1.0, max(0.0, point.x)), min(1.0, max(0.0, point.y))
        return frozenset([name for name, edges in self._zones.items() if _holds(edges, x, y)])

    def update(self, tracks: Sequence[Track], now: float) -> None:
        """Set ``zones`` of the tracks seen at ``now``; call it once a frame with all tracks of the camera."""
        if not self._zones:
            return
        for track in tracks:
            if track.seen == now:
                self._move(track, self.of(track.box.bottom_center), now)
        if len(self._changing) > len(tracks):
            live = {track.id for track in tracks}
            self._changing = {track: since for track, since in self._changing.items() if track in live}

    def _move(self, track: Track, there: frozenset[str], now: float) -> None:
        if track.id not in self._changing:
            self._changing[track.id] = {}
            track.zones = there
            return
        before = self._changing[track.id]
        if there == track.zones and not before:
            return
        since = {name: before.get(name, now) for name in there ^ track.zones}
        lasting = frozenset(name for name, start in since.items() if now - start >= self._inertia)
        track.zones ^= lasting
        self._changing[track.id] = {name: start for name, start in since.items() if name not in lasting}


def holds(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a polygon holds a point, edges included."""
    return _holds(_edges(polygon), x, y)


def _edges(polygon: Polygon) -> tuple[_Edge, ...]:
    return tuple((*start, *end) for start, end in pairwise((*polygon, polygon[0])))


def _holds(edges: tuple[_Edge, ...], x: float, y: float) -> bool:
    inside = False
    for ax, ay, bx, by in edges:
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if -ON_EDGE <= side <= ON_EDGE and _between(ax, bx, x) and _between(ay, by, y):
            return True
        if (ay > y) != (by > y) and (side > 0) == (by > ay):
            inside = not inside
    return inside


def _between(start: float, end: float, value: float) -> bool:
    return min(start, end) - ON_EDGE <= value <= max(start, end) + ON_EDGE
