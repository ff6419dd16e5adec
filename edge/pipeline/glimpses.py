"""Questions about what scored too little to be followed: at most one a place and a while, and few in all.

Whatever is seen twice at a place where nothing is followed is embedded once, which is all that it costs.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from edge.core.errors import EdgeError
from edge.core.imaging.drawing import square_jpeg
from edge.recognition.review import Doubt
from edge.recognition.review.question import nearest_of

if TYPE_CHECKING:
    from edge.core.settings import Settings
    from edge.core.types import Box, Detection, FloatArray, Frame, Match
    from edge.pipeline.model_set import Recogniser
    from edge.pipeline.pipeline import Pipeline

log = logging.getLogger(__name__)

PAUSE = 20.0
"""seconds between two questions of one camera, at least"""
AGAIN = 3600.0
"""seconds before the same place is asked about again: a poster stays"""
PLACES = 32
"""of one camera that are remembered"""
SAME_PLACE = 0.3
"""intersection over union"""
MATCHES = 32
SIDE, AROUND = 160, 0.25
"""of the kept picture: pixels, and the share of the box that is shown on each side of it"""


@dataclass(slots=True)
class _Place:
    box: Box
    seen: float
    asked: float | None = None
    """monotonic seconds"""


class Glimpses:
    """``look`` on the inference thread. A camera is known by its pipeline."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places: WeakKeyDictionary[Pipeline, deque[_Place]] = WeakKeyDictionary()
        self._asked: WeakKeyDictionary[Pipeline, float] = WeakKeyDictionary()

    def look(self, frame: Frame, pipeline: Pipeline) -> Doubt | None:
        """The question that the latest frame of a camera is worth, if any."""
        places = self._places.setdefault(pipeline, deque(maxlen=PLACES))
        due = frame.monotonic - self._asked.get(pipeline, -PAUSE) >= PAUSE
        for one in pipeline.faint:
            place = next((place for place in places if place.box.iou(one.box) >= SAME_PLACE), None)
            if place is None:
                places.append(_Place(one.box, frame.monotonic))
            elif due and place.seen < frame.monotonic and (
                place.asked is None or frame.monotonic - place.asked >= AGAIN
            ):  # fmt: skip
                place.asked = frame.monotonic
                doubt = self._doubt(frame, pipeline.bundle.recognisers[one.label], one)
                if doubt is not None:
                    self._asked[pipeline] = frame.monotonic
                    return doubt
        return None

    def _doubt(self, frame: Frame, recogniser: Recogniser, one: Detection) -> Doubt | None:
        """None where the crop is not worth embedding, or cannot be."""
        try:
            quality = recogniser.embedder.assess(frame.main, one)
            if quality.reason or quality.score < self._settings.recognition.min_quality:
                return None
            (embedding,) = recogniser.embedder.embed(frame.main, [one])
            nearest = nearest_of(_matches(recogniser, embedding.vector))
        except EdgeError as error:
            log.debug("a faint detection cannot be asked about: %s", error)
            return None
        crop = square_jpeg(frame.main, one.box, SIDE, AROUND) if self._settings.review.crops else b""
        return Doubt(
            reason="faint", time=frame.time, camera=frame.camera, track="", label=one.label,
            collection=recogniser.collection.name, space=embedding.space, box=one.box, score=one.score,
            quality=quality.score, subject=nearest[0].subject if nearest else None, nearest=nearest,
            vector=embedding.vector, crop=crop,
        )  # fmt: skip


def _matches(recogniser: Recogniser, vector: FloatArray) -> list[Match]:
    queries: FloatArray = vector[np.newaxis]
    space = recogniser.embedder.space
    found = recogniser.collection.search(queries, MATCHES, space)
    if recogniser.anchors is not None:
        found = recogniser.anchors.held_away(recogniser.collection.name, space, queries, found)
    return recogniser.collection.by_subject(queries, found)[0]
