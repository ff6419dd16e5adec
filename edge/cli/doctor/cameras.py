"""Checks of cameras: present, permitted and delivering frames."""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import EdgeError, SourceError
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame
from edge.sources.base import FrameSource
from edge.sources.factory import open_source, split

DEVICES = Path("/dev")
DARK = 4.0
"""mean of the Y plane (0..255) below which a picture is black"""


def cameras(context: DoctorContext) -> Iterator[Finding]:
    """Open each enabled camera briefly, unless the daemon uses it."""
    enabled = [camera for camera in context.settings.cameras if camera.enabled]
    if not enabled:
        yield Finding(
            Level.WARNING, "cameras", "no camera is enabled", "there is nothing to detect", "set cameras.enabled"
        )
    for camera in enabled:
        found = list(_device(camera))
        yield from found
        if any(finding.level is Level.ERROR for finding in found):
            continue
        if context.daemon is not None:
            yield Finding(
                Level.NOTE, "cameras", f"{camera.name} was not opened: the daemon (process {context.daemon}) uses it",
                "", "systemctl status edge shows its frames per second",
            )  # fmt: skip
        else:
            yield _delivers(camera, context.seconds)


def _device(camera: CameraSettings) -> Iterator[Finding]:
    """Checks without opening the source."""
    name, target = split(camera.source.get_secret_value())
    if name == "v4l2":
        device = Path(target)
        if not device.exists():
            there = ", ".join(str(path) for path in sorted(DEVICES.glob("video*"))) or "none"
            yield Finding(
                Level.ERROR, "cameras", f"{camera.name}: {device} does not exist", f"available devices: {there}",
                "plug the camera in, or set cameras.source to an available device",
            )  # fmt: skip
        elif not os.access(device, os.R_OK | os.W_OK):
            yield Finding(
                Level.ERROR, "cameras", f"{camera.name}: {device} may not be opened by this user",
                "it belongs to the group video", "add the user to the group: sudo usermod -aG video edge",
            )  # fmt: skip
    if not camera.tls_verify and target.lower().startswith(("rtsps://", "https://")):
        yield Finding(
            Level.WARNING, "cameras", f"{camera.name}: the certificate is not verified (tls_verify = false)",
            "an attacker at that address gets the password and can forge frames",
            "set tls_ca to the camera's CA certificate, and remove tls_verify",
        )  # fmt: skip
    if name == "picamera2" and importlib.util.find_spec("picamera2") is None:
        yield Finding(
            Level.ERROR, "cameras", f"{camera.name}: the Python package picamera2 is not installed",
            "it is a Debian package, and the venv must include the system's packages",
            "apt-get install python3-picamera2, and create the venv with --system-site-packages",
        )  # fmt: skip


def _delivers(camera: CameraSettings, seconds: float) -> Finding:
    """Check that a frame arrives within ``seconds``, and is not black."""
    from edge.core.imaging import image as pictures

    try:
        source = open_source(camera.model_copy(update={"realtime": False, "loop": False}))
        began = time.monotonic()
        frame = _first(source, max(seconds, camera.stall + 2))
    except EdgeError as error:
        return Finding.of("cameras", error, f"{camera.name} does not deliver")
    took, main = time.monotonic() - began, frame.main
    size = f"{main.width} x {main.height}"
    if float(pictures.luma(main, 32, 24).mean()) < DARK:
        return Finding(
            Level.WARNING, "cameras", f"{camera.name} delivers {size}, and the picture is black",
            "the lens is covered, or the sensor is defective", "check the lens, the cable and the light",
        )  # fmt: skip
    return Finding(Level.OK, "cameras", f"{camera.name} delivers {size}, the first frame after {took:.1f} s")


def _first(source: FrameSource, seconds: float) -> Frame:
    """The first frame. Raises SourceError; a hung driver stays in its daemon thread."""
    found: list[Frame | EdgeError] = []

    def look() -> None:
        try:
            with closing(source):
                found.extend([next(iter(source.frames()))])
        except StopIteration:
            found.append(SourceError(f"{source.name}: ended without a frame", "check the source"))
        except EdgeError as error:
            found.append(error)

    thread = threading.Thread(target=look, name="doctor camera", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise SourceError(f"{source.name}: no frame within {seconds:.0f} s", "unplug the camera and plug it in again")
    if isinstance(found[0], EdgeError):
        raise found[0]
    return found[0]
