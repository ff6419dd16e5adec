"""Boxes that a detector finds against boxes that should be found."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core.imaging import image as pictures
from edge.core.types import Detection
from edge.inference.detector import Detector
from edge.inference.tiling import Tiling
from training import data, objects

SURE = {"face": 0.75}
"""Score from which a detector that looks at parts of a picture says the truth."""


@dataclass
class Counts:
    """Boxes that agree with a truth and boxes that do not."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    landmarks: list[float] = field(default_factory=list)
    """mean distance of the five landmarks, fractions of the eyes' distance"""

    @property
    def recall(self) -> float:
        return self.right / max(self.right + self.missed, 1)

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.wrong, 1)


def compare(
    found: Sequence[Detection],
    truth: Sequence[tuple[NDArray[np.float32], NDArray[np.float32] | None]],
    counts: Counts,
    least: float = 0.5,
    passed_over: Container[int] = (),
) -> None:
    """Count the boxes of one picture; truth: (4,) boxes and (5, 2) landmarks, fractions.

    `passed_over`: rows of the truth that count neither when they are found nor when they are missed.
    """
    left = list(range(len(truth)))
    for detection in found:
        box = corners(detection)
        scores = [overlap(box, truth[row][0]) for row in left]
        if not scores or max(scores) < least:
            counts.wrong += 1
            continue
        row = left.pop(int(np.argmax(scores)))
        if row in passed_over:
            continue
        points = truth[row][1]
        counts.right += 1
        if points is not None and len(detection.landmarks) == 5:
            ours = np.array([(p.x, p.y) for p in detection.landmarks])
            eyes = np.linalg.norm(points[1] - points[0])
            counts.landmarks.append(float(np.linalg.norm(ours - points, axis=1).mean() / eyes))
    counts.missed += sum(row not in passed_over for row in left)


def corners(detection: Detection) -> NDArray[np.float32]:
    """(4,) left, top, right, bottom of a detection."""
    box = detection.box
    return np.array([box.left, box.top, box.right, box.bottom], np.float32)


def overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Intersection over union of two (4,) boxes."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    both = float(np.clip(sides, 0, None).prod())
    areas = [float((box[2:] - box[:2]).prod()) for box in (first, second)]
    return both / max(sum(areas) - both, 1e-9)


def with_detector(
    folder: Path,
    detector: Detector,
    truth: Detector,
    scores: Mapping[str, float],
    parts: int = 0,
    least: float = 0.0,
) -> Counts:
    """Count one detector's boxes against another's, whose box need only overlap by a third.

    `parts`: the other looks at so many parts of each picture as well, and must be surer.
    `least`: lower faces, in pixels of the judged detector's input, are neither expected nor wrong.
    """
    counts = Counts()
    for path in data.picture_files(folder):
        picture = pictures.read(path)
        faces = truth.detect(picture)
        if parts:
            faces = Tiling(parts).add(truth, truth.detect(picture, SURE), picture, scores=SURE)
        share = min(detector.size[0] / picture.width, detector.size[1] / picture.height)
        small = {row for row, d in enumerate(faces) if d.box.height * picture.height * share < least}
        found = detector.detect(picture, scores)
        compare(found, [(corners(d), None) for d in faces], counts, 1 / 3, small)
    return counts


def with_labels(folder: Path, work: Path, detector: Detector, scores: Mapping[str, float]) -> Counts:
    """Count boxes against faces.csv, on the people who are kept aside from training."""
    opened = data.open_folder(folder, work)
    counts = Counts()
    for labeled in data.split(data.read_pictures(folder))[1]:
        picture = pictures.read(opened / labeled.file)
        size = np.array([picture.width, picture.height], np.float32)
        faces = [(face.box / np.tile(size, 2), face.points / size) for face in labeled.faces]
        compare(detector.detect(picture, scores), faces, counts)
    return counts


def false_boxes(folder: Path, detector: Detector, scores: Mapping[str, float]) -> tuple[int, int]:
    """Boxes where no face can be, and pictures looked at.

    Where people are labeled (`objects.boxes_of`), boxes on them are not counted.
    """
    wrong = count = 0
    names = objects.class_names(folder)
    for path in data.picture_files(folder):
        people = objects.boxes_of(folder, path.stem, names).get("person", [])
        found = detector.detect(pictures.read(path), scores)
        wrong += sum(not inside_any(detection, people) for detection in found)
        count += 1
    return wrong, max(count, 1)


def inside_any(detection: Detection, boxes: Sequence[NDArray[np.float32]]) -> bool:
    """Whether the middle of a detection lies in one of the boxes."""
    middle = detection.box.center
    return any(b[0] <= middle.x <= b[2] and b[1] <= middle.y <= b[3] for b in boxes)
