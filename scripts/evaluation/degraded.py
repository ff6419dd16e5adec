"""Errors by the quality of a look: pictures made small, blurred, dark and noisy against pictures as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cli.output import bar
from edge.core.imaging import image as pictures
from edge.core.types import Picture, Quality
from edge.inference.calibration import Calibration
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.scoring import FaceScorer
from evaluation import fitting
from evaluation.embeddings import FaceTable
from evaluation.sets import people_of

VARIANTS = 3
BINS: dict[str, tuple[float, ...]] = {
    "score": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.01),
    "size": (0, 20, 32, 45, 64, 1000),
    "sharpness": (0, 10, 20, 35, 60, 101),
    "brightness": (0, 15, 25, 40, 60, 101),
    "yaw": (0, 10, 20, 30, 90),
    "pitch": (0, 10, 20, 30, 90),
}
"""fields of ``edge.core.types.Quality``, and between which values looks are told apart; of angles the amount"""


@dataclass(frozen=True)
class QualityBin:
    """Looks of one range of one part of quality."""

    part: str
    """a key of ``BINS``"""
    low: float
    high: float
    looks: int
    comparisons: int
    false_at: dict[float, float]
    """likeness -> share of strangers that reach it"""
    right_at_80: float


def measured(table: FaceTable, detector: Detector, embedder: Embedder, most: int, seed: int = 1) -> list[QualityBin]:
    """Degrade up to ``most`` pictures of ``table`` and compare each look with all enrolled pictures of it.

    Looks that the product would not embed count too: whether it is right about them is what is asked.
    """
    random = np.random.default_rng(seed)
    rows = random.permutation(len(table))[:most]
    looks: list[NDArray[np.float32]] = []
    owners: list[int] = []
    qualities: list[Quality] = []
    with bar("degraded", len(rows)) as progress:
        for row in rows.tolist():
            progress.advance()
            for picture in _variants(pictures.to_rgb(pictures.read(Path(str(table.files[row])))), random):
                found = detector.detect(picture)
                if not found:
                    continue
                face = min(found, key=lambda d: (d.box.center.x - 0.5) ** 2 + (d.box.center.y - 0.5) ** 2)
                looks.append(embedder.embed(picture, [face])[0].vector)
                owners.append(row)
                qualities.append(embedder.assess(picture, face))
    return list(_bins(table, np.stack(looks), np.array(owners), qualities, embedder.scorer))


def _bins(
    table: FaceTable,
    looks: NDArray[np.float32],
    owners: NDArray[np.int64],
    qualities: Sequence[Quality],
    scorer: FaceScorer,
) -> Iterator[QualityBin]:
    names = people_of(table)
    enrolled = np.sort(np.unique(names, return_index=True)[1])
    scores = fitting.scores(looks, table.stills[enrolled], scorer)
    same = names[owners][:, None] == names[enrolled][None]
    other_picture = owners[:, None] != enrolled[None]
    calibration: Calibration = scorer.calibration
    for part, edges in BINS.items():
        values = np.abs([getattr(quality, part) for quality in qualities])
        for low, high in pairwise(edges):
            chosen = (values >= low) & (values < high)
            strangers = scores[chosen][~same[chosen]]
            own = scores[chosen][same[chosen] & other_picture[chosen]]
            rates = {likeness: _share(strangers, calibration.score(likeness)) for likeness in (60.0, 80.0)}
            right = _share(own, calibration.score(80.0))
            yield QualityBin(part, low, high, int(chosen.sum()), len(strangers), rates, right)


def _share(scores: Sequence[float] | NDArray[np.float64], least: float) -> float:
    return float((np.asarray(scores) >= least).mean()) if len(scores) else float("nan")


def _variants(rgb: NDArray[np.uint8], random: np.random.Generator) -> Iterator[Picture]:
    for _ in range(VARIANTS):
        scale = random.uniform(0.16, 0.8)
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), random.uniform(0.3, 1.4))
        dark = np.clip(small.astype(np.float32) * random.uniform(0.25, 1.1), 0, 255)
        noisy = np.clip(dark + random.normal(0, random.uniform(0, 9), dark.shape), 0, 255).astype(np.uint8)
        _, jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 90))])
        seen = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        canvas = np.full((240, 320, 3), 90, np.uint8)
        rows, columns = min(240, seen.shape[0]), min(320, seen.shape[1])
        top, left = (240 - rows) // 2, (320 - columns) // 2
        canvas[top : top + rows, left : left + columns] = seen[:rows, :columns]
        yield Picture(canvas, "rgb", 320, 240)
