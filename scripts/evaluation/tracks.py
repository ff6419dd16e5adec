"""Strangers and known people on four seconds of moving video, made of stills, through the pipeline."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.types import Frame, IdentityState, Picture
from edge.pipeline.model_set import ModelSet
from edge.pipeline.pipeline import Pipeline

WIDTH, HEIGHT = 640, 480
FPS, SECONDS = 5.0, 4.0


@dataclass
class TrackCounts:
    """What became of visits."""

    visits: int = 0
    named: int = 0
    """visits in which a name was given, right or wrong"""
    right: int = 0
    seconds: list[float] = field(default_factory=list)
    """to the right name"""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else float("nan")


def visits(people: Sequence[tuple[str, str | None]], models: ModelSet, settings: Settings) -> TrackCounts:
    """``people``: path of a picture, and the name that is right for it (None: a stranger)."""
    counts, ids = TrackCounts(), (f"1-{number}" for number in itertools.count(1))
    for number, (path, name) in enumerate(people):
        pipeline = Pipeline(settings.cameras[0], settings, models, ids)
        given: dict[str, float] = {}
        for frame in moving(pictures.to_rgb(pictures.read(Path(path))), number):
            for event in pipeline.process(frame).events:
                if event.identity.state is IdentityState.KNOWN and event.identity.subject:
                    given.setdefault(event.identity.subject, frame.monotonic)
        counts.visits += 1
        counts.named += bool(given)
        if name is not None and name in given:
            counts.right += 1
            counts.seconds.append(given[name])
    return counts


def moving(rgb: np.ndarray, seed: int) -> Iterator[Frame]:
    """A picture that drifts, turns and comes nearer, smeared and noisy, in changing light."""
    chance = np.random.default_rng(seed)
    phase, drift, zoom = chance.uniform(0, 2 * np.pi, 3), chance.uniform(20, 60), chance.uniform(0.8, 1.2)
    base = 0.55 * zoom * HEIGHT / max(rgb.shape[:2])
    room = np.full((HEIGHT, WIDTH, 3), chance.integers(60, 160), np.uint8)
    for number in range(round(FPS * SECONDS)):
        at = number / FPS
        scale = base * (1 + 0.12 * np.sin(0.9 * at + phase[0]))
        turn = 6 * np.sin(0.7 * at + phase[1])
        matrix = cv2.getRotationMatrix2D((rgb.shape[1] / 2, rgb.shape[0] / 2), turn, scale)
        matrix[:, 2] += (
            WIDTH / 2 - rgb.shape[1] / 2 + drift * np.sin(1.1 * at + phase[2]),
            HEIGHT / 2 - rgb.shape[0] / 2 + 10 * np.cos(at),
        )
        frame = cv2.warpAffine(rgb, matrix, (WIDTH, HEIGHT), room.copy(), borderMode=cv2.BORDER_TRANSPARENT)
        frame = cv2.blur(frame, (int(chance.integers(1, 4)), 1))
        frame = cv2.convertScaleAbs(frame, alpha=float(1 + 0.2 * np.sin(0.5 * at + phase[0])))
        noise = chance.normal(0, 4, frame.shape).astype(np.int16)
        frame = np.clip(frame.astype(np.int16) + noise, 0, 255).astype(np.uint8)
        yield Frame("door", number, at, 1.7e9 + at, Picture(frame, "rgb", WIDTH, HEIGHT))
