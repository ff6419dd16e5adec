"""What lies in a mask is ignored: motion, and detections with the center of their box in it."""

from __future__ import annotations

import numpy as np
import pytest
from rigs.fakes import a_frame, a_model_set, a_picture, ids

from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Box, Frame
from edge.pipeline.frame_gate import FrameGate
from edge.pipeline.masks import Masks
from edge.pipeline.pipeline import Pipeline

LEFT = {"tv": ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))}


def test_a_box_is_hidden_by_its_center() -> None:
    masks = Masks(LEFT)
    assert masks.hide(Box(0.1, 0.1, 0.8, 0.9))
    assert not masks.hide(Box(0.2, 0.1, 0.9, 0.9))


def test_the_pixels_of_a_mask_are_those_of_its_polygon() -> None:
    pixels = Masks(LEFT).pixels(10, 21)
    assert pixels.shape == (10, 21)
    assert pixels[:, :11].all()
    assert not pixels[:, 11:].any()


def moving_block(number: int, column: int) -> Frame:
    picture = a_picture(160, 100)
    picture.data[20 + 5 * number % 40 : 40 + 5 * number % 40, column : column + 20] = 220
    return a_frame(number, picture=picture)


@pytest.mark.parametrize(("column", "moving"), [(20, False), (120, True)])
def test_motion_in_a_mask_is_not_looked_at(column: int, moving: bool) -> None:
    gate = FrameGate(CameraSettings(masks=LEFT))
    seen = []
    for number in range(8):
        gate.worth(moving_block(number, column), ())
        seen.append(gate.moving)
    assert seen[0]  # the background is not known yet
    assert seen[1:] == [moving] * 7


def test_a_television_in_a_mask_does_not_hide_what_moves_beside_it() -> None:
    gate = FrameGate(CameraSettings(masks=LEFT))
    random = np.random.default_rng(1)
    for number in range(8):
        frame = moving_block(number, 120)
        frame.main.data[:, :80] = random.integers(0, 255, (100, 80, 3))
        gate.worth(frame, ())
    assert gate.moving
    assert all(region.left > 0.5 for region in gate._regions)


def test_a_face_in_a_mask_is_not_reported() -> None:
    for masks, reported in (({}, True), ({"poster": ((0.3, 0.2), (0.6, 0.2), (0.6, 0.6), (0.3, 0.6))}, False)):
        camera = CameraSettings(name="door", detectors=("fake",), motion=False, masks=masks)
        settings = Settings(cameras=(camera,))
        pipeline = Pipeline(camera, settings, a_model_set(), ids())
        events = [event for number in range(10) for event in pipeline.process(a_frame(number)).events]
        assert bool(events) is reported
