"""Runs the pipeline on a stored source, frame by frame.

The pipeline requires several detections before it reports a track. A single picture is therefore processed as a short
sequence of identical frames, after which its tracks end.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core.imaging import image as pictures
from edge.core.imaging.folders import ENDINGS
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Event, Frame, Track
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.loader import load_model_set
from edge.pipeline.pipeline import Pipeline
from edge.recognition.extraction import image_files
from edge.recognition.store.collections import Collections
from edge.sources.av import VideoFile

PICTURE_SECONDS = 0.2
"""interval of the repeated frames of a picture; longer than the interval of embeddings of a track"""


@dataclass(frozen=True, slots=True)
class Step:
    """Results of one frame."""

    source: Path
    """the video or picture"""
    frame: Frame
    tracks: Sequence[Track]
    """tracks visible in the frame"""
    events: Sequence[Event]
    """with times of the video; the last step of a source includes all end events"""


class Analysis:
    """Analyzes stored sources with the models, labels and thresholds of one camera's settings.

    ``problems`` lists settings that could not be applied. Raises as ``load_model_set`` does.
    """

    def __init__(self, settings: Settings, state: Path, collections: Collections, camera: CameraSettings) -> None:
        self._camera = camera.model_copy(update={"realtime": False, "loop": False, "enabled": True})
        self._settings = settings.model_copy(update={"cameras": (self._camera,)})
        assembled = load_model_set(self._settings, state, collections)
        self._ids = (f"1-{number}" for number in itertools.count(1))
        self.problems = assembled.problems
        self.model_set = assembled.model_set
        self.observers: list[Callable[[FrameResult], None]] = []
        """called with the result of each frame, and at the end of a source with one for the end events"""

    def video(self, path: Path) -> Iterator[Step]:
        """Steps of a video at the camera's frame rate. Raises SourceError, ModelError."""
        source = VideoFile(self._camera, str(path))
        try:
            yield from self._steps(self._camera, path, source.frames())
        finally:
            source.close()

    def picture(self, path: Path) -> Iterator[Step]:
        """Steps of one picture, as a still scene. Raises InputError, ModelError."""
        picture = pictures.rotated(pictures.read(path), self._camera.rotation)
        camera = self._camera.model_copy(update={"motion": False})
        now = time.time()
        looks = 2 + max(
            self._settings.recognition.votes, int(self._settings.tracking.confirm_seconds / PICTURE_SECONDS)
        )

        def frames() -> Iterator[Frame]:
            for number in range(looks + 1):
                after = number * PICTURE_SECONDS
                yield Frame(camera.name, number, after, now + after, picture, video_time=0.0)

        yield from self._steps(camera, path, frames())

    def _steps(self, camera: CameraSettings, source: Path, frames: Iterator[Frame]) -> Iterator[Step]:
        """One step per frame, delayed by one, so that the last includes the ends of open tracks."""
        pipeline = Pipeline(camera, self._settings, self.model_set, self._ids)
        held: Step | None = None
        for frame in frames:
            if held is not None:
                yield held
            result = self._observed(pipeline.process(frame))
            seen = [dataclasses.replace(track) for track in result.tracks if track.seen == frame.monotonic]
            held = Step(source, frame, seen, result.events)
        if held is not None:
            ends = self._observed(FrameResult(held.frame, pipeline.model_set, pipeline.finish())).events
            yield dataclasses.replace(held, events=[*held.events, *ends])

    def _observed(self, result: FrameResult) -> FrameResult:
        for observer in self.observers:
            observer(result)
        return result


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS


def stored_files(paths: Sequence[Path]) -> list[Path]:
    """Videos and pictures in ``paths``, folders included. Raises InputError for a missing path."""
    return [file for path in paths for file in image_files(path)]
