"""Faces of a data set as the product finds and embeds them, kept on disk by model.

One file for each (set, detector, embedder): nothing is computed twice while models and preprocessing stay the same.
"""

from __future__ import annotations

import csv
import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.cli.output import bar
from edge.core.errors import InputError
from edge.core.imaging import image as pictures
from edge.core.types import Detection, Picture
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder

KINDS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
QUALITIES = ("score", "size", "sharpness", "brightness", "yaw", "pitch")
"""columns of ``FaceTable.quality``: fields of ``edge.core.types.Quality``"""


@dataclass(frozen=True)
class Portrait:
    """One picture of a set."""

    path: Path
    person: str
    """who is in its middle; for group pictures the picture's own name"""
    group: str
    """what the set says of the person: origin, sex, kind of picture; may be empty"""


@dataclass(frozen=True)
class FaceTable:
    """Faces of a set, one row each."""

    people: NDArray[np.str_]
    """(n,) person, or picture of a group set"""
    groups: NDArray[np.str_]
    """(n,)"""
    files: NDArray[np.str_]
    """(n,) path of the picture"""
    frames: NDArray[np.float32]
    """(n, D) length 1, as embedded from a camera's frame"""
    stills: NDArray[np.float32]
    """(n, D) length 1, as embedded from a picture that is enrolled or searched by"""
    quality: NDArray[np.float32]
    """(n, len(QUALITIES))"""
    reasons: NDArray[np.str_]
    """(n,) why the product would not embed it; empty: it would"""
    missed: int
    """pictures in which no face was found"""

    def __len__(self) -> int:
        return len(self.people)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> FaceTable:
        """The chosen rows."""
        parts = (self.people, self.groups, self.files, self.frames, self.stills, self.quality, self.reasons)
        return FaceTable(*(part[chosen] for part in parts), missed=0)  # type: ignore[call-overload]

    def good(self, least: float) -> FaceTable:
        """Rows that the product would embed where ``recognition.min_quality`` is ``least``."""
        return self.rows((self.reasons == "") & (self.quality[:, 0] >= least))


def folder_set(folder: Path, group: str = "") -> list[Portrait]:
    """A folder with a folder of pictures for each person."""
    return [Portrait(path, path.parent.name, group) for path in _files(folder) if path.parent != folder]


def group_set(folders: Sequence[Path]) -> list[Portrait]:
    """Pictures with several people in each: everybody in one picture is somebody else."""
    return [Portrait(path, path.stem, path.parent.name) for folder in folders for path in _files(folder)]


def broad_set(folder: Path, work: Path) -> list[Portrait]:
    """faces_broad: images.csv names person, color, sex and group of each picture of images.tar."""
    place = unpacked(folder, work)
    with (folder / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        words = [row["source"], row["colour"] if row["source"] == "commons" else "", row["sex"], row["group"]]
        person = row["person"] or row["file"]
        found.append(Portrait(place / row["file"], person, " ".join(word for word in words if word)))
    return found


def unpacked(folder: Path, work: Path) -> Path:
    """The folder with the pictures of ``folder/images.tar``, unpacked once below ``work``."""
    target = work / "pictures" / folder.name
    if not (target / ".complete").exists():
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(folder / "images.tar") as tar:
            tar.extractall(target, filter="data")
        (target / ".complete").touch()
    return target


def embedded(
    name: str, portraits: Sequence[Portrait], detector: Detector, embedder: Embedder, work: Path, everybody: bool
) -> FaceTable:
    """The faces of a set: the most central of each picture, or ``everybody`` in it."""
    key = "\n".join((detector.model.sha256, embedder.space.fingerprint, *(str(one.path) for one in portraits)))
    place = work / f"{name}-{embedder.card.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if place.exists():
        with np.load(place) as held:
            return FaceTable(**{key: held[key] for key in held.files if key != "missed"}, missed=int(held["missed"]))
    table = _looked_at(name, portraits, detector, embedder, everybody)
    place.parent.mkdir(parents=True, exist_ok=True)
    columns = {key: getattr(table, key) for key in FaceTable.__dataclass_fields__}
    partial = place.with_suffix(".partial.npz")
    np.savez(partial, **columns)
    partial.replace(place)
    return table


def _looked_at(
    name: str, portraits: Sequence[Portrait], detector: Detector, embedder: Embedder, everybody: bool
) -> FaceTable:
    rows: list[tuple[Portrait, NDArray[np.float32], NDArray[np.float32], list[float], str]] = []
    missed = 0
    with bar(name, len(portraits)) as progress:
        for one in portraits:
            progress.advance()
            try:
                picture = pictures.read(one.path)
            except InputError:
                missed += 1
                continue
            found = detector.detect(picture)
            chosen = found if everybody else _central(found)
            missed += not chosen
            rows += [(one, *each) for each in _embeddings(picture, chosen, embedder)]
    size = embedder.space.dimensions
    return FaceTable(
        np.array([row[0].person for row in rows], str),
        np.array([row[0].group for row in rows], str),
        np.array([str(row[0].path) for row in rows], str),
        np.array([row[1] for row in rows], np.float32).reshape(-1, size),
        np.array([row[2] for row in rows], np.float32).reshape(-1, size),
        np.array([row[3] for row in rows], np.float32).reshape(-1, len(QUALITIES)),
        np.array([row[4] for row in rows], str),
        missed,
    )


def _embeddings(
    picture: Picture, chosen: Sequence[Detection], embedder: Embedder
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], list[float], str]]:
    for detection in chosen:
        quality = embedder.assess(picture, detection)
        frame = embedder.embed(picture, [detection])[0].vector
        still = embedder.embed(picture, [detection], still=True)[0].vector
        yield frame, still, [getattr(quality, key) for key in QUALITIES], quality.reason


def _central(found: Sequence[Detection]) -> list[Detection]:
    def away(one: Detection) -> float:
        return (one.box.center.x - 0.5) ** 2 + (one.box.center.y - 0.5) ** 2

    return sorted(found, key=away)[:1]


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in KINDS]
