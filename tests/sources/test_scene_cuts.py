from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.settings.vision import CameraSettings
from edge.sources.av import VideoFile
from edge.sources.scene_cuts import SceneCuts


def a_room(seed: int) -> np.ndarray:
    """Something with structure: blots of light and dark, (180, 320)."""
    noise = np.random.default_rng(seed).random((9, 16)).astype(np.float32)
    return (cv2.resize(noise, (320, 180), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255).astype(np.uint8)


def cuts(pictures: list[np.ndarray], interval: float = 0.04) -> list[int]:
    shots = SceneCuts()
    return [n for n, picture in enumerate(pictures) if shots.begins(picture, n * interval)]


def test_another_room_is_a_cut() -> None:
    assert cuts([a_room(1)] * 5 + [a_room(2)] * 5 + [a_room(3)]) == [5, 10]


def test_a_pan_and_a_light_that_goes_on_are_none() -> None:
    room = a_room(1)
    pan = [np.roll(room, 6 * n, axis=1) for n in range(10)]
    assert cuts([*pan, (pan[-1] // 3), pan[-1]]) == []


def test_something_that_runs_through_an_empty_scene_is_none() -> None:
    pictures = []
    for n in range(20):
        street = np.full((180, 320), 90, np.uint8)
        street[60:120, 16 * n : 16 * n + 60] = 220
        pictures.append(street)
    assert cuts(pictures) == []


def test_pictures_far_apart_in_time_are_not_compared() -> None:
    assert cuts([a_room(1), a_room(2), a_room(3)], interval=1.0) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255), st.integers(0, 255))
def test_plain_pictures_of_any_size_are_no_cuts(height: int, width: int, first: int, second: int) -> None:
    flat = [np.full((height, width), value, np.uint8) for value in (first, second, first)]
    assert cuts(flat) == []


@pytest.mark.parametrize(("name", "expected"), [("short_hamilton_clip", [0.8, 2.8, 7.21]), ("car-detection", [])])
def test_the_cuts_of_real_videos_are_found_at_the_frame_that_follows(
    shared_data: Path, name: str, expected: list[float]
) -> None:
    source = VideoFile(CameraSettings(fps=5, realtime=False), str(shared_data / "video" / f"{name}.mp4"))
    found = [frame.video_time for frame in source.frames() if frame.cut]
    assert found == pytest.approx(expected, abs=0.02)


def test_a_video_that_starts_again_is_cut(shared_data: Path) -> None:
    source = VideoFile(
        CameraSettings(fps=1, realtime=False, loop=True), str(shared_data / "video" / "car-detection.mp4")
    ).frames()
    starts = []
    for frame in source:
        starts += [frame.video_time] if frame.cut else []
        if frame.sequence > 40:
            break
    source.close()
    assert starts == [0.0]
