from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from edge.core.errors import SettingsError, SourceError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame, Picture
from edge.sources.base import CameraState, fitted
from edge.sources.factory import open_source
from edge.sources.picamera2 import PiCamera2
from edge.sources.reconnect import Backoff, reconnecting

RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)


def a_camera(**changes: Any) -> CameraSettings:
    return CameraSettings(
        name="door", **{"source": "picamera2", "width": 320, "height": 240, "fps": 100, "stall": 0.2, **changes}
    )


def first(camera: CameraSettings, count: int = 1) -> list[Frame]:
    with closing(PiCamera2(camera, "")) as source:
        return list(itertools.islice(source.frames(), count))


def colors(picture: Picture) -> list[tuple[int, ...]]:
    """Of the four corners' insides: top left, top right, bottom left, bottom right."""
    rgb = pictures.to_rgb(picture)
    height, width = rgb.shape[:2]
    places = [(y, x) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [tuple(int(value) for value in rgb[place]) for place in places]


def close_to(got: list[tuple[int, ...]], expected: list[tuple[int, int, int]]) -> bool:
    return bool(np.abs(np.array(got) - np.array(expected)).max() < 12)


def test_both_streams_show_the_scene_although_rows_are_padded(board: Any) -> None:
    (frame,) = first(a_camera(width=300, height=300, small_width=200, small_height=200))
    assert frame.main.data.shape == (450, 384)
    assert close_to(colors(frame.main), [RED, GREEN, BLUE, BLUE])
    assert frame.small is not None
    assert close_to(colors(frame.small), [RED, GREEN, BLUE, BLUE])


def test_rgb888_is_read_as_blue_green_red(board: Any) -> None:
    board.main_format = "RGB888"
    (frame,) = first(a_camera())
    assert frame.main.layout == "bgr"
    assert close_to(colors(frame.main), [RED, GREEN, BLUE, BLUE])


def test_a_frame_outlives_its_request(board: Any) -> None:
    frames = first(a_camera(), 12)
    assert all(close_to(colors(frame.main), [RED, GREEN, BLUE, BLUE]) for frame in frames)
    assert [frame.sequence for frame in frames] == list(range(12))


def test_half_a_turn_is_left_to_the_sensor(board: Any) -> None:
    (frame,) = first(a_camera(rotation=180))
    assert board.configurations[-1]["transform"].hflip
    assert close_to(colors(frame.main), [BLUE, BLUE, GREEN, RED])


@pytest.mark.parametrize(("rotation", "expected"), [(90, [BLUE, RED, BLUE, GREEN]), (270, [GREEN, BLUE, RED, BLUE])])
def test_quarter_turns_are_made_here(board: Any, rotation: int, expected: list[tuple[int, int, int]]) -> None:
    (frame,) = first(a_camera(rotation=rotation))
    assert frame.small is not None
    assert (frame.main.width, frame.main.height) == (240, 320)
    assert close_to(colors(frame.main), expected)
    assert close_to(colors(frame.small), expected)


def test_the_frame_rate_and_the_controls_are_the_settings(board: Any) -> None:
    first(a_camera(fps=20, controls={"ExposureTime": 8000, "AwbMode": "Daylight"}))
    controls = board.configurations[-1]["controls"]
    assert controls == {"FrameDurationLimits": (50_000, 50_000), "ExposureTime": 8000, "AwbMode": 5}


def test_a_word_that_libcamera_does_not_know_is_refused(board: Any) -> None:
    with pytest.raises(SettingsError, match="AwbMode"):
        first(a_camera(controls={"AwbMode": "Moonlight"}))


def test_a_control_that_the_camera_does_not_have_is_an_error_with_its_name(board: Any) -> None:
    with pytest.raises(SourceError, match="Zoom"):
        first(a_camera(controls={"Zoom": 2}))


def test_a_stalled_camera_is_an_error_and_can_be_opened_again(board: Any) -> None:
    board.frames_until_stall = 3
    source = PiCamera2(a_camera(), "")
    got = []
    with pytest.raises(SourceError, match="no frame"), closing(source):
        got.extend(source.frames())
    board.frames_until_stall = None
    assert first(a_camera())[0].sequence == 0
    assert board.opened == 2


def test_reconnecting_survives_stalls(board: Any) -> None:
    board.frames_until_stall, board.clock_offset, board.frame_seconds = 4, -5.0, 0.05
    states: list[CameraState] = []
    stop = threading.Event()
    backoff = Backoff(first=0.01, most=0.01)
    frames: Iterator[Frame] = reconnecting(a_camera(), stop, states.append, backoff)
    got = list(itertools.islice(frames, 10))
    assert [frame.sequence for frame in got] == list(range(10))
    words = [state.state for state in states]
    assert words == ["connecting", "live", "lost"] * 2 + ["connecting", "live"]
    assert board.opened == 3


def test_a_camera_that_cannot_be_closed_does_not_stop_the_daemon(board: Any, caplog: pytest.LogCaptureFixture) -> None:
    board.breaks_at_close = True
    assert len(first(a_camera())) == 1
    assert "did not close cleanly" in caplog.text


@pytest.mark.parametrize("asleep", [0.0, 3600.0])
def test_the_moment_of_exposure_is_monotonic_time_also_on_a_board_that_slept(
    board: Any, asleep: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.clock_gettime
    shift = {time.CLOCK_BOOTTIME: asleep + time.monotonic() - real(time.CLOCK_BOOTTIME)}
    monkeypatch.setattr(time, "clock_gettime", lambda clock: real(clock) + shift.get(clock, 0.0))
    board.clock_offset = asleep - 0.5
    (frame,) = first(a_camera())
    assert abs(time.monotonic() - 0.5 - frame.monotonic) < 0.3
    assert abs(time.time() - 0.5 - frame.time) < 0.3


def test_a_sensor_clock_that_makes_no_sense_is_ignored(board: Any) -> None:
    board.clock_offset = 1e6
    (frame,) = first(a_camera())
    assert abs(time.monotonic() - frame.monotonic) < 0.5


def test_more_frames_than_wanted_are_released_and_skipped(board: Any) -> None:
    board.clock_offset, board.frame_seconds = -5.0, 0.1  # ten frames a second
    frames = first(a_camera(fps=5), 5)
    assert np.allclose(np.diff([frame.monotonic for frame in frames]), 0.2, atol=0.05)


def test_the_small_stream_has_the_shape_of_the_main_one() -> None:
    assert fitted((1280, 720), (320, 240)) == (320, 180)
    assert fitted((640, 480), (320, 240)) == (320, 240)
    assert fitted((128, 96), (320, 240)) == (128, 96)


def test_a_format_that_is_not_known_is_refused_with_a_way_out(board: Any) -> None:
    board.main_format = "MJPEG"
    with pytest.raises(SourceError, match="MJPEG") as caught:
        first(a_camera())
    assert "v4l2" in caught.value.hint


def test_no_camera_with_that_number_is_an_error(board: Any) -> None:
    with pytest.raises(SourceError, match="no such camera"):
        next(PiCamera2(a_camera(), "3").frames())


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="picamera2:N"):
        open_source(CameraSettings(source="picamera2:left"))


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "picamera2", None)
    with pytest.raises(SettingsError, match="picamera2") as caught:
        next(PiCamera2(a_camera(), "").frames())
    assert "python3-picamera2" in caught.value.hint


def test_auto_takes_the_csi_camera(board: Any) -> None:
    source = open_source(a_camera(source="auto"))
    with closing(source):
        assert close_to(colors(next(iter(source.frames())).main), [RED, GREEN, BLUE, BLUE])
        assert "picamera2" in source.name


def test_auto_leaves_usb_cameras_to_v4l2(board: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    board.cameras = [{"Id": "/base/scb/pcie@7d500000/usb@0,0-1:1.0-046d:0825", "Num": 0}]
    monkeypatch.setattr("edge.sources.auto.DEVICES", tmp_path)
    (tmp_path / "video0").write_bytes(b"not a device")
    with pytest.raises(SourceError, match="no camera") as caught:
        next(iter(open_source(CameraSettings(source="auto")).frames()))
    assert "source" in caught.value.hint
