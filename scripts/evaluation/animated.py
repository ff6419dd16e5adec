"""Stills that move: pictures become four seconds of video in front of a camera, for the real pipeline.

A still is moved, scaled, turned, blurred, brightened and compressed, frame by frame. The same still and seed give the
same frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.core.imaging import image as pictures
from edge.core.types import Frame, Picture

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray

SECONDS, FPS = 4.0, 10.0
WIDTH, HEIGHT = 640, 480
"""pixels of the camera"""
SHARE = (0.4, 0.85)
"""height of the still over that of the camera's picture"""
APPROACH = 0.25
"""by which the still grows or shrinks on the way, at most"""
TURN = 8.0
"""degrees, to either side"""
GAIN = (0.65, 1.25)
"""brightness"""
BLUR = 1.4
"""pixels, deviation, at most"""
SHAKEN = 0.12
"""share of the frames with motion blur"""
JPEG = (35, 85)
"""quality"""
NOISE = (1.0, 6.0)
"""deviation, levels of 255"""
MARGIN = 64
EPOCH = 1.7e9
VERSION = 1
"""of the animation: another one makes other frames of the same still"""


@dataclass(frozen=True, slots=True)
class Clip:
    """One visit: who it is, and the still that moves."""

    person: str
    path: Path

    @property
    def seed(self) -> int:
        """The same for the same still, on every machine."""
        return int.from_bytes(hashlib.sha256(f"{self.person}/{self.path.name}".encode()).digest()[:8], "big")


def frames(clip: Clip, seconds: float = SECONDS, fps: float = FPS, camera: str = "door") -> Iterator[Frame]:
    """The frames of a visit: (480, 640, 3) RGB, times from 0 on. Raises InputError for a picture that is none."""
    yield from decoded(coded(clip, seconds, fps), fps, camera)


def decoded(jpegs: Iterable[ByteArray], fps: float = FPS, camera: str = "door") -> Iterator[Frame]:
    """The frames that the camera's JPEGs hold."""
    for number, jpeg in enumerate(jpegs):
        shown, at = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[:, :, ::-1], number / fps
        yield Frame(camera, number, at, EPOCH + at, Picture(np.ascontiguousarray(shown), "rgb", WIDTH, HEIGHT))


def coded(clip: Clip, seconds: float = SECONDS, fps: float = FPS) -> Iterator[ByteArray]:
    """The same as the camera compresses them: JPEG. Raises InputError for a picture that is none."""
    still = pictures.to_rgb(pictures.read(clip.path))
    chance = np.random.default_rng(clip.seed)
    path = _Path(chance, still.shape[0], still.shape[1])
    backdrop = _backdrop(still)
    quality = int(chance.integers(*JPEG))
    noise = _noise(chance)
    count = round(seconds * fps)
    for number in range(count):
        seen = _taken(still, backdrop, path, number / max(1, count - 1), chance, noise)
        yield cv2.imencode(".jpg", seen[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]


class _Path:
    """How a still moves through the picture: smooth curves of the share 0..1 of the visit that is over."""

    def __init__(self, chance: np.random.Generator, height: int, width: int) -> None:
        share = chance.uniform(*SHARE)
        self._scale = share * HEIGHT / height
        self._grows = chance.uniform(-APPROACH, APPROACH)
        room = max(0.0, WIDTH - width * self._scale), max(0.0, HEIGHT - height * self._scale)
        self._from = np.array([chance.uniform(0, side) for side in room])
        self._to = np.array([chance.uniform(0, side) for side in room])
        self._sway = chance.uniform(2.0, 12.0, 2)
        self._beat = chance.uniform(1.0, 3.5, 2)
        self._turn = chance.uniform(-TURN, TURN, 2)
        self._gain = chance.uniform(*GAIN, 2)
        self._blur = chance.uniform(0.0, BLUR, 2)
        self._size = np.array([width, height])

    def matrix(self, share: float) -> FloatArray:
        """(2, 3): from the still's pixels to the camera's."""
        scale = self._scale * (1.0 + self._grows * (share - 0.5))
        sway = self._sway * np.sin(2 * np.pi * self._beat * share)
        corner = self._from + (self._to - self._from) * share + sway
        middle = self._size / 2
        turn = cv2.getRotationMatrix2D(tuple(middle), self._between(self._turn, share), scale)
        turn[:, 2] += corner + middle * scale - middle
        return turn.astype(np.float32)

    def gain(self, share: float) -> float:
        return self._between(self._gain, share)

    def blur(self, share: float) -> float:
        return self._between(self._blur, share)

    @staticmethod
    def _between(ends: FloatArray, share: float) -> float:
        return float(ends[0] + (ends[1] - ends[0]) * share)


def _backdrop(still: ByteArray) -> ByteArray:
    """The still's own colors without anything to recognize in them."""
    small = cv2.resize(still, (8, 6), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) // 2  # type: ignore[return-value]


def _taken(
    still: ByteArray, backdrop: ByteArray, path: _Path, share: float, chance: np.random.Generator, noise: ByteArray
) -> ByteArray:
    """One frame as the camera takes it: (480, 640, 3) RGB."""
    seen = backdrop.copy()
    cv2.warpAffine(
        still, path.matrix(share), (WIDTH, HEIGHT), dst=seen, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT
    )
    if path.blur(share) > 0.3:
        seen = cv2.GaussianBlur(seen, (0, 0), path.blur(share))
    if chance.random() < SHAKEN:
        length = int(chance.integers(3, 8))
        seen = cv2.blur(seen, (length, 1) if chance.random() < 0.7 else (1, length))
    down, right = chance.integers(0, MARGIN, 2)
    grain = noise[down : down + HEIGHT, right : right + WIDTH]
    return cv2.addWeighted(seen, path.gain(share), grain, 1.0, -128.0)  # type: ignore[return-value]


def _noise(chance: np.random.Generator) -> ByteArray:
    """Grain around 128, larger than a frame: each frame shows another part of it."""
    grain = np.empty((HEIGHT + MARGIN, WIDTH + MARGIN), np.int8)
    cv2.setRNGSeed(int(chance.integers(1, 2**31)))
    cv2.randn(grain, 0.0, chance.uniform(*NOISE))  # type: ignore[call-overload]
    return cv2.cvtColor((grain.astype(np.int16) + 128).astype(np.uint8), cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
