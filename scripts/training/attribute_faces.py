"""Faces labeled for the attribute trainer: wide aligned crops with what the teachers say, stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import data
from training.align import TEMPLATE, similarity
from training.face_api import SIDE as TEACHER_SIDE
from training.face_api import Teachers

STORED = 128
"""Side of a stored crop, pixels."""
STORED_ROOM = 0.35
"""Room around the 112 px template on each side, as a share of it; the net sees less."""
LANDMARK_VIEW = (56.0, 72.0, 118.0)
"""Center and side, in the template's pixels, of what the landmark network is shown."""
AROUND = 1.2
"""Side of what the other two are shown, in sides of the square around all landmarks."""
BATCH = 32
Finder = Callable[[Path], NDArray[np.float32] | None]


@dataclass(frozen=True)
class AttributeFaces:
    """Stored faces; rows belong together."""

    crops: NDArray[np.uint8]
    """(N, 128, 128, 3) RGB."""
    points: NDArray[np.float32]
    """(N, 5, 2) pixels of the crop."""
    landmarks: NDArray[np.float32]
    """(N, 68, 2) pixels of the crop."""
    age: NDArray[np.float32]
    """(N,) years."""
    male: NDArray[np.float32]
    """(N,) probability."""
    emotions: NDArray[np.float32]
    """(N, 7) probabilities."""
    keys: NDArray[np.str_]
    """(N,) hash of the picture's path, which labels made by eye are found by."""
    groups: NDArray[np.str_]
    """(N,) lfw, or the group of a portrait."""
    kept: NDArray[np.bool_]
    """(N,) whether the person is kept aside."""

    def save(self, path: Path) -> None:
        """Write one .npz."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> AttributeFaces:
        """Read what `save` wrote."""
        with np.load(path) as stored:
            return cls(**{field.name: stored[field.name] for field in fields(cls)})


def template(side: int, room: float) -> NDArray[np.float32]:
    """(5, 2) where the five landmarks lie in a crop of `side` pixels with `room` around the template."""
    return ((TEMPLATE - 56) / (1 + 2 * room) + 56) * (side / 112)


def key_of(file: str) -> str:
    """The name under which labels made by eye are kept."""
    return hashlib.sha256(file.encode()).hexdigest()[:12]


def gather(
    folder: Path, portrait_folder: Path | None, cache: Path, finder: Finder, teachers: Teachers
) -> AttributeFaces:
    """The central face of every picture of folders laid out as `lfw_train` and `faces_broad`."""
    listed = list(_faces(folder, portrait_folder, cache, finder))
    parts = [_labeled(listed[start : start + BATCH], teachers) for start in range(0, len(listed), BATCH)]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return AttributeFaces(
        **arrays,
        keys=np.array([key_of(one.file) for one in listed]),
        groups=np.array([one.group for one in listed]),
        kept=np.array([one.kept for one in listed]),
    )


@dataclass(frozen=True)
class _Listed:
    path: Path
    file: str
    points: NDArray[np.float32]
    group: str
    kept: bool


def _faces(folder: Path, portrait_folder: Path | None, cache: Path, finder: Finder) -> Iterator[_Listed]:
    opened = data.open_folder(folder, cache)
    for picture in data.read_pictures(folder):
        height, width = data.read_rgb(opened / picture.file).shape[:2]
        points = data.central_face(picture, (width, height)).points
        yield _Listed(opened / picture.file, picture.file, points, "lfw", data.is_held_out(picture.person))
    if portrait_folder is None:
        return
    place = data.open_folder(portrait_folder, cache / portrait_folder.name)
    for portrait in data.read_portraits(portrait_folder):
        found = finder(place / portrait.file)
        if found is not None:
            kept = data.is_held_out(portrait.person, data.PORTRAITS_HELD_OUT)
            yield _Listed(place / portrait.file, portrait.file, found, portrait.group, kept)


def _labeled(listed: list[_Listed], teachers: Teachers) -> dict[str, NDArray[np.float32]]:
    images = [data.read_rgb(one.path) for one in listed]
    to_template = [similarity(one.points, TEMPLATE) for one in listed]
    views = [
        _view(image, matrix, *LANDMARK_VIEW, cv2.BORDER_REPLICATE)
        for image, matrix in zip(images, to_template, strict=True)
    ]
    x, y, side = LANDMARK_VIEW
    marks = (teachers.landmarks(np.stack(views)) - 0.5) * side + np.array([x, y], np.float32)
    shown = []
    for image, matrix, own in zip(images, to_template, marks, strict=True):
        low, high = own.min(axis=0), own.max(axis=0)
        middle = (low + high) / 2
        shown.append(_view(image, matrix, middle[0], middle[1], (high - low).max() * AROUND, cv2.BORDER_REPLICATE))
    answers = teachers.attributes(np.stack(shown))
    scale = STORED / (112 * (1 + 2 * STORED_ROOM))
    move = template(STORED, STORED_ROOM).mean(axis=0) - TEMPLATE.mean(axis=0) * scale
    crops, points = [], []
    for image, one in zip(images, listed, strict=True):
        matrix = similarity(one.points, template(STORED, STORED_ROOM))
        flags = {"flags": cv2.INTER_AREA, "borderMode": cv2.BORDER_CONSTANT}
        crops.append(cv2.warpAffine(image, matrix, (STORED, STORED), **flags))
        points.append(one.points @ matrix[:, :2].T + matrix[:, 2])
    return {
        "crops": np.stack(crops),
        "points": np.stack(points).astype(np.float32),
        "landmarks": (marks * scale + move).astype(np.float32),
        **answers,
    }


def _view(
    image: NDArray[np.uint8], matrix: NDArray[np.float32], x: float, y: float, side: float, border: int
) -> NDArray[np.uint8]:
    """A square of the aligned face, for a teacher: center and side in the template's pixels."""
    scale = TEACHER_SIDE / side
    shift = np.array([[TEACHER_SIDE / 2 - x * scale], [TEACHER_SIDE / 2 - y * scale]])
    moved = np.hstack([matrix[:, :2] * scale, matrix[:, 2:] * scale + shift]).astype(np.float32)
    return cv2.warpAffine(image, moved, (TEACHER_SIDE, TEACHER_SIDE), flags=cv2.INTER_LINEAR, borderMode=border)
