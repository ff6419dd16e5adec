"""Which looks of custom labels are worth a question: those near a label's threshold, and few of them.

A track is asked about once, a whole picture once in a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from edge.core.imaging.drawing import square_jpeg
from edge.core.types import WHOLE
from edge.recognition.review import Doubt, Nearest

if TYPE_CHECKING:
    from edge.core.settings import Settings
    from edge.core.types import Frame
    from edge.pipeline.label_stage import Told
    from edge.pipeline.pipeline import Pipeline

NEAR = 0.15
"""from a label's threshold, to either side, within which a look is doubtful"""
PAUSE = 30.0
"""seconds between two questions about whole pictures of one camera and version, at least"""
TRACKS = 256
"""that are remembered as asked about"""
SIDE, AROUND = 224, 0.1
"""of the kept picture: pixels, and the share of the box that is shown on each side of it"""
FURTHER = 5


class LabelDoubts:
    """``look`` on the inference thread. A camera is known by its pipeline."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked: WeakKeyDictionary[Pipeline, dict[str, float]] = WeakKeyDictionary()
        self._tracks: deque[tuple[str, str]] = deque(maxlen=TRACKS)

    def look(self, frame: Frame, pipeline: Pipeline) -> Iterator[Doubt]:
        """The questions that the latest frame of a camera is worth."""
        for told in pipeline.telling.told:
            label = doubtful(told)
            if label is not None and self._may_ask(told, frame, pipeline):
                yield self._doubt(told, label, frame)

    def _may_ask(self, told: Told, frame: Frame, pipeline: Pipeline) -> bool:
        version = told.teller.version
        if told.track is not None:
            if (told.track.id, version) in self._tracks:
                return False
            self._tracks.append((told.track.id, version))
            return True
        asked = self._asked.setdefault(pipeline, {})
        if frame.monotonic - asked.get(version, -PAUSE) < PAUSE:
            return False
        asked[version] = frame.monotonic
        return True

    def _doubt(self, told: Told, label: int, frame: Frame) -> Doubt:
        names, box = told.teller.head.labels, told.track.box if told.track else WHOLE
        best = np.argsort(-told.answers)[:FURTHER].tolist()
        around = AROUND if told.track else 0.0
        crop = square_jpeg(frame.main, box, SIDE, around) if self._settings.review.crops else b""
        return Doubt(
            reason="threshold", time=frame.time, camera=frame.camera, track=told.track.id if told.track else "",
            label=told.track.label if told.track else "picture", collection="", space=told.embedding.space, box=box,
            score=told.track.score if told.track else 1.0, quality=told.embedding.quality.score, subject=names[label],
            nearest=tuple(Nearest(names[i], "", float(told.answers[i])) for i in best if told.answers[i] > 0),
            vector=told.vector, crop=crop, version=told.teller.version,
        )  # fmt: skip


def doubtful(told: Told) -> int | None:
    """The label whose probability lies nearest to its threshold, where it is near."""
    away = np.abs(told.answers - told.teller.head.thresholds)
    away[told.answers <= 0] = np.inf
    nearest = int(away.argmin())
    return nearest if away[nearest] <= NEAR else None
