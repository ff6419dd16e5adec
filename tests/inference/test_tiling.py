"""Small things in large pictures: where the parts lie, and that what they show is one list without doubles."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.imaging import image as pictures
from edge.core.settings.vision import ModelSettings
from edge.core.types import WHOLE, Box, Detection, Picture, Point
from edge.inference.load import load_detector
from edge.inference.tiling import OVERLAP, Tiling, grid

sizes = st.integers(16, 5000)


def close(box: Box, other: Box, by: float = 0.02) -> bool:
    pairs = zip(
        (box.left, box.top, box.right, box.bottom), (other.left, other.top, other.right, other.bottom), strict=True
    )
    return all(abs(a - b) <= by for a, b in pairs)


@settings(deadline=None)
@given(sizes, sizes, st.integers(1, 64))
def test_the_parts_cover_the_picture_overlap_and_are_no_more_than_was_said(width: int, height: int, most: int) -> None:
    parts = grid(width, height, 320, 240, most)

    assert len(parts) <= most
    if not parts:
        return
    assert len(parts) > 1
    for lows, highs in (
        (sorted({part.left for part in parts}), sorted({part.right for part in parts})),
        (sorted({part.top for part in parts}), sorted({part.bottom for part in parts})),
    ):
        assert lows[0] == 0
        assert highs[-1] == pytest.approx(1)
        length = highs[0] - lows[0]
        assert all(high - low == pytest.approx(OVERLAP * length) for low, high in zip(lows[1:], highs, strict=False))
        assert all(later > earlier for earlier, later in pairwise(lows))


@given(sizes, sizes, st.integers(1, 64))
def test_more_parts_never_show_less(width: int, height: int, most: int) -> None:
    def scale(parts: tuple[Box, ...]) -> float:
        part = parts[0] if parts else WHOLE
        return max(1.0, part.width * width / 320, part.height * height / 240)

    assert scale(grid(width, height, 320, 240, most + 1)) <= scale(grid(width, height, 320, 240, most)) + 1e-9
    assert scale(grid(width, height, 320, 240, most)) <= scale(())


def test_a_picture_no_larger_than_the_input_has_no_parts() -> None:
    assert grid(320, 240, 320, 240, 9) == ()
    assert grid(200, 100, 320, 240, 9) == ()


class SeesSquares:
    """Sees white squares on black, whole or in part, from three pixels of its input on."""

    size = (32, 24)

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        import cv2

        self.calls += 1
        scale = max(1.0, picture.width / self.size[0], picture.height / self.size[1])
        count, _, stats, _ = cv2.connectedComponentsWithStats((picture.data[:, :, 0] > 128).astype(np.uint8))
        found = []
        for left, top, across, down, _ in stats[1:count].tolist():
            if min(across, down) / scale >= 3:
                box = Box(
                    left / picture.width, top / picture.height,
                    (left + across) / picture.width, (top + down) / picture.height,
                )  # fmt: skip
                found.append(Detection("face", 0.9, box, (Point(box.center.x, box.center.y),)))
        return found


def squares(*places: tuple[int, int, int], width: int = 160, height: int = 120) -> Picture:
    data = np.zeros((height, width, 3), np.uint8)
    for left, top, side in places:
        data[top : top + side, left : left + side] = 255
    return Picture(data, "rgb", width, height)


def looked(picture: Picture, most: int = 20, regions: tuple[Box, ...] = (WHOLE,)) -> tuple[list[Detection], int]:
    detector, tiling = SeesSquares(), Tiling(most)
    found = tiling.add(detector, detector.detect(picture), picture, regions)
    assert detector.calls == 1 + tiling.looks <= 1 + most
    return found, tiling.looks


def test_what_is_too_small_in_the_whole_picture_is_found_in_a_part_and_placed_in_the_whole() -> None:
    picture = squares((100, 70, 5))

    assert SeesSquares().detect(picture) == []
    (found,), _ = looked(picture)
    assert close(found.box, Box(100 / 160, 70 / 120, 105 / 160, 75 / 120), 0.001)
    assert found.landmarks[0].x == pytest.approx(102.5 / 160)
    assert found.landmarks[0].y == pytest.approx(72.5 / 120)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 120), st.integers(0, 80), st.integers(4, 40), st.sampled_from([4, 6, 9, 20]))
def test_one_face_is_one_box_wherever_the_borders_cut_it(left: int, top: int, side: int, most: int) -> None:
    side = min(side, 120 - top, 160 - left)
    found, _ = looked(squares((left, top, side)), most)

    true = Box(left / 160, top / 120, (left + side) / 160, (top + side) / 120)
    assert len(found) <= 1
    if side >= 15:
        assert len(found) == 1
    if found:
        assert found[0].box.iou(true) > 0.6


def test_two_faces_side_by_side_stay_two() -> None:
    found, _ = looked(squares((60, 50, 6), (68, 50, 6)))

    assert len(found) == 2


def test_pieces_that_no_look_shows_whole_are_put_together() -> None:
    class SeesNothingWhole(SeesSquares):
        def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
            whole = picture.width == 160
            return [] if whole else super().detect(picture, scores)

    picture = squares((40, 30, 70))
    found = Tiling(4).add(SeesNothingWhole(), [], picture)

    assert len(found) == 1
    assert close(found[0].box, Box(40 / 160, 30 / 120, 110 / 160, 100 / 120))


def test_only_parts_where_something_moves_are_looked_at() -> None:
    picture = squares((10, 10, 5), (140, 100, 5))
    everything, all_looks = looked(picture)
    here, looks = looked(picture, regions=(Box(0.05, 0.05, 0.1, 0.1),))

    assert len(everything) == 2
    assert len(here) == 1
    assert 1 <= looks < all_looks
    assert looked(picture, regions=()) == ([], 0)


def test_i420_parts_are_the_same_places() -> None:
    import cv2

    picture = squares((100, 70, 6))
    planes = cv2.cvtColor(np.ascontiguousarray(picture.data), cv2.COLOR_RGB2YUV_I420)
    (found,), _ = looked(picture)
    (same,) = Tiling(20).add(SeesSquares(), [], Picture(planes, "i420", 160, 120))

    assert close(found.box, same.box)


def test_small_faces_of_a_group_are_found_by_the_shipped_detector(shared_data: Path, tmp_path: Path) -> None:
    detector = load_detector("edge-face-detector-1", ModelSettings(threads=1), tmp_path)
    picture = pictures.read(shared_data / "stills" / "crowd_1.jpg")  # 52 faces of 9 to 16 pixels of the whole's input
    scores = {"face": detector.card.thresholds.score}
    whole = detector.detect(picture, scores)
    tiling = Tiling(4)
    found = tiling.add(detector, whole, picture, scores=scores)

    assert tiling.looks == 4
    assert len(whole) <= 32 < 45 <= len(found) <= 55
    assert all(a is b or a.box.iou(b.box) < 0.4 for a in found for b in found)
