"""What models said of the frames of a visit, kept on disk, so that the pipeline can see it again without them.

One file per clip, detector and embedder: nothing is computed twice while models, preprocessing and animation stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.types import Box, Detection, Embedding, Frame, Picture, Point, Quality
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from evaluation import animated

LOWEST = 0.6
"""of the score that starts a track, from which detections are kept"""
NUMBERS = ("score", "size", "sharpness", "brightness", "yaw", "pitch", "roll")
"""of a quality"""
BLANK = Picture(np.zeros((2, 2, 3), np.uint8), "rgb", 2, 2)


@dataclass(frozen=True)
class Recording:
    """The faces of a visit, one row each."""

    frames: int
    frame: NDArray[np.int32]
    """(n,)"""
    detection: NDArray[np.float64]
    """(n, 15): score, box, five landmarks"""
    quality: NDArray[np.float64]
    """(n, 7)"""
    reason: NDArray[np.str_]
    """(n,)"""
    vector: NDArray[np.float32]
    """(n, dimensions)"""

    def seen(self) -> list[list[tuple[Detection, Quality, NDArray[np.float32]]]]:
        """By frame."""
        found: list[list[tuple[Detection, Quality, NDArray[np.float32]]]] = [[] for _ in range(self.frames)]
        rows = zip(self.frame, self.detection, self.quality, self.reason, self.vector, strict=True)
        for number, one, numbers, reason, vector in rows:
            quality = Quality(reason=str(reason), **dict(zip(NUMBERS, map(float, numbers), strict=True)))
            found[int(number)].append((_detection(one), quality, vector))
        return found


def recording(clip: animated.Clip, detector: Detector, embedder: Embedder, work: Path) -> Recording:
    """What the models say of a clip: from disk, or made now."""
    key = f"{detector.model.sha256}{embedder.space.fingerprint}{clip.seed}{animated.VERSION}"
    place = work / "clips" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    if place.exists():
        with np.load(place) as held:
            return Recording(frames=int(held["frames"]), **{n: held[n] for n in held.files if n != "frames"})
    made = _made(animated.decoded(_jpegs(clip, work)), detector, embedder)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(".partial.npz")
    np.savez(partial, **vars(made))
    partial.replace(place)
    return made


def _jpegs(clip: animated.Clip, work: Path) -> list[NDArray[np.uint8]]:
    """The frames of a clip: from disk, or made now."""
    place = work / "frames" / f"{clip.seed:016x}-{animated.VERSION}.npz"
    if place.exists():
        with np.load(place) as held:
            return [held[str(number)] for number in range(len(held.files))]
    made = list(animated.coded(clip))
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(place, **{str(number): jpeg for number, jpeg in enumerate(made)})
    return made


def _made(frames: Iterable[Frame], detector: Detector, embedder: Embedder) -> Recording:
    lowest = dict.fromkeys(detector.labels, LOWEST * detector.card.thresholds.score)
    rows: list[tuple[int, list[float], list[float], str, NDArray[np.float32]]] = []
    number = -1
    for number, frame in enumerate(frames):
        found = detector.detect(frame.main, lowest)
        for one in found:
            quality = embedder.assess(frame.main, one)
            (embedding,) = embedder.embed(frame.main, [one])
            rows.append(
                (number, _row(one), [getattr(quality, name) for name in NUMBERS], quality.reason, embedding.vector)
            )
    return Recording(
        number + 1,
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], float).reshape(-1, 15),
        np.array([row[2] for row in rows], float).reshape(-1, len(NUMBERS)),
        np.array([row[3] for row in rows], str),
        np.array([row[4] for row in rows], np.float32).reshape(-1, embedder.space.dimensions),
    )


class Replay:
    """Frames of recordings, one after the other, and the models that remember what they said of them."""

    def __init__(self, detector: Detector, embedder: Embedder) -> None:
        self.detector = RecordedDetector(self, detector)
        self.embedder = RecordedEmbedder(self, embedder)
        self.seen: Sequence[tuple[Detection, Quality, NDArray[np.float32]]] = ()
        """of the frame that is processed now"""
        self._sequence = 0

    def frames(
        self, one: Recording, start: float, camera: str, gap: float, fps: float = animated.FPS
    ) -> Iterator[Frame]:
        """The frames of a recording from ``start`` seconds on, and ``gap`` seconds in which nothing is there."""
        empty: list[list[tuple[Detection, Quality, NDArray[np.float32]]]] = [[] for _ in range(round(gap * fps))]
        for number, seen in enumerate(one.seen() + empty):
            self.seen, self._sequence = seen, self._sequence + 1
            at = start + number / fps
            yield Frame(camera, self._sequence, at, animated.EPOCH + at, BLANK)


class RecordedDetector:
    """Detects what the real one detected in the frame that is processed now."""

    def __init__(self, replay: Replay, detector: Detector) -> None:
        self._replay, self.labels, self.size, self.card = replay, detector.labels, detector.size, detector.card

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:  # noqa: ARG002
        found = [one for one, *_ in self._replay.seen]
        return [one for one in found if scores is None or one.score >= scores.get(one.label, 2.0)]


class RecordedEmbedder:
    """Embeds as the real one embedded the frame that is processed now."""

    def __init__(self, replay: Replay, embedder: Embedder) -> None:
        self._replay, self._embedder = replay, embedder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def assess(self, picture: Picture, detection: Detection) -> Quality:  # noqa: ARG002
        return self._of(detection)[1]

    def embed(self, picture: Picture, detections: Sequence[Detection]) -> list[Embedding]:  # noqa: ARG002
        return [Embedding(found[2], self._embedder.space, found[1]) for found in map(self._of, detections)]

    def _of(self, detection: Detection) -> tuple[Detection, Quality, NDArray[np.float32]]:
        return next(found for found in self._replay.seen if found[0].box == detection.box)


def _row(one: Detection) -> list[float]:
    points = [value for point in one.landmarks for value in (point.x, point.y)] or [np.nan] * 10
    return [one.score, one.box.left, one.box.top, one.box.right, one.box.bottom, *points]


def _detection(row: NDArray[np.float64]) -> Detection:
    values = [float(value) for value in row]
    points = () if np.isnan(values[5]) else tuple(Point(*values[i : i + 2]) for i in range(5, 15, 2))
    return Detection("face", values[0], Box(*values[1:5]), points)
