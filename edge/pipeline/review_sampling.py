"""Which tracks are worth a question to a person: one question a track, with its best look, when it has ended.

The inference thread looks and never waits for a disk; the main thread writes.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.errors import StoreError
from edge.core.imaging.drawing import square_jpeg
from edge.core.settings import Label, Settings
from edge.core.types import Embedding, Event, Frame, Identity, IdentityState, Match
from edge.pipeline.glimpses import AROUND, SIDE, Glimpses
from edge.pipeline.label_doubts import LabelDoubts
from edge.pipeline.model_set import Look
from edge.pipeline.pipeline import Pipeline
from edge.recognition.review import Doubt, ReviewQueue
from edge.recognition.review.question import Reason, nearest_of

if TYPE_CHECKING:
    from edge.core.types import Box

log = logging.getLogger(__name__)

MOST_TRACKS = 256
"""whose best look is held while they are there"""
MOST_WAITING = 64
"""questions that wait for the main thread"""
BETTER = 1.1
"""how much better a look must be to take the place of the one that is held"""


@dataclass(frozen=True, slots=True)
class _Best:
    embedding: Embedding
    matches: tuple[Match, ...]
    box: Box
    score: float
    crop: bytes


class Doubts:
    """Feeds a queue. ``look`` and ``ended`` on the inference thread, ``flush`` on the main thread."""

    def __init__(self, queue: ReviewQueue, settings: Settings) -> None:
        self._queue, self._settings = queue, settings
        self._best: dict[str, _Best] = {}
        self._waiting: deque[Doubt] = deque(maxlen=MOST_WAITING)
        self._known = itertools.count(1)
        self._lock = threading.Lock()
        self._failing = False
        self._glimpses = Glimpses(settings)
        self._labels = LabelDoubts(settings)

    def look(self, frame: Frame, pipeline: Pipeline) -> None:
        """Hold the best look at each track of a frame that was processed; ask about what was too faint to follow."""
        if pipeline.faint and (doubt := self._glimpses.look(frame, pipeline)) is not None:
            with self._lock:
                self._waiting.append(doubt)
        for doubt in self._labels.look(frame, pipeline):
            with self._lock:
                self._waiting.append(doubt)
        for one in pipeline.looked:
            held = self._best.get(one.track.id)
            quality = one.embedding.quality.score
            if held is None or quality > BETTER * held.embedding.quality.score:
                self._best.pop(one.track.id, None)
                self._best[one.track.id] = self._of(frame, one)
        while len(self._best) > MOST_TRACKS:
            del self._best[next(iter(self._best))]

    def ended(self, events: Sequence[Event]) -> None:
        """Ask about those of the tracks that end which are worth it."""
        for event in events:
            best = self._best.pop(event.track, None) if event.type == "end" else None
            reason = self._reason(event.identity, best) if best is not None else None
            if best is not None and reason is not None:
                with self._lock:
                    self._waiting.append(_doubt(event, best, reason))

    def erase(self, subject: str) -> None:
        """The subject is forgotten: hold no look that resembles it."""
        self._best = {track: one for track, one in self._best.items() if all(m.name != subject for m in one.matches)}
        with self._lock:
            kept = [one for one in self._waiting if all(near.subject != subject for near in one.nearest)]
            self._waiting = deque(kept, maxlen=MOST_WAITING)

    def flush(self) -> None:
        """Write what waits. A disk that refuses loses questions, never events."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        try:
            self._queue.put(waiting)
        except StoreError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "questions are lost: %s", error)
            self._failing = True
        else:
            self._failing = self._failing and not waiting

    def _reason(self, identity: Identity, best: _Best) -> Reason | None:
        review = self._settings.review
        if identity.state is IdentityState.UNCERTAIN:
            return "margin" if _close(identity, self._margin()) else "uncertain"
        if identity.state is IdentityState.RETRACTED:
            return "retracted"
        if identity.state is IdentityState.KNOWN:
            return "audit" if review.audit and next(self._known) % review.audit == 0 else None
        return "unmatched" if best.embedding.quality.score >= review.quality else None

    def _margin(self) -> float:
        return max((label.margin for label in self._settings.labels.values()), default=Label().margin)

    def _of(self, frame: Frame, one: Look) -> _Best:
        crop = square_jpeg(frame.main, one.track.box, SIDE, AROUND) if self._settings.review.crops else b""
        return _Best(one.embedding, tuple(one.matches), one.track.box, one.track.score, crop)


def _doubt(event: Event, best: _Best, reason: Reason) -> Doubt:
    nearest = nearest_of(best.matches)
    subject = event.identity.subject or (nearest[0].subject if nearest else None)
    return Doubt(
        reason=reason,
        time=event.time,
        camera=event.camera,
        track=event.track,
        label=event.label,
        collection=event.identity.collection or "",
        space=best.embedding.space,
        box=best.box,
        score=best.score,
        quality=best.embedding.quality.score,
        subject=subject,
        nearest=nearest,
        vector=best.embedding.vector,
        crop=best.crop,
        pseudonym=event.identity.pseudonym or "",
    )


def _close(identity: Identity, margin: float) -> bool:
    similarity = identity.similarity if identity.similarity is not None else -math.inf
    return identity.runner_up is not None and similarity - identity.runner_up < margin
