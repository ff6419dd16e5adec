"""Stand-ins one can read, for models, collections and cameras. Import them as ``from fakes import ...``."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ModelError
from edge.core.settings.vision import CameraSettings
from edge.core.types import Box, Detection, Embedding, Event, Frame, Match, Picture, Quality, Space
from edge.inference.scoring import FaceScorer
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.model_set import FaceRecognizer, ModelSet
from edge.pipeline.tracking.identity_voting import VotingRules

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.recognition.review.rejections import RejectionIndex

SPACE = Space("ab" * 32, "litert", 1, 4)


def evidence(match: Match) -> float:
    """None at a cosine of .3, that of a name at .5."""
    return 30.0 * (match.similarity - 0.3)


RULES = VotingRules(evidence, lambda: 6.0, margin=0.06, votes=2)
FACE = Box(0.4, 0.3, 0.5, 0.5)


def a_picture(width: int = 64, height: int = 48, gray: int = 90) -> Picture:
    return Picture(np.full((height, width, 3), gray, np.uint8), "rgb", width, height)


def a_frame(number: int, fps: float = 5.0, camera: str = "door", picture: Picture | None = None) -> Frame:
    """Frame ``number`` of a steady camera in front of a block that jumps about; still where ``picture`` is given."""
    main = picture or a_picture()
    if picture is None:
        x = 7 * number % 48
        main.data[16:32, x : x + 16] = 220
    return Frame(camera, number, 1000.0 + number / fps, 1.7e9 + number / fps, main)


class SeesOneFace:
    """A detector that sees a face in the frames that ``present`` names; all where it is None."""

    labels = ("face",)
    size = (320, 240)

    def __init__(self, present: range | None = None) -> None:
        self.calls = 0
        self._present = present

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        self.calls += 1
        seen = self._present is None or self.calls - 1 in self._present
        return [Detection("face", 0.9, FACE)] if seen and (scores is None or "face" in scores) else []


class SeesPersonWithFace:
    """A detector of two labels: a person, and the face at the top of it."""

    labels = ("person", "face")
    size = (320, 240)

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        return [Detection("person", 0.9, Box(0.3, 0.25, 0.6, 1.0)), Detection("face", 0.9, FACE)]


class Fails:
    """A detector whose model gives up."""

    labels = ("face",)
    size = (320, 240)

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        raise ModelError("model 'fails': cannot run", "choose another model")


class Slow:
    """A detector that takes its time, whatever comes of it."""

    def __init__(self, detector: SeesOneFace | Fails, seconds: float = 0.005) -> None:
        self.labels, self.size, self.calls = detector.labels, (320, 240), 0
        self._detector, self._seconds = detector, seconds

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        self.calls += 1
        time.sleep(self._seconds)
        return self._detector.detect(picture, scores)


class Breaks:
    """A detector with a bug."""

    labels = ("face",)
    size = (320, 240)

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        raise KeyError("a bug")


class CountsEmbeddings:
    """An embedder that gives everybody the same vector, and counts."""

    space = SPACE
    quality_floor = 0.2

    def __init__(self, quality: Quality | None = None) -> None:
        self.calls = 0
        self._quality = quality or Quality(0.9)

    def assess(self, picture: Picture, detection: Detection) -> Quality:
        return self._quality

    def embed(self, picture: Picture, detections: Sequence[Detection]) -> list[Embedding]:
        self.calls += len(detections)
        vector = np.array([1, 0, 0, 0], np.float32)
        return [Embedding(vector, SPACE, self._quality) for _ in detections]


class KnowsAlice:
    """A search in which every query is alice, at ``similarity``; or an error where ``error`` is set."""

    name = "staff"
    count = 2
    needed = 80.0
    scorer = FaceScorer()
    strangers = None

    def __init__(
        self, similarity: float = 0.8, error: Exception | None = None, rejections: RejectionIndex | None = None
    ) -> None:
        self.similarity = similarity
        self.error = error
        self.rejections = rejections

    def subjects(self, vectors: FloatArray, space: Space | None = None, most: int = 5) -> list[list[Match]]:
        if self.error is not None:
            raise self.error
        likeness = self.scorer.calibration.likeness
        found = [
            [Match(f"f{i}", name, cosine, likeness(cosine)) for i, name, cosine in self._everybody()] for _ in vectors
        ]
        if self.rejections is None:
            return found
        return self.rejections.held_away(self.name, SPACE.fingerprint, vectors, found)

    def _everybody(self) -> list[tuple[int, str, float]]:
        return [(1, "alice", self.similarity), (2, "bob", 0.1)]


def a_model_set(
    detector: object | None = None, embedder: CountsEmbeddings | None = None, collection: KnowsAlice | None = None
) -> ModelSet:
    recognizer = FaceRecognizer(embedder or CountsEmbeddings(), collection or KnowsAlice(), RULES)
    detectors = {"fake": detector or SeesOneFace()}
    return ModelSet("r7", detectors, {"face": 0.5, "person": 0.5}, {"face": recognizer})  # type: ignore[dict-item]


def ids() -> Iterator[str]:
    return (f"1-{number}" for number in itertools.count(1))


class Frames:
    """A stored source of ``target`` frames: ``fakes:Frames:20``."""

    live = False

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self.name = f"fake {target}"
        self._camera, self._count = camera, int(target)

    def frames(self) -> Iterator[Frame]:
        for number in range(self._count):
            yield a_frame(number, self._camera.fps, self._camera.name)

    def close(self) -> None:
        """Nothing is open."""


class Listens:
    """Reports that remember."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.frames = 0
        self.gone: list[str] = []

    def events(self, events: Sequence[Event]) -> None:
        self.heard += events

    def seen(self, result: FrameResult) -> None:
        self.frames += 1

    def left(self, camera: str) -> None:
        self.gone.append(camera)
