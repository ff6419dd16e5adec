"""``synthetic[:FOLDER]``: a simulated camera that films photos of people.

Each subject of the folder (a folder of photos per subject; the package's own portraits where none is given) walks
in, stays and leaves. The camera sways, light drifts and a lamp goes off, what moves is smeared, the sensor is noisy.
Everything is a function of the seed and the frame's number, so the truth is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import cv2
import numpy as np

from edge.core.imaging import image as pictures
from edge.core.types import Box, Frame, Picture
from edge.sources import synthetic_scene as scene
from edge.sources import synthetic_script as visits
from edge.sources.base import StoredClock, fitted

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings
    from edge.core.types import ByteArray

VISITS = 2
"""visits of each subject before the scene ends"""
FACE_HEIGHTS = (0.125, 0.236)
"""of a face when it is smallest, fractions of the frame's: 90 to 170 of 720 pixels; it comes nearer by a quarter"""
_EXPOSURE = 1 / 40
"""seconds of exposure: motion blur"""
_SWAY = 3
"""pixels the camera moves to either side"""
_NOISE = 3.0
"""standard deviation of a pixel's luma"""


@dataclass(frozen=True, slots=True)
class PortraitPresence:
    """A subject in one frame."""

    subject: str
    box: Box
    """of the face; may reach outside the frame while it enters and leaves"""
    visit: int


class Synthetic:
    """The synthetic camera. Stored: it ends after ``VISITS`` visits of each subject, unless ``camera.loop``."""

    live = False

    def __init__(
        self, camera: CameraSettings, target: str, *, seed: int = 1, layout: Literal["i420", "rgb"] = "i420"
    ) -> None:
        self.name = f"synthetic {target}".rstrip()
        self._camera, self._seed, self._layout = camera, seed, layout
        self._folder = Path(target) if target else Path(str(resources.files("edge") / "data" / "portraits"))
        self._width, self._height = camera.width // 2 * 2, camera.height // 2 * 2

    def frames(self) -> Iterator[Frame]:
        _ = self._stage  # before the clock starts
        clock, number = StoredClock(self._camera.realtime), 0
        while self._camera.loop or number < self.length:
            at = number / self._camera.fps
            main = self.picture(number)
            monotonic, wall = clock.moment(at)
            yield Frame(self._camera.name, number, monotonic, wall, main, self._small(main), video_time=at)
            number += 1

    def close(self) -> None:
        """Nothing to close."""

    @property
    def length(self) -> int:
        """Frames until the scene ends."""
        return math.ceil(self._stage.seconds * self._camera.fps)

    @property
    def subjects(self) -> list[str]:
        """Names of all subjects of the scene."""
        return [portrait.subject for portrait in self._stage.portraits]

    def truth(self, number: int) -> list[PortraitPresence]:
        """Subjects in a frame with at least half of the face visible, and their boxes."""
        here = []
        for index, portrait, pose in self._present(number):
            if 0 <= pose.x <= 1:
                box = scene.face_box(portrait, pose, self._width / self._height)
                here.append(PortraitPresence(portrait.subject, box, index))
        return here

    def picture(self, number: int) -> Picture:
        """Rendered picture of a frame."""
        across, down = self._shift(number)
        canvas = self._stage.room[down : down + self._height, across : across + self._width].copy()
        for _, portrait, pose in self._present(number):
            scene.add_person(canvas, portrait, pose, _EXPOSURE)
        rgb = cast("ByteArray", cv2.convertScaleAbs(canvas, alpha=scene.light(number / self._camera.fps)))
        if self._layout == "rgb":
            return Picture(self._noisy(rgb, number), "rgb", self._width, self._height)
        planes = cast("ByteArray", cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420))
        self._noisy(planes[: self._height], number)
        return Picture(planes, "i420", self._width, self._height)

    @cached_property
    def _stage(self) -> _Stage:
        portraits = scene.portraits(self._folder)
        names = [portrait.subject for portrait in portraits]
        plan = visits.plan(names, VISITS * len(names), self._seed, FACE_HEIGHTS)
        chance = np.random.default_rng(self._seed)
        noise = np.abs(chance.normal(0, _NOISE, (2, self._height + 64, self._width + 64))).astype(np.uint8)
        room = scene.room(self._width + 2 * _SWAY, self._height + 2 * _SWAY, self._seed)
        return _Stage(portraits, plan, room, noise)

    def _present(self, number: int) -> Iterator[tuple[int, scene.Portrait, visits.PortraitPose]]:
        """(number of the visit, portrait, pose in the frame) of every visitor present."""
        plan, seconds = self._stage.visits, self._stage.seconds
        again, now = divmod(number / self._camera.fps, seconds)
        across, down = self._shift(number)
        for index, visit in enumerate(plan):
            pose = visits.pose(visit, now)
            if pose is None:
                continue
            portrait = self._stage.portraits[visit.portrait]
            pose = scene.standing(portrait, pose)
            seen = replace(pose, x=pose.x - across / self._width, y=pose.y - down / self._height)
            yield index + int(again) * len(plan), portrait, seen

    def _shift(self, number: int) -> tuple[int, int]:
        """Offset of the picture in the room, pixels."""
        now = number / self._camera.fps
        return round(_SWAY * (1 + math.sin(now / 2.3))), round(_SWAY * (1 + math.sin(now / 3.7)))

    def _noisy(self, pixels: ByteArray, number: int) -> ByteArray:
        """Add sensor noise in place: two fixed noise pictures, shifted; one brightens, one darkens."""
        places = np.random.default_rng((self._seed, number)).integers(0, 64, 4)
        brighter = self._stage.noise[0, places[0] :, places[1] :][: self._height, : self._width]
        darker = self._stage.noise[1, places[2] :, places[3] :][: self._height, : self._width]
        if pixels.ndim == 3:
            brighter, darker = cv2.merge([brighter] * 3), cv2.merge([darker] * 3)  # type: ignore[assignment]
        cv2.add(pixels, brighter, dst=pixels)
        cv2.subtract(pixels, darker, dst=pixels)
        return pixels

    def _small(self, main: Picture) -> Picture:
        """The low-resolution plane that an ISP delivers beside the main one."""
        return pictures.resized(main, *self._small_size)

    @cached_property
    def _small_size(self) -> tuple[int, int]:
        return fitted((self._width, self._height), (self._camera.small_width, self._camera.small_height))


@dataclass(frozen=True, slots=True)
class _Stage:
    """Precomputed parts: portraits, visits, room and noise."""

    portraits: list[scene.Portrait]
    visits: list[visits.Visit]
    room: ByteArray
    noise: ByteArray

    @property
    def seconds(self) -> float:
        return self.visits[-1].end + 1.0
