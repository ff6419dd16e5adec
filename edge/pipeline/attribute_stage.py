"""Attributes of faces in events: a track carries those of its best look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.core.errors import ModelError
from edge.core.types import Detection, Embedding, FaceAttribute, Track

if TYPE_CHECKING:
    from edge.core.settings.vision import EventAttribute
    from edge.inference.face_attributes import FaceAttributes
    from edge.pipeline.frame_result import FrameResult

BETTER = 1.1
"""how many times better a look must be than the one before, for the model to run again"""


class AttributeStage:
    """Runs the attribute model of a frame's models on looks that are better than those before. One thread."""

    def __init__(self, names: Sequence[EventAttribute]) -> None:
        self._names = names
        self._best: dict[str, float] = {}
        """quality of the look that a track's attributes are of, by track"""

    def look(
        self, result: FrameResult, worth: Sequence[tuple[Track, Detection]], embeddings: Sequence[Embedding]
    ) -> None:
        """Tracks of this frame with their detections and embeddings, in order; a failing model is a problem."""
        model = result.models.attributes
        if model is None:
            return
        for (track, detection), embedding in zip(worth, embeddings, strict=True):
            quality = embedding.quality.score
            if len(detection.landmarks) != 5 or quality <= BETTER * self._best.get(track.id, -1.0):
                continue
            try:
                found = model.attributes(result.frame.main, detection)
            except ModelError as error:
                result.stats.problems["attributes"] = str(error)
                return
            self._best[track.id] = quality
            track.attributes = tuple(face_attribute(name, found) for name in self._names)

    def left(self, track: Track) -> None:
        """The track has ended."""
        self._best.pop(track.id, None)


def face_attribute(name: EventAttribute, found: FaceAttributes) -> FaceAttribute:
    """One attribute as events carry it."""
    if name == "age_range":
        return FaceAttribute(name, "{}-{}".format(*found.age), 0.0)
    if name == "emotions":
        first, score = next(iter(found.emotions.items()))
        return FaceAttribute(name, first.lower(), score)
    value = found.values["".join(part.title() for part in name.split("_"))]
    words = ("male", "female") if name == "gender" else ("yes", "no")
    return FaceAttribute(name, words[0] if value.value else words[1], value.probability)
