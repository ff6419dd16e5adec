"""Text of words in a camera's picture: tracks of the label ``text`` are recognized at their best looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.errors import ModelError
from edge.core.types import Track

if TYPE_CHECKING:
    from edge.pipeline.frame_result import FrameResult

LABEL = "text"
LARGER = 1.2
"""factor by which the area of a word must have grown since the last look, to be recognized at once"""
SPACING = 1.0
"""minimum interval of recognitions of a word that has not grown, seconds"""
MOST_LOOKS = 5
"""looks at a track, except at larger areas"""
SURE = 0.5
"""minimum probability of a reported text"""
BUDGET = 8
"""words recognized per frame"""


@dataclass(slots=True)
class _Best:
    """Best look at a track so far."""

    text: str = ""
    probability: float = 0.0
    area: float = 0.0
    """of the last look"""
    at: float = -1e9
    looks: int = 0


class TextStage:
    """Recognizes the words of one camera with the text recognizer of a frame's models. Not thread-safe."""

    def __init__(self) -> None:
        self._best: dict[str, _Best] = {}

    def look(self, result: FrameResult, tracks: Sequence[Track]) -> None:
        """Set ``text`` of this frame's tracks; a failing model is a problem of the frame."""
        recognizer = result.models.text_recognizer
        if recognizer is None:
            return
        now, budget = result.frame.monotonic, BUDGET
        for track in tracks:
            if track.label != LABEL or len(track.landmarks) != 4 or budget <= 0:
                continue
            best = self._best.setdefault(track.id, _Best())
            if not _is_due(best, track, now):
                continue
            budget -= 1
            try:
                found = recognizer.recognize(result.frame.main, track.landmarks)
            except ModelError as error:
                result.stats.problems[f"labels.{LABEL}"] = str(error)
                return
            best.area, best.at, best.looks = track.box.area, now, best.looks + 1
            if found.probability > best.probability:
                best.text, best.probability = found.text, found.probability
            track.text = best.text if best.probability >= SURE else ""

    def left(self, track: Track) -> None:
        """The track has ended."""
        self._best.pop(track.id, None)


def _is_due(best: _Best, track: Track, now: float) -> bool:
    if track.seen < now:
        return False
    if track.box.area > LARGER * best.area:
        return True
    return best.looks < MOST_LOOKS and now - best.at >= SPACING
