"""Which cameras are connected to this device, or answer on its network."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.core.errors import SourceError
from edge.sources import auto, onvif


@dataclass(frozen=True, slots=True)
class DiscoveredCamera:
    """A camera that can be added."""

    kind: Literal["libcamera", "v4l2", "onvif"]
    name: str
    """as it calls itself"""
    source: str
    """for ``camera.source``; of an ONVIF camera its host alone: ``rtsp://192.0.2.10/``"""
    service: str = ""
    """of an ONVIF camera: where it is asked for its streams"""


@dataclass(frozen=True, slots=True)
class CameraSearch:
    """Cameras that a search found, and the problems it met."""

    cameras: tuple[DiscoveredCamera, ...]
    problems: tuple[str, ...] = ()


def search(
    wait: float = onvif.WAIT_SECONDS, devices: Path = auto.DEVICES, target: tuple[str, int] = onvif.GROUP
) -> CameraSearch:
    """Ribbon and USB cameras, and ONVIF cameras that answer within ``wait`` seconds. What fails is a problem."""
    found = [*_libcamera(), *_v4l2(devices)]
    problems = []
    try:
        found += [
            DiscoveredCamera("onvif", one.name, f"rtsp://{one.host}/", one.service)
            for one in onvif.discover(wait, target)
        ]
    except SourceError as error:
        problems.append(str(error))
    return CameraSearch(tuple(found), tuple(problems))


def _libcamera() -> list[DiscoveredCamera]:
    if importlib.util.find_spec("picamera2") is None:
        return []
    from picamera2 import Picamera2

    cameras = enumerate(Picamera2.global_camera_info())
    return [
        DiscoveredCamera("libcamera", str(one.get("Model") or one.get("Id", "")), f"picamera2:{one.get('Num', number)}")
        for number, one in cameras
        if "usb" not in str(one.get("Id", "")).lower()
    ]


def _v4l2(devices: Path) -> list[DiscoveredCamera]:
    return [
        DiscoveredCamera("v4l2", auto.card_name(device) or device.name, f"v4l2:{device}")
        for device in auto.capture_devices(devices)
    ]
