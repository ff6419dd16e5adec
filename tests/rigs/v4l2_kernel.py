"""The kernel's answers for V4L2 devices that are not there."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any


class FakeKernel:
    """Answers VIDIOC_QUERYCAP for files that stand in for devices: name -> (driver, capabilities)."""

    def __init__(self, devices: dict[str, tuple[str, int]]) -> None:
        self._devices = devices

    def ioctl(self, file: Any, request: int, answer: bytearray) -> int:
        known = self._devices.get(Path(file.name).name)
        if known is None:
            raise OSError(errno.ENOTTY, "not a video device")
        answer[:16] = known[0].encode().ljust(16, b"\0")
        answer[16:48] = b"HD Webcam".ljust(32, b"\0")
        struct.pack_into("=I", answer, 88, known[1])
        return 0
