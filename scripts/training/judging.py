"""What the shipped code makes of labelled pictures: faces found, faces embedded, people named."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge import pictures
from edge.cli.output import bar
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.tiling import Tiling
from edge.types import Detection
from training import data, measures, objects

MISSING = -1.0
"""Cosine of a pair of which one picture had no face that was found."""


@dataclass(frozen=True)
class Faces:
    """One picture's central face each."""

    people: NDArray[np.str_]
    """(N,) names"""
    vectors: NDArray[np.float32]
    """(N, D) of unit length, as in a camera's frame; zero where no face was found"""
    stills: NDArray[np.float32]
    """(N, D) the same faces as they are enrolled"""
    central: NDArray[np.bool_]
    """(N,) whether a face was found that covers the picture's middle"""

    @property
    def found(self) -> NDArray[np.bool_]:
        return self.vectors.any(axis=1)


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


def central(found: Sequence[Detection]) -> Detection | None:
    """The detection nearest to the picture's middle."""
    return min(
        found,
        key=lambda d: (d.box.center.x - 0.5) ** 2 + (d.box.center.y - 0.5) ** 2,
        default=None,
    )


def embed_folder(folder: Path, detector: Detector, embedder: Embedder, scores: Mapping[str, float]) -> Faces:
    """The central face of every picture in a folder with a folder per person."""
    files = [path for path in data.picture_files(folder) if path.parent != folder]
    vectors, stills = np.zeros((2, len(files), embedder.space.dimensions), np.float32)
    covered = np.zeros(len(files), bool)
    with bar("embedding", len(files)) as progress:
        for row, path in enumerate(files):
            progress.advance()
            picture = pictures.read(path)
            target = central(detector.detect(picture, scores))
            if target is None:
                continue
            box = target.box
            covered[row] = box.left <= 0.5 <= box.right and box.top <= 0.5 <= box.bottom
            vectors[row] = embedder.embed(picture, [target])[0].vector
            stills[row] = embedder.embed(picture, [target], still=True)[0].vector
    return Faces(np.array([path.parent.name for path in files]), vectors, stills, covered)


def pair_cosines(faces: Faces) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines of all pairs of one person, and of all pairs of two; a missing face spoils its pair."""
    return _told_apart(faces, faces.vectors @ faces.vectors.T, np.triu(np.ones((len(faces.people),) * 2, bool), 1))


def enrolled_cosines(faces: Faces) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """As `pair_cosines`, every face as it is enrolled against every other one as a camera sees it."""
    return _told_apart(faces, faces.stills @ faces.vectors.T, ~np.eye(len(faces.people), dtype=bool))


def _told_apart(
    faces: Faces, cosines: NDArray[np.float32], pairs: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    numbers = np.unique(faces.people, return_inverse=True)[1]
    known = faces.found[:, None] & faces.found[None]
    equal = numbers[:, None] == numbers[None]
    same = np.where(known, cosines, MISSING)[equal & pairs]
    return same, cosines[~equal & pairs & known]


@dataclass(frozen=True)
class Identification:
    """Naming known people among strangers."""

    rank1: float
    rate: float
    """share of probes named rightly where 1 % of strangers are named too"""
    threshold: float
    probes: int
    strangers: int


def identify(known: Sequence[tuple[bool, float]], strangers: Sequence[float], share: float = 0.01) -> Identification:
    """From (named rightly, score) of each probe, and the best score of each stranger."""
    threshold = measures.threshold_at(np.array(strangers, np.float32), share)
    return Identification(
        float(np.mean([right for right, _ in known])),
        float(np.mean([right and score > threshold for right, score in known])),
        threshold,
        len(known),
        len(strangers),
    )


def identification(faces: Faces, strangers: set[str], gallery: int) -> Identification:
    """Enrol the first pictures of everybody who is not a stranger, probe with all others as a camera sees them."""
    rank = np.zeros(len(faces.people), int)
    for name in np.unique(faces.people):
        rows = np.flatnonzero(faces.people == name)
        rank[rows] = np.arange(len(rows))
    stranger = np.isin(faces.people, sorted(strangers))
    enrolled = ~stranger & (rank < gallery) & faces.found
    cosines = np.where(faces.found[:, None], faces.vectors @ faces.stills[enrolled].T, MISSING)
    names, best = faces.people[enrolled][cosines.argmax(axis=1)], cosines.max(axis=1)
    known = [
        (bool(names[row] == faces.people[row] and faces.found[row]), float(best[row]))
        for row in np.flatnonzero(~stranger & (rank >= gallery))
    ]
    return identify(known, best[stranger].tolist())


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


def agreement(
    folder: Path,
    detector: Detector,
    truth: Detector,
    scores: Mapping[str, float],
    parts: int = 0,
    least: float = 0.0,
) -> Counts:
    """Count one detector's boxes against another's, whose box need only overlap by a third.

    `parts`: the other looks at so many parts of each picture as well. `least`: lower faces, in pixels of the judged
    detector's input, are neither expected nor wrong.
    """
    counts = Counts()
    for path in data.picture_files(folder):
        picture = pictures.read(path)
        faces = truth.detect(picture)
        if parts:
            faces = Tiling(parts).add(truth, faces, picture)
        share = min(detector.size[0] / picture.width, detector.size[1] / picture.height)
        small = {row for row, d in enumerate(faces) if d.box.height * picture.height * share < least}
        found = detector.detect(picture, scores)
        compare(found, [(corners(d), None) for d in faces], counts, 1 / 3, small)
    return counts


def agreement_with_labels(folder: Path, work: Path, detector: Detector, scores: Mapping[str, float]) -> Counts:
    """Count boxes against faces.csv, on the people who are kept aside from training."""
    opened = data.open_folder(folder, work)
    counts = Counts()
    for labelled in data.split(data.read_pictures(folder))[1]:
        picture = pictures.read(opened / labelled.file)
        size = np.array([picture.width, picture.height], np.float32)
        faces = [(face.box / np.tile(size, 2), face.points / size) for face in labelled.faces]
        compare(detector.detect(picture, scores), faces, counts)
    return counts


def false_boxes(folder: Path, detector: Detector, scores: Mapping[str, float]) -> tuple[int, int]:
    """Boxes where no face can be, and pictures looked at.

    Where people are labelled (`objects.boxes_of`), boxes on them are not counted.
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
