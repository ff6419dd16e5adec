"""Labeled face pictures: a folder (or images.tar) and its faces.csv."""

from __future__ import annotations

import csv
import hashlib
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

POINT_COLUMNS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")


@dataclass(frozen=True)
class FaceLabel:
    """One labeled face, in pixels of its picture."""

    box: NDArray[np.float32]
    """(4,) left, top, right, bottom."""
    points: NDArray[np.float32]
    """(5, 2) image-left eye, image-right eye, nose, image-left and image-right mouth corner; NaN: unknown."""
    score: float
    certain: bool = True
    """False: excluded from the loss, it may be no face."""


@dataclass(frozen=True)
class Picture:
    """A picture file of one person and every face labeled in it."""

    file: str
    person: str
    faces: tuple[FaceLabel, ...]

    @property
    def labeled(self) -> tuple[FaceLabel, ...]:
        """The faces whose landmarks are known."""
        return tuple(face for face in self.faces if face.certain and not np.isnan(face.points).any())

    @property
    def certain(self) -> tuple[FaceLabel, ...]:
        """The faces that are faces for certain."""
        return tuple(face for face in self.faces if face.certain)


def open_folder(folder: Path, cache: Path) -> Path:
    """Return the folder that holds the pictures, unpacking images.tar into `cache` if need be."""
    archive = folder / "images.tar"
    if not archive.exists():
        return folder
    target = cache / "pictures"
    marker = target / ".complete"
    if not marker.exists():
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
        marker.touch()
    return target


def read_pictures(folder: Path) -> list[Picture]:
    """Read faces.csv: one `Picture` per file, in the order of their names."""
    rows: dict[str, list[FaceLabel]] = defaultdict(list)
    with (folder / "faces.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            rows[row["file"]].append(_label(row))
    return [Picture(name, name.split("/")[0], tuple(faces)) for name, faces in sorted(rows.items())]


def _label(row: dict[str, str]) -> FaceLabel:
    left, top, width, height = (float(row[key]) for key in ("x", "y", "w", "h"))
    points = [[float(row[f"{name}_x"]), float(row[f"{name}_y"])] for name in POINT_COLUMNS]
    return FaceLabel(
        np.array([left, top, left + width, top + height], np.float32),
        np.array(points, np.float32),
        float(row["score"]),
        row.get("certain", "1") == "1",
    )


@dataclass(frozen=True)
class Portrait:
    """A picture file of `faces_broad`: one person, no labels of boxes or landmarks."""

    file: str
    source: str
    """commons or generated."""
    person: str
    """Hash of the person; of a generated portrait, which no person sat for, its file's name without suffix."""
    group: str
    """People who look alike: source with colour, or with sex and origin."""


def read_portraits(folder: Path) -> list[Portrait]:
    """Read images.csv of `faces_broad`, in the order of the files' names."""
    with (folder / "images.csv").open(newline="") as file:
        return sorted((_portrait(row) for row in csv.DictReader(file)), key=lambda portrait: portrait.file)


def _portrait(row: dict[str, str]) -> Portrait:
    kind = row["colour"] if row["source"] == "commons" else f"{row['sex']} {row['group']}"
    person = row["person"] or Path(row["file"]).stem
    return Portrait(row["file"], row["source"], person, f"{row['source']} {kind}")


def central_face(picture: Picture, size: tuple[int, int]) -> FaceLabel:
    """The face with landmarks nearest to the picture's middle; `size` is width, height."""
    middle = np.array(size, np.float32) / 2
    return min(picture.labeled, key=lambda face: float(np.hypot(*(face.points.mean(axis=0) - middle))))


PORTRAITS_HELD_OUT = 0.15
"""Share of the people of `faces_broad` that is kept aside; of `lfw_train` it is a tenth."""


def is_held_out(person: str, share: float = 0.1) -> bool:
    """Whether a person is kept aside for choosing models; decided by the name alone.

    The people of a smaller share are among those of a larger one.
    """
    digest = hashlib.sha256(person.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share


def split(pictures: list[Picture]) -> tuple[list[Picture], list[Picture]]:
    """Pictures to train on, and pictures of people that are kept aside."""
    train = [picture for picture in pictures if not is_held_out(picture.person)]
    return train, [picture for picture in pictures if is_held_out(picture.person)]


def split_portraits(portraits: list[Portrait]) -> tuple[list[Portrait], list[Portrait]]:
    """Portraits to train on, and portraits of people that are kept aside."""
    kept = [is_held_out(portrait.person, PORTRAITS_HELD_OUT) for portrait in portraits]
    return tuple([p for p, aside in zip(portraits, kept, strict=True) if aside is wanted] for wanted in (False, True))  # type: ignore[return-value]


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (height, width, 3) RGB."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not a picture")
    return np.ascontiguousarray(image[:, :, ::-1])


def picture_files(folder: Path) -> Iterator[Path]:
    """Every picture file below a folder, in the order of their names."""
    kinds = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in kinds)
