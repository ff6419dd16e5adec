"""Cameras of this device and of its network, in one list."""

from __future__ import annotations

from pathlib import Path

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


def test_the_real_devices_are_listed() -> None:
    devices = Path("/dev")
    found = [one.source for one in search(0.05, devices, ("127.0.0.1", 9)).cameras if one.kind == "v4l2"]
    assert found == [f"v4l2:{one}" for one in auto.capture_devices(devices)]


def test_a_network_that_fails_does_not_hide_the_other_cameras(tmp_path: Path) -> None:
    found = search(0.05, tmp_path, ("127.0.0.1", 0))
    assert found.cameras == ()
    assert len(found.problems) == 1
    assert "network" in found.problems[0]
