"""Small faces in a large picture, seen by the real program: two cameras pan over one group photograph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from rigs.running import Running
from rigs.settings_files import CAMERA

from edge.core.imaging import image as pictures

WIDTH, HEIGHT, FRAMES, STEP = 1280, 720, 12, 6


@pytest.fixture
def pan(tmp_path: Path, shared_data: Path) -> Path:
    group = pictures.to_rgb(pictures.read(shared_data / "stills" / "crowd_1.jpg"))  # 52 faces
    small = cv2.resize(group, (840, 558), interpolation=cv2.INTER_AREA)  # its faces are 26 to 48 pixels high
    large = np.full((956, 1440, 3), 114, np.uint8)
    large[120:678, 200:1040] = small
    path = tmp_path / "pan.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=10, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for at in range(0, FRAMES * STEP, STEP):
            shown = av.VideoFrame.from_ndarray(large[at : at + HEIGHT, at : at + WIDTH].copy(), format="rgb24")
            container.mux(stream.encode(shown))
        container.mux(stream.encode())
    return path


@pytest.fixture
def running(tmp_path: Path, pan: Path) -> Iterator[Running]:
    like = CAMERA | {"source": f"video:{pan}", "width": WIDTH, "height": HEIGHT, "fps": 10.0}
    cameras = [like | {"name": name, "tiles": tiles} for name, tiles in (("whole", 0), ("closer", 4))]
    one = Running(tmp_path / "device", settings={"cameras": cameras})
    one.config()
    yield one
    one.close()


def test_a_camera_with_tiles_follows_the_small_faces_that_one_without_misses(running: Running) -> None:
    running.start()
    assert running.wait(110) == 0, running.log
    assert "WARNING" not in running.log

    def tracks(camera: str, kind: str) -> set[str]:
        of_it: list[dict[str, Any]] = [event for event in running.events if event["camera"] == camera]
        return {event["track"] for event in of_it if event["type"] == kind}

    assert tracks("closer", "new") == tracks("closer", "end")
    # each face once, though parts overlap and the picture moves on below them
    assert len(tracks("whole", "new")) < 30 < 40 <= len(tracks("closer", "new")) <= 55
