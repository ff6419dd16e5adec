"""Errors by the quality of a look: pictures made small, blurred, dark and noisy against pictures as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cli.output import bar
from edge.core.imaging import image as pictures
from edge.core.types import Picture
from edge.inference.calibration import Calibration
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.scoring import FaceScorer
from evaluation import fitting
from evaluation.embeddings import FaceTable
from evaluation.sets import people_of

VARIANTS = 3
BINS = ((0.05, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.7), (0.7, 1.01))


@dataclass(frozen=True)
class QualityBin:
    """Looks of one range of quality."""

    low: float
    high: float
    looks: int
    comparisons: int
    false_at: dict[float, float]
    """likeness -> share of strangers that reach it"""
    right_at_80: float


def measured(table: FaceTable, detector: Detector, embedder: Embedder, most: int, seed: int = 1) -> list[QualityBin]:
    """Degrade up to ``most`` pictures of ``table`` and compare each look with all enrolled pictures of it."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(table))[:most]
    looks, owners, qualities = [], [], []
    with bar("degraded", len(rows)) as progress:
        for row in rows.tolist():
            progress.advance()
            for picture in _variants(pictures.to_rgb(pictures.read(Path(str(table.files[row])))), random):
                found = detector.detect(picture)
                if not found:
                    continue
                face = min(found, key=lambda d: (d.box.center.x - 0.5) ** 2 + (d.box.center.y - 0.5) ** 2)
                quality = embedder.assess(picture, face)
                if not quality.reason:
                    looks.append(embedder.embed(picture, [face])[0].vector)
                    owners.append(row)
                    qualities.append(quality.score)
    return list(_bins(table, np.stack(looks), np.array(owners), np.array(qualities), embedder.scorer))


def _bins(
    table: FaceTable,
    looks: NDArray[np.float32],
    owners: NDArray[np.int64],
    qualities: NDArray[np.float64],
    scorer: FaceScorer,
) -> Iterator[QualityBin]:
    names = people_of(table)
    enrolled = np.sort(np.unique(names, return_index=True)[1])
    scores = fitting.scores(looks, table.stills[enrolled], scorer)
    same = names[owners][:, None] == names[enrolled][None]
    other_picture = owners[:, None] != enrolled[None]
    calibration: Calibration = scorer.calibration
    for low, high in BINS:
        chosen = (qualities >= low) & (qualities < high)
        strangers = scores[chosen][~same[chosen]]
        own = scores[chosen][same[chosen] & other_picture[chosen]]
        rates = {likeness: _share(strangers, calibration.score(likeness)) for likeness in (60.0, 80.0)}
        yield QualityBin(low, high, int(chosen.sum()), len(strangers), rates, _share(own, calibration.score(80.0)))


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
