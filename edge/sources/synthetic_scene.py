"""The synthetic scene: a drawn room, cut-out portraits, and varying light."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from edge.core.compat import tomllib
from edge.core.errors import InputError, SourceError
from edge.core.imaging import image as pictures
from edge.core.imaging.folders import ENDINGS, is_left_out
from edge.core.types import Box
from edge.sources.synthetic_script import PortraitPose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import ByteArray

FACES_FILE = "faces.toml"
_LIKELY_FACE = Box(0.3, 0.2, 0.7, 0.6)
"""default place of a face in a portrait without an annotation"""
_LONGEST_SIDE = 640
"""pixels; larger portraits are shrunk when they are read"""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo of a subject, cut out."""

    subject: str
    rgb: ByteArray
    alpha: ByteArray
    """(height, width) uint8: 255 where the subject is"""
    face: Box
    """fractions of the photo"""


def portraits(folder: Path) -> list[Portrait]:
    """The first photo of each subject's folder, by name. Raises SourceError."""
    if not folder.is_dir():
        raise SourceError(f"synthetic: there is no folder {folder}", "give a folder with a folder per subject")
    faces = _faces(folder / FACES_FILE)
    found = []
    for subject in sorted(path for path in folder.iterdir() if path.is_dir() and not is_left_out(path.name)):
        photos = sorted(
            path for path in subject.iterdir() if path.suffix.lower() in ENDINGS and not is_left_out(path.name)
        )
        if photos:
            found.append(_portrait(photos[0], subject.name, faces.get(f"{subject.name}/{photos[0].name}")))
    if not found:
        raise SourceError(f"synthetic: no portraits in {folder}", "give a folder with a folder of photos per subject")
    return found


def _faces(path: Path) -> dict[str, Box]:
    if not path.is_file():
        return {}
    try:
        return {
            name: Box(*(float(value) for value in box))
            for name, box in tomllib.loads(path.read_text(encoding="utf-8")).items()
        }
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise SourceError(f"{path}: {error}", "write file = [left, top, right, bottom], fractions") from error


def _portrait(path: Path, subject: str, face: Box | None) -> Portrait:
    try:
        photo = pictures.read(path)
    except InputError as error:
        raise SourceError(f"synthetic: {error.message}", error.hint) from error
    scale = min(1.0, _LONGEST_SIDE / max(photo.width, photo.height))
    rgb = pictures.resized_rgb(photo, max(2, round(photo.width * scale)), max(2, round(photo.height * scale)))
    face = face or _LIKELY_FACE
    return Portrait(subject, rgb, _cut_out(rgb, face), face)


