from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge.core.errors import SourceError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame
from edge.sources.av import VideoFile, picture
from edge.sources.factory import open_source

RED, GREEN = (200, 40, 40), (40, 200, 40)


def write_video(
    path: Path,
    *,
    frames: int = 50,
    fps: int = 25,
    width: int = 160,
    height: int = 96,
    options: dict[str, str] | None = None,
) -> Path:
    """Red on the left, green on the right, and the frame's number as the brightness of a bar at the bottom."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"g": "10", "bf": "0", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            rgb = np.empty((height, width, 3), np.uint8)
            rgb[:, : width // 2], rgb[:, width // 2 :] = RED, GREEN
            rgb[height * 3 // 4 :] = number * 4 % 256
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames_of(path: Path, **changes: object) -> list[Frame]:
    camera = CameraSettings.model_validate({"source": f"video:{path}", "realtime": False, "fps": 100, **changes})
    return list(open_source(camera).frames())


def number_of(frame: Frame) -> int:
    rgb = pictures.to_rgb(frame.main)
    return round(float(rgb[rgb.shape[0] * 7 // 8].mean()) / 4)


def close_to(pixel: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - color).max() < 25)


def test_every_frame_arrives_with_its_time(tmp_path: Path) -> None:
    frames = frames_of(write_video(tmp_path / "a.mp4"))
    assert [number_of(frame) for frame in frames] == list(range(50))
    assert np.allclose([frame.video_time for frame in frames], np.arange(50) / 25)
    assert np.allclose(np.diff([frame.monotonic for frame in frames]), 0.04)
    assert {frame.main.layout for frame in frames} == {"i420"}


def test_the_rate_is_limited_by_leaving_frames_out(tmp_path: Path) -> None:
    frames = frames_of(write_video(tmp_path / "a.mp4"), fps=5)
    assert [number_of(frame) for frame in frames] == list(range(0, 50, 5))
    assert [frame.sequence for frame in frames] == list(range(10))


@pytest.mark.parametrize(("width", "height"), [(160, 96), (162, 98), (854, 480), (66, 50)])
def test_no_size_shifts_the_planes(tmp_path: Path, width: int, height: int) -> None:
    frame = frames_of(write_video(tmp_path / "a.mp4", frames=3, width=width, height=height))[2]
    rgb = pictures.to_rgb(frame.main)
    assert rgb.shape == (height, width, 3)
    assert close_to(rgb[5, 5], RED)
    assert close_to(rgb[height // 2, width - 5], GREEN)


@pytest.mark.parametrize("kind", ["yuv422p", "yuv444p", "yuvj420p", "yuyv422", "nv12", "gray", "rgb24", "yuv420p10le"])
def test_other_pixel_formats_are_converted(kind: str) -> None:
    rgb = np.full((50, 66, 3), 120, np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=kind)
    assert close_to(pictures.to_rgb(picture(frame, 0))[25, 33], (120, 120, 120))


def test_odd_dimensions_lose_a_row_and_a_column() -> None:
    rgb = np.zeros((51, 67, 3), np.uint8)
    rgb[:, :33], rgb[:, 33:] = RED, GREEN
    got = picture(av.VideoFrame.from_ndarray(rgb, "rgb24"), 0)
    assert (got.width, got.height) == (66, 50)
    assert close_to(pictures.to_rgb(got)[45, 3], RED)
    assert close_to(pictures.to_rgb(got)[45, 60], GREEN)


def test_a_loop_starts_again_and_monotonic_time_goes_on(tmp_path: Path) -> None:
    camera = CameraSettings(source="x", realtime=False, loop=True, fps=25)
    frames = list(itertools.islice(VideoFile(camera, str(write_video(tmp_path / "a.mp4", frames=10))).frames(), 25))
    assert [number_of(frame) for frame in frames] == [*range(10), *range(10), *range(5)]
    assert np.allclose(np.diff([frame.monotonic for frame in frames]), 0.04)
    assert frames[12].video_time == pytest.approx(0.08)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_the_metadata_of_a_phone_turns_the_picture_upright(tmp_path: Path, degrees: int) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5)
    turn_by_metadata(path, degrees)
    expected = np.rot90(pictures.to_rgb(frames_of(write_video(tmp_path / "b.mp4", frames=5))[0].main), -degrees // 90)
    got = pictures.to_rgb(frames_of(path)[0].main)
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).mean() < 3


def test_metadata_and_setting_add_up(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5)
    turn_by_metadata(path, 90)
    rgb = pictures.to_rgb(frames_of(path, rotation=270)[0].main)
    assert rgb.shape == (96, 160, 3)
    assert close_to(rgb[5, 5], RED)


def turn_by_metadata(path: Path, degrees: int) -> None:
    """Write a clockwise turn into the track header of an MP4, as phones do."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 1 << 16
    matrix = struct.pack(">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    data[place : place + 36] = matrix
    path.write_bytes(data)


FAST_START = {"movflags": "faststart"}


def test_a_video_that_ends_in_the_middle_gives_what_it_has_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "a.mp4", frames=200, options=FAST_START)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = frames_of(path)
    assert 20 < len(frames) < 180
    assert "ends in the middle" in caplog.text


