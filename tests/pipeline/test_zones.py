import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.settings.vision import CameraSettings
from edge.core.types import Box, Point, Track
from edge.pipeline.zones import Zones, holds

SQUARE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
L_SHAPE = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0))


def standing_at(x: float, y: float, now: float) -> Track:
    return Track("1-1", "door", "person", Box(x - 0.1, y - 0.3, x + 0.1, y), 0.9, 0.0, now, 0.0, now)


def walk(zones: Zones, steps: list[tuple[float, float, float]]) -> list[set[str]]:
    """Zones of a track after each (seconds, x, y) of its bottom center."""
    track, seen = standing_at(0.0, 0.0, 0.0), []
    for now, x, y in steps:
        track.box, track.seen = Box(x - 0.1, y - 0.3, x + 0.1, y), now
        zones.update([track], now)
        seen.append(set(track.zones))
    return seen


def test_the_bottom_center_of_the_box_enters_a_zone() -> None:
    zones = Zones({"mat": SQUARE})
    assert zones.of(Box(0.4, 0.0, 0.6, 0.5).bottom_center) == {"mat"}
    assert zones.of(Box(0.4, 0.3, 0.6, 0.9).bottom_center) == frozenset()


@pytest.mark.parametrize("point", [(0.2, 0.5), (0.8, 0.5), (0.5, 0.2), (0.5, 0.8), (0.2, 0.2), (0.8, 0.8)])
def test_edges_and_corners_belong_to_the_zone(point: tuple[float, float]) -> None:
    assert holds(SQUARE, *point)


def test_what_is_cut_by_the_lower_edge_of_the_frame_stands_on_it() -> None:
    zones = Zones({"front": ((0.0, 0.7), (1.0, 0.7), (1.0, 1.0), (0.0, 1.0))})
    assert zones.of(Point(0.5, 1.0)) == {"front"}
    assert zones.of(Point(0.5, 1.08)) == {"front"}


def test_zones_may_overlap() -> None:
    assert Zones({"a": SQUARE, "b": L_SHAPE}).of(Point(0.3, 0.3)) == {"a", "b"}


def test_a_polygon_that_crosses_itself_has_a_hole_where_it_covers_twice() -> None:
    star = ((0.5, 0.0), (0.8, 1.0), (0.0, 0.4), (1.0, 0.4), (0.2, 1.0))
    assert holds(star, 0.5, 0.2)
    assert not holds(star, 0.5, 0.55)


def test_where_a_track_is_first_seen_it_is_at_once() -> None:
    assert walk(Zones({"mat": SQUARE}, inertia=1.0), [(0.0, 0.5, 0.5)]) == [{"mat"}]


def test_a_zone_is_entered_and_left_after_its_inertia() -> None:
    steps = [(0.0, 0.1, 0.5), (0.2, 0.5, 0.5), (0.4, 0.5, 0.5), (0.7, 0.5, 0.5), (0.8, 0.1, 0.5), (1.3, 0.1, 0.5)]
    assert walk(Zones({"mat": SQUARE}, inertia=0.4), steps) == [set(), set(), set(), {"mat"}, {"mat"}, set()]


def test_a_box_that_trembles_on_an_edge_reports_nothing() -> None:
    steps = [(n * 0.2, 0.19 if n % 2 else 0.21, 0.5) for n in range(40)]
    assert all(zones == {"mat"} for zones in walk(Zones({"mat": SQUARE}, inertia=0.4), steps))


def test_at_one_frame_a_second_the_second_look_is_enough() -> None:
    steps = [(0.0, 0.1, 0.5), (1.0, 0.5, 0.5), (2.0, 0.5, 0.5)]
    assert walk(Zones({"mat": SQUARE}, inertia=0.4), steps) == [set(), set(), {"mat"}]


def test_a_track_that_is_not_seen_stays_in_its_zone_and_is_forgotten_at_its_end() -> None:
    zones, track = Zones({"mat": SQUARE}), standing_at(0.5, 0.5, 0.0)
    zones.update([track], 0.0)
    track.box = Box(0.0, 0.0, 0.1, 0.1)
    zones.update([track], 5.0)
    assert track.zones == {"mat"}
    zones.update([], 6.0)
    track.seen = 7.0
    zones.update([track], 7.0)
    assert track.zones == frozenset()


def by_winding(polygon: tuple[tuple[float, float], ...], x: float, y: float) -> bool:
    """The reference, for convex polygons in order: the point is on the same side of every edge."""
    sides = []
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
    return all(side >= -1e-9 for side in sides) or all(side <= 1e-9 for side in sides)


tenths = st.integers(0, 40).map(lambda n: n / 40)


@given(st.tuples(tenths, tenths), st.tuples(tenths, tenths), st.tuples(tenths, tenths), tenths, tenths)
def test_triangles_hold_what_the_reference_says(
    a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], x: float, y: float
) -> None:
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if abs(area) < 1e-6:
        return
    assert holds((a, b, c), x, y) == by_winding((a, b, c), x, y)


@given(st.lists(st.tuples(tenths, tenths), min_size=3, max_size=8), tenths, tenths)
def test_where_a_polygon_starts_and_which_way_it_goes_does_not_matter(
    corners: list[tuple[float, float]], x: float, y: float
) -> None:
    expected = holds(corners, x, y)
    assert holds(corners[1:] + corners[:1], x, y) == expected
    assert holds(corners[::-1], x, y) == expected


@pytest.mark.parametrize(
    "corners",
    [
        [(0.1, 0.1), (0.5, 0.5)],
        [(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)],
        [(0.3, 0.3), (0.3, 0.3), (0.3, 0.3)],
        [(0.1, 0.2), (0.1, 0.2), (0.6, 0.2), (0.9, 0.2)],
        [(0.1, 0.1), (1.2, 0.5), (0.5, 0.9)],
    ],
)
def test_a_zone_without_an_inside_or_outside_the_frame_is_refused(corners: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"zone|less than or equal"):
        CameraSettings(zones={"mat": corners})


def test_a_zone_may_cross_itself_or_repeat_a_corner() -> None:
    bow = CameraSettings(zones={"bow": [(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)]})
    assert Zones(bow.zones).of(Point(0.5, 0.15)) == frozenset()
    assert Zones(bow.zones).of(Point(0.8, 0.5)) == {"bow"}
    assert CameraSettings(zones={"mat": [(0.1, 0.1), (0.1, 0.1), (0.9, 0.1), (0.5, 0.9)]}).zones
