"""Which tracks are worth a question to a person: one question a track, with its best look, when it has ended.

The inference thread looks and never waits for a disk; the main thread writes.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from edge.core.errors import EdgeError, StoreError
from edge.core.imaging.drawing import square_jpeg
from edge.core.settings.schema import Settings
from edge.core.settings.vision import LabelSettings
from edge.core.types import WHOLE, Embedding, Event, Frame, Identity, IdentityState, Match
from edge.pipeline.model_set import Observation
from edge.pipeline.pipeline import Pipeline
from edge.recognition.review.question import Nearest, Reason, ReviewQuestion, nearest_of
from edge.recognition.review.queue import ReviewQueue

if TYPE_CHECKING:
    from edge.core.types import Box, Detection, FloatArray, Frame, Match
    from edge.pipeline.label_stage import LabelResult
    from edge.pipeline.model_set import FaceRecognizer


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


class ReviewSampler:
    """Feeds a queue. ``look`` and ``ended`` on the inference thread, ``flush`` on the main thread."""

    def __init__(self, queue: ReviewQueue, settings: Settings) -> None:
        self._queue, self._settings = queue, settings
        self._best: dict[str, _Best] = {}
        self._waiting: deque[ReviewQuestion] = deque(maxlen=MOST_WAITING)
        self._known = itertools.count(1)
        self._lock = threading.Lock()
        self._failing = False
        self._glimpses = WeakDetectionSampler(settings)
        self._labels = LabelSampler(settings)

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
        return max((label.margin for label in self._settings.labels.values()), default=LabelSettings().margin)

    def _of(self, frame: Frame, one: Observation) -> _Best:
        crop = square_jpeg(frame.main, one.track.box, SIDE, AROUND) if self._settings.review.crops else b""
        return _Best(one.embedding, tuple(one.matches), one.track.box, one.track.score, crop)


def _doubt(event: Event, best: _Best, reason: Reason) -> ReviewQuestion:
    nearest = nearest_of(best.matches)
    subject = event.identity.subject or (nearest[0].subject if nearest else None)
    return ReviewQuestion(
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


WEAK_PAUSE = 20.0
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


class WeakDetectionSampler:
    """``look`` on the inference thread. A camera is known by its pipeline."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places: WeakKeyDictionary[Pipeline, deque[_Place]] = WeakKeyDictionary()
        self._asked: WeakKeyDictionary[Pipeline, float] = WeakKeyDictionary()

    def look(self, frame: Frame, pipeline: Pipeline) -> ReviewQuestion | None:
        """The question that the latest frame of a camera is worth, if any."""
        places = self._places.setdefault(pipeline, deque(maxlen=PLACES))
        due = frame.monotonic - self._asked.get(pipeline, -WEAK_PAUSE) >= WEAK_PAUSE
        for one in pipeline.faint:
            place = next((place for place in places if place.box.iou(one.box) >= SAME_PLACE), None)
            if place is None:
                places.append(_Place(one.box, frame.monotonic))
            elif due and place.seen < frame.monotonic and (
                place.asked is None or frame.monotonic - place.asked >= AGAIN
            ):  # fmt: skip
                place.asked = frame.monotonic
                doubt = self._doubt(frame, pipeline.bundle.recognizers[one.label], one)
                if doubt is not None:
                    self._asked[pipeline] = frame.monotonic
                    return doubt
        return None

    def _doubt(self, frame: Frame, recognizer: FaceRecognizer, one: Detection) -> ReviewQuestion | None:
        """None where the crop is not worth embedding, or cannot be."""
        try:
            quality = recognizer.embedder.assess(frame.main, one)
            if quality.reason or quality.score < self._settings.recognition.min_quality:
                return None
            (embedding,) = recognizer.embedder.embed(frame.main, [one])
            nearest = nearest_of(_matches(recognizer, embedding.vector))
        except EdgeError as error:
            log.debug("a faint detection cannot be asked about: %s", error)
            return None
        crop = square_jpeg(frame.main, one.box, SIDE, AROUND) if self._settings.review.crops else b""
        return ReviewQuestion(
            reason="faint", time=frame.time, camera=frame.camera, track="", label=one.label,
            collection=recognizer.collection.name, space=embedding.space, box=one.box, score=one.score,
            quality=quality.score, subject=nearest[0].subject if nearest else None, nearest=nearest,
            vector=embedding.vector, crop=crop,
        )  # fmt: skip


def _matches(recognizer: FaceRecognizer, vector: FloatArray) -> list[Match]:
    queries: FloatArray = vector[np.newaxis]
    space = recognizer.embedder.space
    found = recognizer.collection.search(queries, MATCHES, space)
    if recognizer.anchors is not None:
        found = recognizer.anchors.held_away(recognizer.collection.name, space, queries, found)
    return recognizer.collection.by_subject(queries, found)[0]


NEAR = 0.15
"""from a label's threshold, to either side, within which a look is doubtful"""
LABEL_PAUSE = 30.0
"""seconds between two questions about whole pictures of one camera and version, at least"""
TRACKS = 256
"""that are remembered as asked about"""
SIDE, AROUND = 224, 0.1
"""of the kept picture: pixels, and the share of the box that is shown on each side of it"""
FURTHER = 5


class LabelSampler:
    """``look`` on the inference thread. A camera is known by its pipeline."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked: WeakKeyDictionary[Pipeline, dict[str, float]] = WeakKeyDictionary()
        self._tracks: deque[tuple[str, str]] = deque(maxlen=TRACKS)

    def look(self, frame: Frame, pipeline: Pipeline) -> Iterator[ReviewQuestion]:
        """The questions that the latest frame of a camera is worth."""
        for told in pipeline.telling.told:
            label = doubtful(told)
            if label is not None and self._may_ask(told, frame, pipeline):
                yield self._doubt(told, label, frame)

    def _may_ask(self, told: LabelResult, frame: Frame, pipeline: Pipeline) -> bool:
        version = told.teller.version
        if told.track is not None:
            if (told.track.id, version) in self._tracks:
                return False
            self._tracks.append((told.track.id, version))
            return True
        asked = self._asked.setdefault(pipeline, {})
        if frame.monotonic - asked.get(version, -LABEL_PAUSE) < LABEL_PAUSE:
            return False
        asked[version] = frame.monotonic
        return True

    def _doubt(self, told: LabelResult, label: int, frame: Frame) -> ReviewQuestion:
        names, box = told.teller.head.labels, told.track.box if told.track else WHOLE
        best = np.argsort(-told.answers)[:FURTHER].tolist()
        around = AROUND if told.track else 0.0
        crop = square_jpeg(frame.main, box, SIDE, around) if self._settings.review.crops else b""
        return ReviewQuestion(
            reason="threshold", time=frame.time, camera=frame.camera, track=told.track.id if told.track else "",
            label=told.track.label if told.track else "picture", collection="", space=told.embedding.space, box=box,
            score=told.track.score if told.track else 1.0, quality=told.embedding.quality.score, subject=names[label],
            nearest=tuple(Nearest(names[i], "", float(told.answers[i])) for i in best if told.answers[i] > 0),
            vector=told.vector, crop=crop, version=told.teller.version,
        )  # fmt: skip


def doubtful(told: LabelResult) -> int | None:
    """The label whose probability lies nearest to its threshold, where it is near."""
    away = np.abs(told.answers - told.teller.head.thresholds)
    away[told.answers <= 0] = np.inf
    nearest = int(away.argmin())
    return nearest if away[nearest] <= NEAR else None
