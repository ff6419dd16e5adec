"""Regions of interest: a detection counts where more than half of its box is inside one region."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge.core.types import Box, Point

MOST_CORNERS = 10
SHARE = 0.5

Corners = tuple[Point, ...]


def problem(regions: Sequence[Mapping[str, Any]]) -> str:
    """The error in RegionsOfInterest; empty where they are valid."""
    for region in regions:
        if len(region) != 1:
            return "each region is either a BoundingBox or a Polygon"
        corners = _corners(region)
        if "BoundingBox" in region and len(region["BoundingBox"]) != 4:
            return "a BoundingBox needs Left, Top, Width and Height"
        if not 3 <= len(corners) <= MOST_CORNERS:
            return f"a Polygon has 3 to {MOST_CORNERS} points with X and Y"
        if any(not (0 <= corner.x <= 1 and 0 <= corner.y <= 1) for corner in corners):
            return "regions lie inside the picture, 0..1"
        if _area(corners) == 0:
            return "a region has an area"
    return ""


def inside(box: Box, regions: Sequence[Mapping[str, Any]]) -> bool:
    """True without regions, or where one region contains more than half of the box."""
    if not regions:
        return True
    if box.area <= 0:
        return False
    return any(_area(_cut(_corners(region), box)) > SHARE * box.area for region in regions)


def _corners(region: Mapping[str, Any]) -> Corners:
    if "BoundingBox" in region:
        left, top = region["BoundingBox"].get("Left", 0.0), region["BoundingBox"].get("Top", 0.0)
        right = left + region["BoundingBox"].get("Width", 0.0)
        bottom = top + region["BoundingBox"].get("Height", 0.0)
        # a box that reaches the border may miss it by a rounding error
        right, bottom = (1.0 if 1 < edge <= 1 + 1e-6 else edge for edge in (right, bottom))
        return (Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom))
    points = region.get("Polygon", [])
    return tuple(Point(point["X"], point["Y"]) for point in points if "X" in point and "Y" in point)


def _cut(corners: Corners, box: Box) -> Corners:
    """The part of a polygon inside a box (Sutherland-Hodgman clipping)."""
    depths: tuple[Callable[[Point], float], ...] = (
        lambda p: p.x - box.left,
        lambda p: box.right - p.x,
        lambda p: p.y - box.top,
        lambda p: box.bottom - p.y,
    )
    for depth in depths:
        kept: list[Point] = []
        for last, corner in zip((*corners[-1:], *corners[:-1]), corners, strict=True):
            was, now = depth(last), depth(corner)
            if (was < 0) != (now < 0):
                share = was / (was - now)
                kept.append(Point(last.x + share * (corner.x - last.x), last.y + share * (corner.y - last.y)))
            if now >= 0:
                kept.append(corner)
        corners = tuple(kept)
    return corners


def _area(corners: Corners) -> float:
    """Area of a polygon (shoelace formula)."""
    pairs = zip(corners, (*corners[1:], *corners[:1]), strict=True)
    return abs(sum(a.x * b.y - b.x * a.y for a, b in pairs)) / 2
