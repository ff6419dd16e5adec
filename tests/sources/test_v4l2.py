from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pytest
from rigs.v4l2_kernel import FakeKernel

from edge.core.errors import SourceError
from edge.core.settings.vision import CameraSettings
from edge.sources import auto
from edge.sources.factory import open_source


class FakeDevice:
    """A V4L2 camera opened without blocking: most reads find nothing; after ``pictures`` it is silent for ever.

    It stands in for what av.open returns. The packets are of raw video, as a camera's.
    """

    def __init__(self, path: Path, pictures: int) -> None:
        with av.open(str(path), "w", format="nut") as made:
            stream = made.add_stream("rawvideo", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuyv422"
            for number in range(pictures):
                rgb = np.full((48, 64, 3), 20 * number, np.uint8)
                made.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
            made.mux(stream.encode(None))
        self._real = av.open(str(path), format="nut")
        self.streams = self._real.streams
        self._ready = (packet for packet in self._real.demux() if packet.size)
        self._reads = 0
        self.closed = False

    def demux(self) -> Iterator[av.Packet[Any]]:
        while True:
            self._reads += 1
            packet = next(self._ready, None) if self._reads % 3 == 0 else None
            if packet is None:
                raise av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable", "/dev/video0")
            yield packet

    def close(self) -> None:
        self._real.close()
        self.closed = True


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    fake = FakeDevice(tmp_path / "raw.nut", 6)
    monkeypatch.setattr(fake, "options", {}, raising=False)

    def opened(file: str, name: str, **options: Any) -> FakeDevice:
        fake.options = options  # type: ignore[attr-defined]
        return fake

    monkeypatch.setattr("edge.sources.av.opened", opened)
    return fake


def a_camera(device: str = "/dev/null", **changes: Any) -> CameraSettings:
    return CameraSettings(**{"source": f"v4l2:{device}", "fps": 120, "stall": 0.3, **changes})


def test_frames_arrive_although_most_reads_find_nothing(device: FakeDevice) -> None:
    with closing(open_source(a_camera(fps=100, width=64, height=64))) as source:
        frames = list(itertools.islice(source.frames(), 2))
    assert [(frame.main.layout, frame.main.width) for frame in frames] == [("i420", 64)] * 2
    assert device.options["options"]["video_size"] == "64x64"
    assert device.options["options"]["fflags"] == "nonblock"
    assert device.closed


def test_a_camera_that_falls_silent_is_an_error_and_does_not_hang(device: FakeDevice) -> None:
    source = open_source(a_camera())
    with pytest.raises(SourceError, match=r"nothing came for 0\.3 seconds"), closing(source):
        list(source.frames())
    assert device.closed


def test_a_device_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no device") as caught:
        next(iter(open_source(a_camera(str(tmp_path / "video9"))).frames()))
    assert caught.value.hint


def test_a_file_that_is_no_camera_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"no camera")
    with pytest.raises(SourceError):
        next(iter(open_source(a_camera(str(tmp_path / "video0"))).frames()))


def test_auto_leaves_out_nodes_that_are_parts_of_a_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = {
        "video10": ("bcm2835-codec", 0x1),
        "video0": ("unicam", 0x1),
        "video2": ("uvcvideo", 0x1),
        "video3": ("uvcvideo", 0x00800000),  # metadata
        "video11": ("uvcvideo", 0x1),
    }
    for name in [*devices, "video4", "video-codec"]:
        (tmp_path / name).touch()
    monkeypatch.setattr(auto, "fcntl", FakeKernel(devices))
    assert [path.name for path in auto.capture_devices(tmp_path)] == ["video2", "video11"]


def test_auto_looks_again_at_each_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: FakeDevice) -> None:
    monkeypatch.setattr(auto, "DEVICES", tmp_path)
    monkeypatch.setattr(auto, "libcamera_sees_one", lambda: False)
    monkeypatch.setattr(auto, "fcntl", FakeKernel({"video0": ("uvcvideo", 1)}))
    source = open_source(a_camera(source="auto"))
    with pytest.raises(SourceError, match="no camera"):
        next(iter(source.frames()))
    (tmp_path / "video0").touch()
    with closing(source):
        assert next(iter(source.frames())).main.width == 64
