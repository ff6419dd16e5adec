from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.settings.vision import CameraSettings
from edge.core.types import WHOLE, Box, Frame, Picture
from edge.pipeline.motion import MotionDetector, MotionResult
from edge.sources.factory import open_source

FPS = 5


class Scene:
    """A room filmed at 320 x 180, with noise of a cheap sensor. ``gain`` is the light, ``thing`` what stands in it."""

    def __init__(self, noise: float = 4.0) -> None:
        self._chance = np.random.default_rng(5)
        coarse = self._chance.uniform(40, 180, (9, 16)).astype(np.float32)
        self._room = cv2.resize(coarse, (320, 180), interpolation=cv2.INTER_CUBIC)
        self._noise, self._number = noise, 0

    def frame(self, thing: Box | None = None, gain: float = 1.0, lamp: float = 0.0) -> Frame:
        luma = self._room * gain
        luma[:, :100] += lamp
        if thing is not None:
            luma[
                round(thing.top * 180) : round(thing.bottom * 180), round(thing.left * 320) : round(thing.right * 320)
            ] = 230 * gain
        luma = luma + self._chance.normal(0, self._noise, luma.shape)
        planes = np.full((270, 320), 128, np.uint8)
        planes[:180] = np.clip(luma, 0, 255)
        self._number += 1
        at = self._number / FPS
        return Frame("door", self._number, 100 + at, at, Picture(planes, "i420", 320, 180))


def still(scene: Scene, motion: MotionDetector, seconds: float) -> list[MotionResult]:
    return [motion.look(scene.frame()) for _ in range(int(seconds * FPS))]


def moving(results: list[MotionResult]) -> int:
    return sum(result.moving for result in results)


def test_the_first_look_is_at_everything() -> None:
    result = MotionDetector().look(Scene().frame())
    assert (result.moving, result.regions) == (True, (WHOLE,))


@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0, 10.0])
def test_noise_does_not_move(noise: float) -> None:
    results = still(Scene(noise), MotionDetector(), 20)
    assert moving(results[1:]) == 0


def test_a_thing_that_crosses_is_seen_in_every_frame_where_it_is() -> None:
    scene, motion = Scene(), MotionDetector()
    still(scene, motion, 10)
    for step in range(30):
        left = 0.02 + step * 0.03
        thing = Box(left, 0.5, left + 0.05, 0.65)
        result = motion.look(scene.frame(thing))
        assert result.moving
        assert max(thing.held_by(region) for region in result.regions) > 0.8
    assert moving(still(scene, motion, 4)[2:]) == 0


def test_a_face_far_away_is_enough() -> None:
    scene, motion = Scene(2.0), MotionDetector()
    still(scene, motion, 10)
    assert motion.look(scene.frame(Box(0.4, 0.4, 0.43, 0.45))).moving


def test_the_region_is_where_the_thing_is() -> None:
    scene, motion = Scene(), MotionDetector()
    still(scene, motion, 10)
    thing = Box(0.6, 0.3, 0.8, 0.7)
    (region,) = motion.look(scene.frame(thing)).regions
    assert region.iou(thing) > 0.7


def test_two_things_are_two_regions_the_larger_first() -> None:
    scene, motion = Scene(), MotionDetector()
    still(scene, motion, 5)
    frame, more = scene.frame(Box(0.1, 0.2, 0.2, 0.4)), Box(0.6, 0.2, 0.9, 0.8)
    frame.main.data[36:144, 192:288] = 230
    regions = motion.look(frame).regions
    assert len(regions) == 2
    assert regions[0].iou(more) > 0.7


@pytest.mark.parametrize("gain", [0.6, 0.8, 1.3])
def test_light_that_changes_everywhere_at_once_does_not_move(gain: float) -> None:
    scene, motion = Scene(3.0), MotionDetector()
    still(scene, motion, 10)
    results = [motion.look(scene.frame(gain=gain)) for _ in range(25)]
    assert moving(results) == 0


def test_a_thing_is_seen_also_while_the_light_changes() -> None:
    scene, motion = Scene(3.0), MotionDetector()
    still(scene, motion, 10)
    thing = Box(0.3, 0.3, 0.5, 0.8)
    (region,) = motion.look(scene.frame(thing, gain=0.7)).regions
    assert region.iou(thing) > 0.6


def test_slow_light_does_not_move() -> None:
    scene, motion = Scene(3.0), MotionDetector()
    results = [motion.look(scene.frame(gain=1 + 0.3 * np.sin(step / 60), lamp=step / 20)) for step in range(250)]
    assert moving(results[1:]) == 0


