"""What may be a face that the labels lack: a net that meets it as background learns not to see such faces."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.core.imaging import image as pictures
from edge.core.settings import loader as config
from edge.inference.detector import Detector
from edge.inference.load import load_detector
from training import data
from training.agreement import corners, overlap

SCORE = 0.35
"""Low: nothing is asked of what was found, and too much of it costs little."""
APART = 0.25
"""Overlap from which two boxes are one face."""
COLUMNS = ("file", "left", "top", "right", "bottom", "score")


def finder(name: str) -> Detector:
    """A detector of faces by its name. The file of one that is not shipped: EDGE_MODELS__PATH."""
    settings = config.read()
    return load_detector(name, settings.models, config.state_folder(settings))


def added(photos: Sequence[data.Picture], folder: Path, names: Sequence[str], cache: Path) -> list[data.Picture]:
    """The pictures with what other detectors find in them and nobody labeled; its landmarks are NaN.

    Read from `cache` (CSV), which is written first where it is missing.
    """
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".partial")
        _write(photos, folder, [finder(name) for name in names], partial)
        partial.replace(cache)
    more: dict[str, list[data.FaceLabel]] = defaultdict(list)
    with cache.open(newline="") as file:
        for row in csv.DictReader(file):
            box = np.array([float(row[side]) for side in COLUMNS[1:5]], np.float32)
            more[row["file"]].append(
                data.FaceLabel(box, np.full((5, 2), np.nan, np.float32), float(row["score"]), False)
            )
    return [replace(photo, faces=(*photo.faces, *more[photo.file])) for photo in photos]


def _write(photos: Sequence[data.Picture], folder: Path, finders: Sequence[Detector], path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for photo in photos:
            picture = pictures.read(folder / photo.file)
            size = np.array([picture.width, picture.height] * 2, np.float32)
            known = [face.box / size for face in photo.faces]
            for detection in (found for finder in finders for found in finder.detect(picture, {"face": SCORE})):
                box = corners(detection)
                if all(overlap(box, other) <= APART for other in known):
                    rows.writerow([photo.file, *(f"{side:.1f}" for side in box * size), f"{detection.score:.3f}"])
