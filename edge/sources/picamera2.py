"""``picamera2[:N]``: a camera of a Raspberry Pi by libcamera. The ISP scales: a main stream, and a small one beside it.

Both are asked for as YUV420: half the bytes of RGB to copy, and the conversion is left to the few pixels that are
cut. What the library calls RGB888 lies in memory as B, G, R. Planar arrays come with the rows padded to a stride.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edge.core.errors import SettingsError, SourceError
from edge.core.imaging import image as pictures
from edge.core.types import Frame, Layout, Picture
from edge.sources.base import FrameRate, fitted

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings
    from edge.core.types import ByteArray

logger = logging.getLogger(__name__)

LAYOUTS: dict[str, Layout] = {"YUV420": "i420", "RGB888": "bgr", "BGR888": "rgb"}
"""libcamera's name for a format -> memory layout"""
_BUFFERS = 4
"""frame buffers of the camera; each takes contiguous memory, which is scarce on a Pi"""


class PiCamera2:
    """A CSI camera. Rotation by 0 and 180 degrees is free in the sensor, by 90 and 270 it is done here."""

    live = True

    def __init__(self, camera: CameraSettings, target: str) -> None:
        if target and not target.isdecimal():
            raise SettingsError(
                f"camera {camera.name!r}: expected picamera2:N with the camera's number, got {target!r}",
                "rpicam-hello --list-cameras shows the numbers",
            )
        self.name = f"picamera2:{target or 0}"
        self._camera, self._number = camera, int(target or 0)
        self._device: Any = None

    def frames(self) -> Iterator[Frame]:
        self.close()
        self._device = _device(self._number, self.name)
        streams = self._start()
        turn = self._camera.rotation if self._camera.rotation in (90, 270) else 0
        rate, sequence = FrameRate(self._camera.fps), 0
        while True:
            request = self._next_request()
            try:
                moment = _exposed(request.get_metadata())
                if not rate.wants(moment):
                    continue
                main, small = (_copied(request, name, streams[name]) for name in ("main", "lores"))
            finally:
                request.release()  # or the camera runs out of buffers and stalls
            wall = time.time() - (time.monotonic() - moment)
            main, small = pictures.rotated(main, turn), pictures.rotated(small, turn)
            yield Frame(self._camera.name, sequence, moment, wall, main, small)
            sequence += 1

    def close(self) -> None:
        device, self._device = self._device, None
        if device is None:
            return
        try:
            device.cancel_all_and_flush()  # or stop waits for ever behind the frame of a stalled camera
            device.close()
        except RuntimeError as error:
            logger.warning("%s did not close cleanly: %s", self.name, error)

    def _start(self) -> dict[str, Mapping[str, Any]]:
        """Configure and start. The streams that the camera granted, by name: they may differ from what was asked."""
        camera = self._camera
        size = (camera.width // 2 * 2, camera.height // 2 * 2)
        try:
            configuration = self._device.create_video_configuration(
                main={"size": size, "format": "YUV420"},
                lores={"size": fitted(size, (camera.small_width, camera.small_height)), "format": "YUV420"},
                controls=_controls(camera),
                colour_space=_bt601(),
                transform=_transform(180 if camera.rotation == 180 else 0),
                buffer_count=_BUFFERS,
                queue=False,  # a queued request would be as old as the last inference took long
            )
            self._device.configure(configuration)
            self._device.start()
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{self.name}: cannot be started: {error}", "check width, height and controls") from error
        granted = self._device.camera_configuration()
        for name in ("main", "lores"):
            if granted[name]["format"] not in LAYOUTS:
                raise SourceError(
                    f"{self.name}: its {name} stream has the format {granted[name]['format']}, expected one of "
                    f"{', '.join(LAYOUTS)}",
                    "use v4l2:/dev/video0 for this camera",
                )
        return {name: granted[name] for name in ("main", "lores")}

    def _next_request(self) -> Any:
        try:
            return self._device.capture_request(wait=self._camera.stall)
        except TimeoutError:
            raise SourceError(
                f"{self.name}: no frame for {self._camera.stall:g} seconds", "check the camera's cable and power"
            ) from None
        except RuntimeError as error:
            raise SourceError(f"{self.name}: {error}", "check the camera's cable and power") from error


def _device(number: int, name: str) -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise SettingsError(
            f"source {name} needs the library picamera2, which cannot be imported: {error}",
            "apt install python3-picamera2, and make the environment with --system-site-packages",
        ) from error
    try:
        return Picamera2(number)
    except (IndexError, RuntimeError) as error:
        raise SourceError(
            f"{name}: there is no such camera, or another program has it: {error}",
            "rpicam-hello --list-cameras shows what there is",
        ) from error


def _controls(camera: CameraSettings) -> dict[str, Any]:
    """Controls from the settings; the frame rate is added unless they set it."""
    duration = round(1_000_000 / camera.fps)  # microseconds, shortest and longest
    return {
        "FrameDurationLimits": (duration, duration),
        **{name: _control(name, camera.controls[name]) for name in camera.controls},
    }


def _control(name: str, value: float | bool | str) -> Any:
    """A text is the name of a libcamera enum value: ``AwbMode = "Daylight"``."""
    if not isinstance(value, str):
        return value
    from libcamera import controls

    kind = getattr(controls, f"{name}Enum", None)
    if kind is None or not hasattr(kind, value):
        raise SettingsError(
            f"camera control {name} = {value!r}: libcamera has no such value", f"see libcamera's {name}"
        )
    return getattr(kind, value)


def _transform(degrees: int) -> Any:
    from libcamera import Transform

    return Transform(hflip=degrees == 180, vflip=degrees == 180)


def _bt601() -> Any:
    """The color space that ``edge.core.imaging.image`` expects. The library's default depends on the size."""
    from libcamera import ColorSpace

    return ColorSpace.Smpte170m()


def _copied(request: Any, name: str, stream: Mapping[str, Any]) -> Picture:
    """A copy of the picture: the mapped memory belongs to the camera again once the request is released."""
    from picamera2 import MappedArray

    width, height = stream["size"]
    with MappedArray(request, name, write=False) as mapped:
        data: ByteArray = mapped.array.copy()
    return Picture(data, LAYOUTS[stream["format"]], width, height)


def _exposed(metadata: Mapping[str, Any]) -> float:
    """Monotonic seconds at exposure. The sensor counts from boot, drivers differ in whether sleep is counted in."""
    now = time.monotonic()
    stamp = metadata.get("SensorTimestamp")
    if stamp is None:
        return now
    for clock in (time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME):
        age = float(time.clock_gettime(clock) - stamp / 1e9)
        if 0 <= age < 10:
            return now - age
    return now
