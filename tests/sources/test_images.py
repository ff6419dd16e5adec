from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import SourceError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame
from edge.sources.factory import open_source
from edge.sources.images import ImageFolder


def a_picture(brightness: int) -> bytes:
    return pictures.encode_jpeg(np.full((24, 32, 3), brightness, np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, brightness in (("b.jpg", 90), ("a.JPG", 30), ("c.jpeg", 150)):
        (tmp_path / name).write_bytes(a_picture(brightness))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "d.jpg").mkdir()
    return tmp_path


def frames_of(folder: Path, **changes: object) -> list[Frame]:
    camera = CameraSettings.model_validate({"source": f"images:{folder}", "realtime": False, "fps": 2, **changes})
    return list(open_source(camera).frames())


def brightness(frame: Frame) -> int:
    return round(float(pictures.to_rgb(frame.main).mean()))


def test_pictures_come_by_name_at_the_wanted_pace(folder: Path) -> None:
    frames = frames_of(folder)
    assert [brightness(frame) for frame in frames] == [30, 90, 150]
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert [frame.video_time for frame in frames] == [0.0, 0.5, 1.0]
    assert frames[2].monotonic - frames[0].monotonic == pytest.approx(1.0)


def test_a_bad_picture_in_the_middle_is_skipped_counted_and_reported(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "b.jpg").write_bytes(a_picture(90)[:200])
    source = ImageFolder(CameraSettings(source="images:x", realtime=False), str(folder))
    assert [brightness(frame) for frame in source.frames()] == [30, 150]
    assert source.skipped == 1
    assert "b.jpg" in caplog.text


def test_one_picture_is_a_source_too(folder: Path) -> None:
    assert [brightness(frame) for frame in frames_of(folder / "b.jpg")] == [90]


def test_a_loop_starts_again_and_time_goes_on(folder: Path) -> None:
    source = ImageFolder(CameraSettings(source="images:x", realtime=False, loop=True, fps=2), str(folder))
    frames = [frame for frame, _ in zip(source.frames(), range(7), strict=False)]
    assert [brightness(frame) for frame in frames] == [30, 90, 150, 30, 90, 150, 30]
    assert frames[6].monotonic - frames[0].monotonic == pytest.approx(3.0)


def test_pictures_are_turned_as_the_camera_says(folder: Path) -> None:
    (frame, *_) = frames_of(folder, rotation=90)
    assert (frame.main.width, frame.main.height) == (24, 32)


@pytest.mark.parametrize("what", ["missing", "empty", "all bad"])
def test_a_folder_without_pictures_is_an_error(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "pictures"
    if what != "missing":
        folder.mkdir()
    if what == "all bad":
        (folder / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(SourceError) as caught:
        frames_of(folder, loop=True)
    assert caught.value.hint


def test_a_loop_complains_once_about_a_bad_picture(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "b.jpg").write_bytes(b"nothing")
    source = ImageFolder(CameraSettings(source="images:x", realtime=False, loop=True), str(folder))
    assert len([frame for frame, _ in zip(source.frames(), range(9), strict=False)]) == 9
    assert source.skipped >= 4
    assert caplog.text.count("skipped") == 1
