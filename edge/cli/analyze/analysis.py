"""A stored source through the pipeline, frame by frame.

A picture by itself shows nobody twice, and the pipeline wants to see somebody more than once before it reports. So a
picture stands before the camera for a moment, and what was there goes with it.
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
"""between two checks at the same picture: above the pause between two embeddings of a track"""


@dataclass(frozen=True, slots=True)
class Step:
    """What one frame gave."""

    source: Path
    """the video or picture"""
    frame: Frame
    tracks: Sequence[Track]
    """followed after the frame"""
    events: Sequence[Event]
    """with the time of the video; those of the last step of a source hold all ends"""


class Analysis:
    """Looks through stored sources with the models, labels and thresholds of one camera's settings.

    ``problems`` says what of the settings could not be used. Raises what ``load_model_set`` raises.
    """

    def __init__(self, settings: Settings, state: Path, collections: Collections, camera: CameraSettings) -> None:
        self._camera = camera.model_copy(update={"realtime": False, "loop": False, "enabled": True})
        self._settings = settings.model_copy(update={"cameras": (self._camera,)})
        assembled = load_model_set(self._settings, state, collections)
        self._ids = (f"1-{number}" for number in itertools.count(1))
        self.problems = assembled.problems
        self.model_set = assembled.model_set
        self.observers: list[Callable[[FrameResult], None]] = []
        """receive the result of each frame, and at the end of a source one that holds the ends"""

    def video(self, path: Path) -> Iterator[Step]:
        """Every frame of a video that the camera's rate lets through. Raises SourceError, ModelError."""
        source = VideoFile(self._camera, str(path))
        try:
            yield from self._steps(self._camera, path, source.frames())
        finally:
            source.close()

    def picture(self, path: Path) -> Iterator[Step]:
        """One picture, as if it stood still before the camera. Raises InputError, ModelError."""
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
        """A step per frame, one behind: the ends of what is still there belong to the last."""
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
    """The videos and pictures that ``paths`` name, folders opened. Raises InputError for one that is not there."""
    return [file for path in paths for file in image_files(path)]
