"""Frame gating: whether detectors run on a frame, and on which tiles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rigs.fakes import a_frame, a_picture

from edge.core.settings.vision import CameraSettings
from edge.core.types import Box, Detection, Picture, Track
from edge.pipeline.frame_gate import LOOK_AT_NOTHING, FrameGate
from edge.pipeline.load_shedding import LADDER


class Counts:
    """A detector that sees nothing, and counts."""

    size = (40, 30)
    labels = ("face",)

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        self.calls += 1
        return []


def a_scene(block: tuple[int, int] | None = None) -> Picture:
    picture = a_picture(160, 120)
    if block:
        x, y = block
        picture.data[y : y + 12, x : x + 12] = 255
    return picture


def parts(frame_gate: FrameGate, number: int, picture: Picture, tracks: tuple[Track, ...] = ()) -> int:
    """Parts that are looked at in a frame."""
    frame, detector = a_frame(number, picture=picture), Counts()
    if not frame_gate.worth(frame, tracks):
        return 0
    frame_gate.looks(frame)
    frame_gate.closer(detector, frame, [], {"face": 0.5})
    return detector.calls


def a_track(box: Box, seen: float) -> Track:
    return Track("1-1", "door", "face", box, 0.9, seen, seen, 0.0, 0.0, confirmed=True)


def test_parts_are_looked_at_where_something_moves_and_all_of_them_where_nothing_is_known() -> None:
    frame_gate = FrameGate(CameraSettings(name="door", tiles=16, motion=True))

    assert parts(frame_gate, 0, a_scene()) == 16
    assert parts(frame_gate, 1, a_scene()) == 0
    assert 1 <= parts(frame_gate, 2, a_scene((20, 20))) <= 4
    assert parts(frame_gate, 3 + int(5 * LOOK_AT_NOTHING), a_scene((20, 20))) >= 1


def test_a_small_face_that_stands_still_is_looked_at_closely_too() -> None:
    frame_gate = FrameGate(CameraSettings(name="door", tiles=16, motion=True))
    parts(frame_gate, 0, a_scene())
    track = a_track(Box(0.8, 0.8, 0.85, 0.9), 1000.0)

    assert parts(frame_gate, 1, a_scene(), (track,)) == 0
    assert 1 <= parts(frame_gate, 6, a_scene(), (track,)) <= 4


def test_without_motion_every_part_is_looked_at_and_none_while_regions_are_given_up() -> None:
    frame_gate = FrameGate(CameraSettings(name="door", tiles=9, motion=False))

    assert parts(frame_gate, 0, a_scene()) == 9
    frame_gate.shed = LADDER[3]
    assert parts(frame_gate, 1, a_scene()) == 0


def test_a_camera_without_tiles_looks_at_the_whole_only() -> None:
    frame_gate, seen = FrameGate(CameraSettings(name="door")), [Detection("face", 0.9, Box(0, 0, 1, 1))]
    frame = a_frame(0, picture=Picture(np.zeros((900, 1600, 3), np.uint8), "rgb", 1600, 900))

    assert frame_gate.worth(frame, ())
    assert frame_gate.closer(Counts(), frame, seen, {}) is seen
