"""Real faces out of pictures, aligned once: those to train with, and those of people kept aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import data
from training.align import align
from training.crops import MARGIN, SIDE, Faces

SMALLEST = 30
"""Width in pixels of a bystander's face that is used."""
MOST = 8
"""Pictures of one person kept aside that are used."""
Finder = Callable[[Path], NDArray[np.float32] | None]
"""A picture's file to the (5, 2) landmarks of its main face, pixels, or nothing."""


def gather(folder: Path, portrait_folder: Path | None, cache: Path, finder: Finder | None) -> tuple[Faces, Faces]:
    """The faces of folders laid out as `lfw_train` and `faces_broad`: to train with, and kept aside."""
    opened = data.open_folder(folder, cache)
    parts = data.split(data.read_pictures(folder))
    listed: tuple[list[data.Portrait], list[data.Portrait]] = ([], [])
    place = Path()
    if portrait_folder is not None:
        place = data.open_folder(portrait_folder, cache / portrait_folder.name)
        listed = data.split_portraits(data.read_portraits(portrait_folder))
    known = everybody(parts[0], opened, listed[0], place, finder)
    kept = everybody(_first_of_each(parts[1]), opened, listed[1], place, finder, others=False)
    return known, kept


def kept_portraits(folder: Path, portrait_folder: Path | None, cache: Path) -> list[data.Portrait]:
    """The pictures of people kept aside, those of `lfw_train` as a group of their own; `file` is their path."""
    opened = data.open_folder(folder, cache)
    pictures = _first_of_each(data.split(data.read_pictures(folder))[1])
    result = [data.Portrait(str(opened / one.file), "lfw", one.person, "lfw") for one in pictures]
    if portrait_folder is not None:
        place = data.open_folder(portrait_folder, cache / portrait_folder.name)
        listed = data.split_portraits(data.read_portraits(portrait_folder))[1]
        result += [replace(portrait, file=str(place / portrait.file)) for portrait in listed]
    return result


def everybody(
    pictures: Sequence[data.Picture],
    folder: Path,
    listed: Sequence[data.Portrait] = (),
    portrait_folder: Path = Path(),
    finder: Finder | None = None,
    others: bool = True,
) -> Faces:
    """The central faces of pictures, every bystander as a person of its own (`others`), and the faces of portraits."""
    crops, people = real_faces(pictures, folder)
    parts, numbers, groups = [crops], [people], ["lfw"] * len(crops)
    if others:
        parts.append(bystanders(pictures, folder))
        numbers.append(np.arange(len(parts[-1])) + people[-1] + 1)
        groups += ["lfw"] * len(parts[-1])
    if listed and finder:
        found, rows = portraits(listed, portrait_folder, finder)
        order = np.argsort([listed[row].person for row in rows], kind="stable")
        named = [listed[rows[place]] for place in order]
        last = np.concatenate(numbers)[-1]
        numbers.append(np.unique([one.person for one in named], return_inverse=True)[1] + last + 1)
        groups += [one.group for one in named]
        parts.append(found[order])
    return Faces(np.concatenate(parts), np.concatenate(numbers), np.array(groups))


def real_faces(pictures: Sequence[data.Picture], folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Aligned crops (N, 120, 120, 3) of the central faces and the number of each one's person."""
    names = sorted({picture.person for picture in pictures})
    numbers = {name: number for number, name in enumerate(names)}
    crops = np.empty((len(pictures), SIDE, SIDE, 3), np.uint8)
    for row, picture in enumerate(pictures):
        image = data.read_rgb(folder / picture.file)
        face = data.central_face(picture, (image.shape[1], image.shape[0]))
        crops[row] = align(image, face.points, MARGIN)
    return crops, np.array([numbers[picture.person] for picture in pictures])


def bystanders(pictures: Sequence[data.Picture], folder: Path) -> NDArray[np.uint8]:
    """Aligned crops (N, 120, 120, 3) of the others in the pictures, whose names nobody knows."""
    crops = []
    for picture in pictures:
        if len(picture.faces) > 1:
            image = data.read_rgb(folder / picture.file)
            size = (image.shape[1], image.shape[0])
            central = data.central_face(picture, size)
            whole = [face for face in picture.faces if face is not central and _is_whole(face, size)]
            crops += [align(image, face.points, MARGIN) for face in whole]
    return np.stack(crops) if crops else np.empty((0, SIDE, SIDE, 3), np.uint8)


def portraits(listed: Sequence[data.Portrait], folder: Path, finder: Finder) -> tuple[NDArray[np.uint8], list[int]]:
    """Aligned crops (N, 120, 120, 3) of the main faces, and the rows of the pictures in which one was found."""
    crops, rows = [], []
    for row, portrait in enumerate(listed):
        points = finder(folder / portrait.file)
        if points is not None:
            crops.append(align(data.read_rgb(folder / portrait.file), points, MARGIN))
            rows.append(row)
    if not crops:
        raise SystemExit(f"error: no face found in {len(listed)} pictures below {folder}\ntry: another --finder")
    return np.stack(crops), rows


def _is_whole(face: data.FaceLabel, size: tuple[int, int]) -> bool:
    whole = (face.points > 0).all() and (face.points < size).all()
    return bool(whole and face.score > 0.6 and face.box[2] - face.box[0] >= SMALLEST)


def _first_of_each(pictures: Sequence[data.Picture]) -> list[data.Picture]:
    """At most `MOST` pictures of each person."""
    counts: dict[str, int] = {}
    result = []
    for picture in pictures:
        counts[picture.person] = counts.get(picture.person, 0) + 1
        if counts[picture.person] <= MOST:
            result.append(picture)
    return result