def _cut_out(rgb: ByteArray, face: Box) -> ByteArray:
    """The mask of the person: a head and shoulders around the face, drawn to the colors' edges by GrabCut."""
    height, width = rgb.shape[:2]
    scale = 160 / max(height, width)
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    x, y = face.center.x * mask.shape[1], face.center.y * mask.shape[0]
    w, h = face.width * mask.shape[1], face.height * mask.shape[0]
    _ellipse(mask, x, y - 0.1 * h, 1.05 * w, 1.15 * h, cv2.GC_PR_FGD)
    _shoulders(mask, x, y, w, h, 1.9, cv2.GC_PR_FGD)
    _ellipse(mask, x, y, 0.48 * w, 0.52 * h, cv2.GC_FGD)
    _shoulders(mask, x, y + 0.5 * h, w, h, 0.6, cv2.GC_FGD)
    cv2.setRNGSeed(1)  # GrabCut starts from random clusters
    cv2.grabCut(small, mask, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    person = np.where((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    person = _bytes(cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    person = _bytes(cv2.resize(person, (width, height), interpolation=cv2.INTER_CUBIC))
    return _bytes(cv2.GaussianBlur(person, (0, 0), 1.5))


def _ellipse(mask: ByteArray, x: float, y: float, half_width: float, half_height: float, value: int) -> None:
    cv2.ellipse(mask, ((x, y), (2 * half_width, 2 * half_height), 0.0), (value,), -1)


def _shoulders(mask: ByteArray, x: float, y: float, w: float, h: float, wide: float, value: int) -> None:
    bottom = mask.shape[0]
    corners = [(x - 0.4 * w, y + 0.3 * h), (x + 0.4 * w, y + 0.3 * h), (x + wide * w, y + 1.3 * h)]
    corners += [(x + wide * w, bottom), (x - wide * w, bottom), (x - wide * w, y + 1.3 * h)]
    cv2.fillPoly(mask, [np.array(corners, np.int32)], (value,))


def room(width: int, height: int, seed: int) -> ByteArray:
    """(height, width, 3): a wall with a door, a picture and a floor, unevenly lit and textured."""
    chance = np.random.default_rng(seed)
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = chance.uniform(120, 170, 3)
    floor = round(height * 0.82)
    wall[floor:] = chance.uniform(70, 110, 3)
    for _ in range(6):
        left, top = chance.uniform(0, 0.9) * width, chance.uniform(0.05, 0.5) * height
        right, bottom = left + chance.uniform(0.05, 0.2) * width, top + chance.uniform(0.1, 0.32) * height
        color = tuple(float(value) for value in chance.uniform(50, 200, 3))
        cv2.rectangle(wall, (round(left), round(top)), (round(right), round(bottom)), color, -1)
        cv2.rectangle(wall, (round(left), round(top)), (round(right), round(bottom)), (40.0, 35.0, 30.0), 3)
    for octave in (8, 32, 128):
        coarse = chance.normal(0, 9, (max(2, height * octave // 720), max(2, width * octave // 720), 1))
        grown = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        wall += grown[:, :, None]
    lit = np.linspace(1.12, 0.82, width, dtype=np.float32)[None, :, None]
    return _bytes(np.clip(wall * lit, 0, 255).astype(np.uint8))


def light(now: float) -> float:
    """Gain of the picture: drifting daylight, and a lamp that is off for a while."""
    lamp = 0.72 if 11.0 <= now % 23.0 < 14.0 else 1.0
    return lamp * (1.0 + 0.10 * math.sin(now / 3.1))


_LOWEST = 0.62
_BOTTOM = 1.04


def standing(portrait: Portrait, pose: PortraitPose) -> PortraitPose:
    """The pose moved so that the photo reaches the lower edge: lower, and nearer if needed."""
    below = (1 - portrait.face.center.y) / portrait.face.height  # face heights from its center to the photo's end
    size = max(pose.size, (_BOTTOM - _LOWEST) / below)
    return dataclasses.replace(pose, size=size, y=max(pose.y, _BOTTOM - below * size))


def face_box(portrait: Portrait, pose: PortraitPose, shape: float) -> Box:
    """Where the face is, fractions of a picture whose width is ``shape`` times its height."""
    photo_height, photo_width = portrait.rgb.shape[:2]
    width = pose.size * portrait.face.width * photo_width / (portrait.face.height * photo_height) / shape
    return Box(pose.x - width / 2, pose.y - pose.size / 2, pose.x + width / 2, pose.y + pose.size / 2)


def add_person(canvas: ByteArray, portrait: Portrait, pose: PortraitPose, exposure: float) -> None:
    """Paint a portrait into ``canvas`` (height, width, 3) where the pose says.

    What moves is smeared along its way by as much as it moves during ``exposure`` seconds.
    """
    height, width = canvas.shape[:2]
    photo_height, photo_width = portrait.rgb.shape[:2]
    scale = pose.size * height / (portrait.face.height * photo_height)
    center = (portrait.face.center.x * photo_width, portrait.face.center.y * photo_height)
    matrix = np.array(cv2.getRotationMatrix2D(center, pose.tilt, scale), np.float64)
    matrix[:, 2] += (pose.x * width - center[0], pose.y * height - center[1])
    smear = max(1, round(abs(pose.speed) * width * exposure))
    corners = (
        np.array([[0, 0, 1], [photo_width, 0, 1], [0, photo_height, 1], [photo_width, photo_height, 1]]) @ matrix.T
    )
    margin = np.array([smear, 1])
    left, top = np.floor(corners.min(axis=0) - margin).astype(int)
    right, bottom = np.ceil(corners.max(axis=0) + margin).astype(int)
    left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
    if right > left and bottom > top:
        matrix[:, 2] -= (left, top)
        _blend(canvas[top:bottom, left:right], portrait, matrix, smear)


def _blend(region: ByteArray, portrait: Portrait, matrix: NDArray[np.float64], smear: int) -> None:
    size = (region.shape[1], region.shape[0])
    alpha = cv2.warpAffine(portrait.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    rgb = cv2.warpAffine(portrait.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if smear > 1:
        alpha, rgb = cv2.blur(alpha, (smear, 1)), cv2.blur(rgb, (smear, 1))
    share = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB)
    cv2.add(
        cv2.multiply(rgb, share, scale=1 / 255),
        cv2.multiply(region, cv2.bitwise_not(share), scale=1 / 255),
        dst=region,
    )


def _bytes(pixels: NDArray[Any]) -> ByteArray:
    return cast("ByteArray", pixels)