def test_a_transport_stream_that_ends_in_the_middle_ends_cleanly(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", frames=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert 20 < len(frames_of(path)) < 100


def test_damage_in_the_middle_costs_some_frames_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100, options=FAST_START)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = np.random.default_rng(1).bytes(400)
    path.write_bytes(data)
    frames = frames_of(path)
    assert len(frames) > 50
    assert frames[-1].video_time == pytest.approx(99 / 25)


def no_such(folder: Path) -> Path:
    return folder / "none.mp4"


def empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def no_video(folder: Path) -> Path:
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    return folder / "text.mp4"


def without_its_index(folder: Path) -> Path:
    path = write_video(folder / "a.mp4")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def sound_only(folder: Path) -> Path:
    path = folder / "a.wav"
    path.write_bytes(
        b"RIFF"
        + struct.pack("<I", 36 + 800)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
        + b"data"
        + struct.pack("<I", 800)
        + bytes(800)
    )
    return path


@pytest.mark.parametrize("made", [no_such, empty, no_video, without_its_index, sound_only])
def test_what_is_no_video_is_an_error_with_the_file_and_a_way_out(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    path = made(tmp_path)
    with pytest.raises(SourceError, match=path.name) as caught:
        frames_of(path)
    assert caught.value.hint


def test_a_real_clip_is_read_to_its_end(shared_data: Path) -> None:
    frames = frames_of(shared_data / "video" / "short_hamilton_clip.mp4")
    assert len(frames) == 275
    assert frames[0].video_time == 0.0


def write_pause(path: Path, pause: float) -> Path:
    """Three seconds, nothing for ``pause`` seconds, three seconds: what cameras write that record motion alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 8, np.uint8), "rgb24")
            frame.pts, frame.time_base = number + (int(pause * 5) if number >= 15 else 0), Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_pause_of_a_recording_keeps_its_length(tmp_path: Path, ending: str) -> None:
    times = [frame.video_time for frame in frames_of(write_pause(tmp_path / f"a.{ending}", 300.0))]
    assert times[14] == pytest.approx(2.8)
    assert times[15] == pytest.approx(303.0)
    assert times[-1] == pytest.approx(305.8)


@pytest.mark.parametrize("inside", ["list.m3u8", "list.ffconcat", "pic%d.jpg"])
def test_a_file_that_names_other_files_opens_none_of_them(tmp_path: Path, inside: str) -> None:
    other = write_video(tmp_path / "other.ts", frames=10)
    contents = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile '{other}'\n",
        "pic%d.jpg": "no picture",
    }
    path = tmp_path / inside
    path.write_text(contents[inside])
    with pytest.raises(SourceError, match=r"not one that is read|not a video"):
        frames_of(path)


def test_a_file_named_like_a_protocol_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", frames=10).rename(tmp_path / "concat:x.mp4")
    assert len(frames_of(Path("concat:x.mp4"))) == 10
