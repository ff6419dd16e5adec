"""Cameras of this device and of its network, in one list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rigs.onvif_camera import onvif_camera
from rigs.v4l2_kernel import FakeKernel

from edge.core.settings.vision import CameraSettings
from edge.sources import auto
from edge.sources.discovery import DiscoveredCamera, search
from edge.sources.factory import check


def test_what_is_found_can_be_used_as_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("video0", "video1"):
        (tmp_path / name).touch()
    monkeypatch.setattr(auto, "fcntl", FakeKernel({"video0": ("unicam", 0x1), "video1": ("uvcvideo", 0x1)}))
    with onvif_camera() as camera:
        found = search(0.3, tmp_path, camera.udp)
    assert found.problems == ()
    assert found.cameras == (
        DiscoveredCamera("v4l2", "HD Webcam", f"v4l2:{tmp_path / 'video1'}"),
        DiscoveredCamera("onvif", "Front Door IPC-42", "rtsp://127.0.0.1/", camera.service),
    )
    for one in found.cameras:
        check(CameraSettings(source=one.source))


def test_cameras_on_a_ribbon_cable_are_found_and_those_on_usb_are_left_to_v4l2(tmp_path: Path, board: Any) -> None:
    ribbon = "/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a"
    usb = "/base/axi/pcie@120000/rp1/usb@200000-1:1.0-046d:0825"
    board.cameras = [
        {"Model": "imx708_wide", "Location": 2, "Rotation": 180, "Id": ribbon, "Num": 0},
        {"Model": "HD Webcam", "Location": 3, "Id": usb, "Num": 1},
        {"Location": 2, "Id": "/base/axi/pcie@120000/rp1/i2c@80000/ov5647@36", "Num": 2},
    ]
    found = search(0.05, tmp_path, ("127.0.0.1", 9)).cameras
    assert found == (
        DiscoveredCamera("libcamera", "imx708_wide", "picamera2:0"),
        DiscoveredCamera("libcamera", "/base/axi/pcie@120000/rp1/i2c@80000/ov5647@36", "picamera2:2"),
    )
    for one in found:
        check(CameraSettings(source=one.source))


def test_a_board_without_a_camera_finds_none(tmp_path: Path, board: Any) -> None:
    board.cameras = []
    assert search(0.05, tmp_path, ("127.0.0.1", 9)).cameras == ()


def test_the_real_devices_are_listed() -> None:
    devices = Path("/dev")
    found = [one.source for one in search(0.05, devices, ("127.0.0.1", 9)).cameras if one.kind == "v4l2"]
    assert found == [f"v4l2:{one}" for one in auto.capture_devices(devices)]


def test_a_network_that_fails_does_not_hide_the_other_cameras(tmp_path: Path) -> None:
    found = search(0.05, tmp_path, ("127.0.0.1", 0))
    assert found.cameras == ()
    assert len(found.problems) == 1
    assert "network" in found.problems[0]
