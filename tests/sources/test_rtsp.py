"""RTSP against a real server (``tests/rigs/rtsp_server.py``)."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import SourceError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame
from edge.sources.base import CameraState
from edge.sources.factory import open_source
from edge.sources.reconnect import Backoff, reconnecting

SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).resolve().parent.parent / "rigs" / "rtsp_server.py"
SECRET = "hunter2"
NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


class RtspCamera:
    """A camera on the network. ``port`` stays the same over restarts."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [SYSTEM_PYTHON, str(SERVER), "--port", str(self.port), "--user", "admin", "--password", SECRET]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        word, _, port = self._process.stdout.readline().partition(" ")
        assert word == "ready"
        self.port = int(port)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def settings(self, password: str = SECRET, path: str = "camera", **changes: Any) -> CameraSettings:
        address = f"rtsp://admin:{password}@127.0.0.1:{self.port}/{path}"
        return CameraSettings(**{"name": "gate", "source": address, "stall": 5.0, "fps": 25, **changes})


@functools.cache
def lacking() -> str:
    """Why there is no server here; empty where there is one."""
    if not Path(SYSTEM_PYTHON).exists():
        return f"no {SYSTEM_PYTHON}"
    tried = subprocess.run([SYSTEM_PYTHON, "-c", NEEDS], capture_output=True, text=True, timeout=60)
    return (
        ""
        if tried.returncode == 0
        else f"{SYSTEM_PYTHON} has no GstRtspServer (gir1.2-gst-rtsp-server-1.0, python3-gi)"
    )


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspCamera]:
    yield from _running()


@pytest.fixture
def own_camera() -> Iterator[RtspCamera]:
    """A camera that may be broken."""
    yield from _running()


def _running() -> Iterator[RtspCamera]:
    if reason := lacking():
        pytest.skip(reason)
    camera = RtspCamera()
    camera.start()
    yield camera
    camera.stop()


def shows_the_test_pattern(frame: Frame) -> bool:
    """SMPTE bars: yellow second from the left, blue last."""
    rgb = pictures.to_rgb(frame.main).astype(int)
    yellow, blue = rgb[60, 320 * 3 // 14], rgb[60, 320 * 13 // 14]
    return bool(np.abs(yellow - (255, 255, 0)).max() < 30 and np.abs(blue - (0, 0, 255)).max() < 30)


def test_frames_arrive_and_nobody_hears_the_password(
    camera: RtspCamera, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with closing(open_source(camera.settings())) as source:
        frames = list(itertools.islice(source.frames(), 5))
    assert all(shows_the_test_pattern(frame) for frame in frames)
    assert [frame.sequence for frame in frames] == list(range(5))
    assert all(later.monotonic > earlier.monotonic for earlier, later in itertools.pairwise(frames))
    said = caplog.text + "".join(capfd.readouterr()) + source.name + repr(source)
    assert SECRET not in said


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"password": "wr0ng-w0rd"}, "another user or password"), ({"path": "nothing"}, "no such stream")],
)
def test_a_refusal_says_why_without_the_password(camera: RtspCamera, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        next(iter(open_source(camera.settings(**changes)).frames()))
    assert caught.value.hint
    assert caught.value.__cause__ is None  # FFmpeg's own error quotes the address
    assert not any(word in str(caught.value) for word in (SECRET, "wr0ng-w0rd"))


@pytest.mark.parametrize("transport", ["auto", "tcp", "udp", "http"])
def test_frames_arrive_by_each_transport(camera: RtspCamera, transport: str) -> None:
    source = open_source(camera.settings(transport=transport))
    try:
        frames = list(itertools.islice(source.frames(), 3))
    finally:
        source.close()
    assert all(shows_the_test_pattern(frame) for frame in frames)
    assert len(frames) == 3


def test_a_camera_that_is_not_there_says_so() -> None:
    with pytest.raises(SourceError, match="nothing listens there"):
        next(iter(open_source(CameraSettings(source=f"rtsp://admin:{SECRET}@127.0.0.1:1/camera")).frames()))


@pytest.mark.long
def test_a_camera_that_freezes_is_an_error_after_the_stall_time(own_camera: RtspCamera) -> None:
    source = open_source(own_camera.settings(stall=2.0))
    frames = source.frames()
    assert len(list(itertools.islice(frames, 5))) == 5
    own_camera.freeze()
    with pytest.raises(SourceError, match="nothing came for 2 seconds"), closing(source):
        list(frames)


@pytest.mark.long
def test_a_camera_that_comes_back_is_live_again(own_camera: RtspCamera, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    states: list[CameraState] = []
    frames = reconnecting(
        own_camera.settings(stall=2.0), threading.Event(), states.append, Backoff(first=0.2, most=0.5)
    )
    before = list(itertools.islice(frames, 5))
    own_camera.stop()
    threading.Timer(3.0, own_camera.start).start()
    after = next(frame for frame in frames if states[-1].state == "live" and len(states) > 2)
    assert shows_the_test_pattern(after)
    assert after.sequence >= len(before)
    words = [state.state for state in states]
    assert words[:3] == ["connecting", "live", "lost"]
    assert words[-2:] == ["connecting", "live"]
    assert SECRET not in caplog.text
    assert [record.levelname for record in caplog.records if "is lost" in record.getMessage()].count("WARNING") == 1
