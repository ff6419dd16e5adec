"""Pseudo labels of whole pictures by two detectors: a face where both agree, uncertain where one reports alone."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core.imaging import image as pictures
from edge.core.types import Detection, Picture
from edge.inference.detector import Detector
from edge.inference.tiling import Tiling
from training import data
from training.agreement import corners, overlap

SURE, SMALL = 0.9, 40
"""Score from which the first detector alone decides, for faces of less height than so many pixels."""
AGREED, AGREED_SECOND = 0.55, 0.4
"""Scores from which two detectors that agree on a box decide."""
SEEN = 0.25
"""Score from which a box is an uncertain face."""
SAME = 0.4
"""Overlap from which two boxes are one face."""
LONGEST = 1280
"""Pixels of the longer side of the enlarged picture, which is searched in tiles."""
LARGEST = 2.0
"""Greatest enlargement."""
CLOSE = 2.4
"""Height of the crop that landmarks are detected in, in heights of the face."""
COLUMNS = (
    "file", "x", "y", "w", "h", *(f"{name}_{axis}" for name in data.POINT_COLUMNS for axis in "xy"), "score", "certain",
)  # fmt: skip


@dataclass(frozen=True)
class Teachers:
    """Two face detectors of different kinds."""

    first: Detector
    """The more accurate one; its boxes are the labels."""
    second: Detector
    """Reports landmarks."""
    parts: int
    """Tiles of the enlarged picture; 0: only the whole picture is searched."""


def write(folder: Path, files: Iterable[Path], teachers: Teachers, target: Path) -> int:
    """Write the labels of the pictures of a folder (faces.csv) and return the number of certain faces."""
    certain = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for path in files:
            for face in label(pictures.read(path), teachers):
                rows.writerow([path.relative_to(folder), *_row(face)])
                certain += face.certain
    partial.replace(target)
    return certain


def label(picture: Picture, teachers: Teachers) -> list[data.FaceLabel]:
    """The faces of one picture, in its pixels; the landmarks of small ones are NaN."""
    first, second = (search(detector, picture, teachers.parts) for detector in (teachers.first, teachers.second))
    size = np.array([picture.width, picture.height] * 2, np.float32)
    faces: list[data.FaceLabel] = []
    for one in first:
        if any(_within(corners(one) * size, face.box) for face in faces):
            continue
        others = [other for other in second if overlap(corners(one), corners(other)) >= SAME]
        best = max((other.score for other in others), default=0.0)
        small = one.box.height * picture.height < SMALL
        certain = (small and one.score >= SURE) or (one.score >= AGREED and best >= AGREED_SECOND)
        points = _landmarks(picture, one, teachers.second) if certain else None
        faces.append(data.FaceLabel(corners(one) * size, _unknown() if points is None else points, one.score, certain))
    alone = (other for other in second if all(overlap(corners(one), corners(other)) < SAME for one in first))
    return faces + [data.FaceLabel(corners(other) * size, _unknown(), other.score, False) for other in alone]


def search(detector: Detector, picture: Picture, parts: int) -> list[Detection]:
    """Detections in the whole picture and in tiles of the enlarged one, best first."""
    scores = {"face": SEEN}
    found = detector.detect(picture, scores)
    if not parts:
        return found
    share = min(LARGEST, LONGEST / max(picture.width, picture.height))
    if share > 1:
        rgb = pictures.resized_rgb(picture, round(picture.width * share), round(picture.height * share))
        picture = Picture(rgb, "rgb", rgb.shape[1], rgb.shape[0])
    return _once(Tiling(parts).add(detector, found, picture, scores=scores))


def _once(found: Sequence[Detection]) -> list[Detection]:
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(overlap(corners(one), corners(other)) < SAME for other in kept):
            kept.append(one)
    return kept


def _landmarks(picture: Picture, face: Detection, detector: Detector) -> NDArray[np.float32] | None:
    """(5, 2) pixels, detected in a crop around the face; None where the face is not found there."""
    box = face.box
    high = CLOSE * max(box.height * picture.height, 0.75 * box.width * picture.width)
    middle = (box.center.x * picture.width, box.center.y * picture.height)
    left, top = int(middle[0] - high * 2 / 3), int(middle[1] - high / 2)
    right, bottom = left + int(high * 4 / 3), top + int(high)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, picture.width), min(bottom, picture.height)
    if bottom - top < 40 or box.height * picture.height < 16:
        return None
    part = pictures.cut(picture, left, top, right, bottom)
    size = np.array([right - left, bottom - top] * 2, np.float32)
    start = np.array([left, top] * 2, np.float32)
    whole = np.array([picture.width, picture.height] * 2, np.float32)
    wanted = corners(face) * whole
    close = [d for d in detector.detect(part, {"face": SEEN}) if overlap(corners(d) * size + start, wanted) >= SAME]
    if not close:
        return None
    return np.array([(p.x, p.y) for p in close[0].landmarks], np.float32) * size[:2] + start[:2]


def _unknown() -> NDArray[np.float32]:
    return np.full((5, 2), np.nan, np.float32)


def _within(box: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether more than half of the smaller of two boxes lies in the other."""
    sides = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None)
    smaller = min(float((box[2:] - box[:2]).prod()), float((other[2:] - other[:2]).prod()))
    return float(sides.prod()) > 0.5 * smaller


def _row(face: data.FaceLabel) -> list[str]:
    left, top, right, bottom = face.box.tolist()
    numbers = [left, top, right - left, bottom - top, *face.points.ravel().tolist()]
    return [*(f"{number:.1f}" for number in numbers), f"{face.score:.3f}", str(int(face.certain))]