def test_a_lamp_in_a_corner_is_looked_at_and_then_absorbed() -> None:
    scene, motion = Scene(), MotionDetector(absorb_seconds=10)
    still(scene, motion, 10)
    results = [motion.look(scene.frame(lamp=40)) for _ in range(40 * FPS)]
    assert results[0].moving
    assert moving(results[-10 * FPS :]) == 0


def test_somebody_who_sits_down_is_background_after_a_while_and_moves_when_he_leaves() -> None:
    scene, motion, sitting = Scene(), MotionDetector(), Box(0.3, 0.3, 0.5, 0.8)
    still(scene, motion, 10)
    results = [motion.look(scene.frame(sitting)) for _ in range(40 * FPS)]
    assert all(result.moving for result in results[: 8 * FPS]), "not before a face had time to turn to the camera"
    assert moving(results[30 * FPS :]) == 0
    assert motion.look(scene.frame()).moving


def test_another_picture_is_one_look_at_everything_and_a_new_background() -> None:
    scene, motion = Scene(), MotionDetector()
    still(scene, motion, 5)
    other = [motion.look(mirrored(scene.frame())) for _ in range(20)]
    assert other[0].regions == (WHOLE,)
    assert moving(other[1:]) == 0


def mirrored(frame: Frame) -> Frame:
    data = frame.main.data.copy()
    data[:180] = 255 - data[:180, ::-1]
    return Frame(frame.camera, frame.sequence, frame.monotonic, frame.time, Picture(data, "i420", 320, 180))


def test_another_size_starts_over() -> None:
    motion = MotionDetector()
    still(Scene(), motion, 2)
    picture = Picture(np.full((270, 480, 3), 90, np.uint8), "rgb", 480, 270)
    assert motion.look(Frame("door", 1, 200.0, 0.0, picture)).regions == (WHOLE,)


def test_time_that_stands_still_or_jumps_is_survived() -> None:
    scene, motion = Scene(), MotionDetector()
    for at in (100.0, 100.0, 99.0, 5000.0, 5000.2):
        frame = scene.frame()
        motion.look(Frame("door", 1, at, 0.0, frame.main))
    assert not motion.look(scene.frame()).moving


def test_black_and_white_pictures_are_survived() -> None:
    motion = MotionDetector()
    for brightness in (0, 0, 255, 255, 0, 0):
        picture = Picture(np.full((90, 160, 3), brightness, np.uint8), "rgb", 160, 90)
        last = motion.look(Frame("door", 1, 100.0, 0.0, picture))
    assert not last.moving


def clip(shared_data: Path, name: str) -> Iterator[Frame]:
    camera = CameraSettings(source=f"video:{shared_data / 'video' / name}", realtime=False, fps=FPS)
    return iter(open_source(camera).frames())


def test_no_frame_with_a_moving_car_is_missed_and_the_empty_street_is_left_alone(shared_data: Path) -> None:
    """Frames at 5 a second, by eye: cars move in 22..46, 72..96 and 126..138; nothing in 100..122 and 142..150."""
    motion = MotionDetector()
    looked = {frame.sequence: motion.look(frame).moving for frame in clip(shared_data, "car-detection.mp4")}
    cars = [*range(22, 47), *range(72, 97), *range(126, 139)]
    empty = [*range(100, 123), *range(142, 151)]
    assert [number for number in cars if not looked[number]] == []
    assert sum(looked[number] for number in empty) <= 2


def test_a_stage_with_people_on_it_always_moves(shared_data: Path) -> None:
    motion = MotionDetector()
    assert all(motion.look(frame).moving for frame in clip(shared_data, "short_hamilton_clip.mp4"))


def test_everybody_who_walks_through_the_synthetic_scene_is_seen() -> None:
    from edge.sources.synthetic import Synthetic

    synthetic, motion = (
        Synthetic(CameraSettings(source="synthetic", realtime=False, width=640, height=360), ""),
        MotionDetector(),
    )
    for frame in synthetic.frames():
        result = motion.look(frame)
        for presence in synthetic.truth(frame.sequence):
            covered = max((presence.box.clipped().held_by(region) for region in result.regions), default=0.0)
            assert covered > 0.3, f"frame {frame.sequence}: {presence.subject} missed"


def test_the_small_plane_is_used_where_there_is_one() -> None:
    motion = MotionDetector()
    dark = Picture(np.zeros((90, 160, 3), np.uint8), "rgb", 160, 90)
    main = Picture(np.zeros((720, 1280, 3), np.uint8), "rgb", 1280, 720)
    motion.look(Frame("door", 1, 100.0, 0.0, main, dark))
    bright = dark.data.copy()
    bright[30:60, 40:80] = 200
    assert motion.look(Frame("door", 2, 100.2, 0.0, main, Picture(bright, "rgb", 160, 90))).moving
