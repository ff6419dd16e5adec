"""``auto``: the first camera that is connected."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import SourceError
from edge.core.types import Frame

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings
    from edge.sources.base import FrameSource

logger = logging.getLogger(__name__)

DEVICES = Path("/dev")
_QUERY_CAPABILITIES = 0x80685600  # VIDIOC_QUERYCAP
_CAN_CAPTURE = 0x00000001
_PARTS_OF_A_PIPELINE = frozenset({"unicam", "bcm2835-isp", "bcm2835-codec", "rp1-cfe", "pispbe", "rpi-hevc-dec"})
"""drivers of a Raspberry Pi that say "capture", but deliver only to libcamera"""


class Auto:
    """A CSI camera by picamera2 if there is one, else the first V4L2 camera. Looked for at each opening."""

    live = True

    def __init__(self, camera: CameraSettings, target: str) -> None:  # noqa: ARG002
        self.name = "auto"
        self._camera = camera
        self.on_waiting: Callable[[str], None] = lambda _: None
        self._chosen: FrameSource | None = None

    def frames(self) -> Iterator[Frame]:
        self.close()
        self._chosen = self._choose()
        self.name = f"auto: {self._chosen.name}"
        if hasattr(self._chosen, "on_waiting"):
            self._chosen.on_waiting = self.on_waiting
        yield from self._chosen.frames()

    def close(self) -> None:
        if self._chosen is not None:
            self._chosen.close()
        self._chosen = None

    def _choose(self) -> FrameSource:
        if libcamera_sees_one():
            from edge.sources.picamera2 import PiCamera2

            return PiCamera2(self._camera, "")
        for device in capture_devices(DEVICES):
            from edge.sources.av import V4l2Camera

            return V4l2Camera(self._camera, str(device))
        raise SourceError(
            "auto: found no camera: none of libcamera's, and no /dev/video* that captures",
            "connect one, or set the camera's source: rtsp://..., v4l2:/dev/video0, video:FILE, or synthetic",
        )


def libcamera_sees_one() -> bool:
    """Whether picamera2 is installed and knows a camera that is not on USB."""
    if importlib.util.find_spec("picamera2") is None:
        return False
    from picamera2 import Picamera2

    return any("usb" not in str(found.get("Id", "")).lower() for found in Picamera2.global_camera_info())


def capture_devices(folder: Path) -> list[Path]:
    """The video devices that deliver pictures by themselves, by number."""
    found = [path for path in folder.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    return [path for path in sorted(found, key=lambda path: int(path.name[5:])) if _captures(path)]


def card_name(device: Path) -> str:
    """Name of a video device; empty where it has none."""
    return _text(_capability(device)[16:48])


def _captures(device: Path) -> bool:
    answer = _capability(device)
    (capabilities,) = struct.unpack_from("=I", answer, 88)  # of this node; byte 84 has those of the whole card
    return bool(capabilities & _CAN_CAPTURE) and _text(answer[:16]) not in _PARTS_OF_A_PIPELINE


def _capability(device: Path) -> bytes:
    """``struct v4l2_capability``; all zero where the query fails."""
    answer = bytearray(104)
    try:
        with device.open("rb", buffering=0) as file:
            fcntl.ioctl(file, _QUERY_CAPABILITIES, answer)
    except OSError as error:
        logger.debug("%s: its capabilities cannot be read: %s", device, error)
        return bytes(104)
    return bytes(answer)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="replace")
