"""A Raspberry Pi's camera without one: behaves as the real library was seen to (version 0.3.38).

- ``RGB888`` lies in memory as B, G, R; ``YUV420`` as (height * 3 // 2, stride) with rows padded to 64 bytes of chroma.
- A request holds one of few buffers until it is released; without a free one no frame comes.
- ``MappedArray`` shows the camera's own memory, which the next frames overwrite once the request is released.
- A camera that stalls raises TimeoutError, and ``stop`` then waits for ever unless the waiting jobs are cancelled.
- A camera is open once: a second ``Picamera2`` of it raises RuntimeError until the first one is closed.
"""

from __future__ import annotations

import sys
import time
import types
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest
from typing_extensions import Self

KNOWN_CONTROLS = {"FrameDurationLimits", "ExposureTime", "AwbMode", "AeEnable", "NoiseReductionMode"}


@dataclass
class FakeBoard:
    """What is plugged in, and what goes wrong. Tests change it; the library below reads it."""

    cameras: list[dict[str, Any]] = field(default_factory=lambda: [{"Id": "/base/soc/i2c0mux/imx708@1a", "Num": 0}])
    main_format: str | None = None
    """a format that the ISP gives instead of the one asked for"""
    frames_until_stall: int | None = None
    held: set[int] = field(default_factory=set)
    opened: int = 0
    configurations: list[dict[str, Any]] = field(default_factory=list)
    scene: np.ndarray = field(default_factory=lambda: _scene())
    breaks_at_close: bool = False
    clock_offset: float = 0.0
    """seconds that the sensor's clock is ahead of monotonic time: a board that slept"""
    frame_seconds: float = 0.0
    """how far sensor timestamps of consecutive frames are apart, beyond the real time"""


def _scene() -> np.ndarray:
    """Red top left, green top right, blue below, as rgb."""
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[:240, :320] = (220, 30, 30)
    rgb[:240, 320:] = (30, 220, 30)
    rgb[240:] = (30, 30, 220)
    return rgb


class FakePicamera2:
    """The part of Picamera2 that is used."""

    board = FakeBoard()

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.board.cameras

    def __init__(self, camera_num: int = 0) -> None:
        if camera_num >= len(self.board.cameras):
            raise RuntimeError(f"No camera number {camera_num} found")
        if camera_num in self.board.held:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self._number = camera_num
        self.board.held.add(camera_num)
        self.board.opened += 1
        self._configuration: dict[str, Any] = {}
        self._free: list[dict[str, np.ndarray]] = []
        self._started = self._waiting_job = False
        self._produced = 0

    def create_video_configuration(
        self,
        main: dict[str, Any],
        lores: dict[str, Any],
        transform: Any,
        colour_space: Any,
        buffer_count: int,
        controls: dict[str, Any],
        queue: bool,
    ) -> dict[str, Any]:
        for name in controls:
            if name not in KNOWN_CONTROLS:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        return {"main": dict(main), "lores": dict(lores), "transform": transform, "colour_space": colour_space,
                "buffer_count": buffer_count, "controls": controls, "queue": queue}  # fmt: skip

    def configure(self, configuration: dict[str, Any]) -> None:
        if configuration["lores"]["size"][0] > configuration["main"]["size"][0]:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        configuration["main"]["format"] = self.board.main_format or configuration["main"]["format"]
        for name in ("main", "lores"):
            stream = configuration[name]
            width = stream["size"][0]
            stream["stride"] = -(-width // 128) * 128 if stream["format"] == "YUV420" else width * 3
        self._configuration = configuration
        self.board.configurations.append(configuration)

    def start(self) -> None:
        self._free = [{} for _ in range(self._configuration["buffer_count"])]
        self._started = True

    def camera_configuration(self) -> dict[str, Any]:
        return self._configuration

    def capture_request(self, wait: float | None = None) -> FakeRequest:
        assert self._started, "capture before start"
        stalled = self.board.frames_until_stall == self._produced
        if stalled or not self._free:
            self._waiting_job = True
            if wait is None:
                raise AssertionError("would wait for ever: no timeout was given")
            time.sleep(min(wait, 0.05))
            raise TimeoutError
        self._produced += 1
        buffers = self._free.pop(0)
        for name in ("main", "lores"):
            stream = self._configuration[name]
            image = _rendered(self.board.scene, self._configuration["transform"], stream)
            if name in buffers:
                buffers[name][:] = image  # the same memory again
            else:
                buffers[name] = image
        stamp = time.monotonic() + self.board.clock_offset + self._produced * self.board.frame_seconds
        return FakeRequest(self, buffers, {"SensorTimestamp": int(stamp * 1e9)})

    def cancel_all_and_flush(self) -> None:
        self._waiting_job = False

    def stop(self) -> None:
        assert not self._waiting_job, "would wait for ever behind the job of the stalled camera"
        self._started = False

    def close(self) -> None:
        self.stop()
        self.board.held.discard(self._number)
        if self.board.breaks_at_close:
            raise RuntimeError("failed to release the camera")

    def give_back(self, buffers: dict[str, np.ndarray]) -> None:
        for array in buffers.values():
            array[:] = 99  # what is read after the release is the next picture half written
        self._free.append(buffers)


class FakeRequest:
    def __init__(self, camera: FakePicamera2, buffers: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        self._camera, self.buffers, self._metadata = camera, buffers, metadata

    def get_metadata(self) -> dict[str, Any]:
        return self._metadata

    def release(self) -> None:
        self._camera.give_back(self.buffers)


class FakeMappedArray:
    def __init__(self, request: FakeRequest, stream: str, reshape: bool = True, write: bool = True) -> None:
        self.array = request.buffers[stream]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


@dataclass
class FakeTransform:
    hflip: bool = False
    vflip: bool = False


def _rendered(scene: np.ndarray, transform: FakeTransform, stream: dict[str, Any]) -> np.ndarray:
    rgb = cv2.resize(scene, stream["size"])
    rgb = rgb[:, ::-1] if transform.hflip else rgb
    rgb = np.ascontiguousarray(rgb[::-1] if transform.vflip else rgb)
    if stream["format"] == "RGB888":
        return np.ascontiguousarray(rgb[:, :, ::-1])
    if stream["format"] != "YUV420":
        return rgb
    width, height = stream["size"]
    tight = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    padded = np.full((height * 3 // 2, stream["stride"]), 200, np.uint8)
    padded[:height, :width] = tight[:height]
    chroma = padded[height:].reshape(2, height // 2, -1)
    chroma[:, :, : width // 2] = tight[height:].reshape(2, height // 2, -1)
    return padded


def install(monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    """Put the fake in place of picamera2 and libcamera."""
    board = FakeBoard()
    monkeypatch.setattr(FakePicamera2, "board", board)
    picamera2 = types.ModuleType("picamera2")
    picamera2.Picamera2, picamera2.MappedArray = FakePicamera2, FakeMappedArray  # type: ignore[attr-defined]
    libcamera = types.ModuleType("libcamera")
    libcamera.Transform = FakeTransform  # type: ignore[attr-defined]
    libcamera.ColorSpace = types.SimpleNamespace(Smpte170m=lambda: "smpte170m")  # type: ignore[attr-defined]
    libcamera.controls = types.SimpleNamespace(AwbModeEnum=types.SimpleNamespace(Daylight=5))  # type: ignore[attr-defined]
    picamera2.__spec__ = types.SimpleNamespace(name="picamera2")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "picamera2", picamera2)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return board
