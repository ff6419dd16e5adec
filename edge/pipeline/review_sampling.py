"""Uncertainty sampling: which tracks, weak detections and label results become questions to a person.

Samplers choose on the inference thread and never wait for a disk; the main thread writes what they chose.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import EdgeError, StoreError
from edge.core.imaging.drawing import square_jpeg
from edge.core.settings.schema import Settings
from edge.core.settings.vision import LabelSettings
from edge.core.types import WHOLE, Embedding, Event, Frame, Identity, IdentityState, Match
from edge.pipeline.frame_result import FrameResult, LabelResult, Observation
from edge.recognition.look_quality import declined
from edge.recognition.review.question import SAME_FACE, Nearest, Reason, ReviewQuestion, asked_subject, nearest_of
from edge.recognition.review.queue import ReviewQueue

if TYPE_CHECKING:
    from edge.core.types import Box, Detection, FloatArray
    from edge.pipeline.model_set import FaceRecognizer

log = logging.getLogger(__name__)

MOST_WAITING = 64
"""questions pending for the main thread"""
FACE_SIDE, FACE_MARGIN = 160, 0.25
"""of the kept picture of a face: pixels, and the share of the box that is shown on each side of it"""
LABEL_SIDE, LABEL_MARGIN = 224, 0.1
"""the same of a label's region"""


class QuestionSampler:
    """Selects questions of one kind. Called on the inference thread."""

    def look(self, result: FrameResult) -> Iterable[ReviewQuestion]:  # noqa: ARG002
        """Questions of a processed frame."""
        return ()

    def ended(self, event: Event) -> Iterable[ReviewQuestion]:  # noqa: ARG002
        """Questions of a track that ended."""
        return ()

    def erase(self, subject: str) -> None:
        """Discard what is held of an erased subject."""


class ReviewSampler:
    """Feeds a queue from all samplers. ``look`` and ``ended`` on the inference thread, ``flush`` on the main thread."""

    def __init__(self, queue: ReviewQueue, settings: Settings) -> None:
        self._queue = queue
        self._samplers: tuple[QuestionSampler, ...] = (
            WeakDetectionSampler(settings),
            LabelSampler(settings),
            TrackSampler(settings),
        )
        self._waiting: deque[ReviewQuestion] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._failing = False

    def look(self, result: FrameResult) -> None:
        """Collect the questions of a processed frame."""
        self._ask(question for sampler in self._samplers for question in sampler.look(result))

    def ended(self, events: Sequence[Event]) -> None:
        """Collect the questions of tracks that ended."""
        ends = [event for event in events if event.type == "end"]
        self._ask(question for event in ends for sampler in self._samplers for question in sampler.ended(event))

    def erase(self, subject: str) -> None:
        """Discard every question and every held look that names an erased subject."""
        for sampler in self._samplers:
            sampler.erase(subject)
        with self._lock:
            kept = [one for one in self._waiting if all(near.subject != subject for near in one.nearest)]
            self._waiting = deque(kept, maxlen=MOST_WAITING)

    def flush(self) -> None:
        """Write pending questions. A failing disk loses questions, never events."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        try:
            self._queue.put(waiting)
        except StoreError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "review questions are lost: %s", error)
            self._failing = True
        else:
            self._failing = self._failing and not waiting

    def _ask(self, questions: Iterable[ReviewQuestion]) -> None:
        for question in questions:
            with self._lock:
                self._waiting.append(question)


MOST_TRACKS = 256
"""tracks whose best look is kept in memory"""
BETTER = 1.1
"""how much better a look must be to take the place of the one that is held"""


@dataclass(frozen=True, slots=True)
class _BestLook:
    embedding: Embedding
    matches: tuple[Match, ...]
    box: Box
    score: float
    crop: bytes
    match: float
    """cosine from which two looks are taken for one face"""
    needed: float
    """likeness 0..100 that makes a match"""


class TrackSampler(QuestionSampler):
    """One question per track, with its best look, when it has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._best: dict[str, _BestLook] = {}
        self._known = itertools.count(1)

    def look(self, result: FrameResult) -> Iterable[ReviewQuestion]:
        """Keep the best look of each track; no questions yet."""
        for one in result.observations:
            held = self._best.get(one.track.id)
            quality = one.embedding.quality.score
            if held is None or quality > BETTER * held.embedding.quality.score:
                self._best.pop(one.track.id, None)
                self._best[one.track.id] = self._of(result.frame, one, result.models.recognizers[one.track.label])
        while len(self._best) > MOST_TRACKS:
            del self._best[next(iter(self._best))]
        return ()

    def ended(self, event: Event) -> Iterator[ReviewQuestion]:
        """The question about a track that ended, if any."""
        best = self._best.pop(event.track, None)
        reason = self._reason(event.identity, best) if best is not None else None
        if best is not None and reason is not None:
            yield _track_question(event, best, reason)

    def erase(self, subject: str) -> None:
        self._best = {track: one for track, one in self._best.items() if all(m.name != subject for m in one.matches)}

    def _reason(self, identity: Identity, best: _BestLook) -> Reason | None:
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

    def _of(self, frame: Frame, one: Observation, recognizer: FaceRecognizer) -> _BestLook:
        crops = self._settings.review.crops
        crop = square_jpeg(frame.main, one.track.box, FACE_SIDE, FACE_MARGIN) if crops else b""
        return _BestLook(
            one.embedding, tuple(one.matches), one.track.box, one.track.score, crop,
            recognizer.search.scorer.typical_cosine(SAME_FACE), recognizer.search.needed,
        )  # fmt: skip


def _track_question(event: Event, best: _BestLook, reason: Reason) -> ReviewQuestion:
    nearest = nearest_of(best.matches)
    named = event.identity.subject if reason in ("audit", "retracted") else None
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
        subject=named or asked_subject(nearest, best.needed),
        nearest=nearest,
        vector=best.embedding.vector,
        crop=best.crop,
        pseudonym=event.identity.pseudonym or "",
        match=best.match,
        needed=best.needed,
    )


def _close(identity: Identity, margin: float) -> bool:
    similarity = identity.similarity if identity.similarity is not None else -math.inf
    return identity.runner_up is not None and similarity - identity.runner_up < margin


WEAK_PAUSE = 20.0
"""seconds between two questions of one camera, at least"""
AGAIN = 3600.0
"""seconds before another question about the same place: posters stay"""
PLACES = 32
"""remembered places per camera"""
SAME_PLACE = 0.3
"""intersection over union"""


@dataclass(slots=True)
class _Place:
    box: Box
    seen: float
    asked: float | None = None
    """monotonic seconds"""


@dataclass(slots=True)
class _CameraPlaces:
    """Where one camera saw weak detections."""

    places: deque[_Place] = field(default_factory=lambda: deque(maxlen=PLACES))
    asked: float = -math.inf
    """monotonic seconds of the latest question"""


class WeakDetectionSampler(QuestionSampler):
    """Questions about detections below the tracking threshold, at most one per place and while, few per camera."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cameras: dict[str, _CameraPlaces] = {}

    def look(self, result: FrameResult) -> Iterator[ReviewQuestion]:
        """The question about the first weak detection of the frame that is worth one."""
        if not result.weak_detections:
            return
        frame = result.frame
        camera = self._cameras.setdefault(frame.camera, _CameraPlaces())
        due = frame.monotonic - camera.asked >= WEAK_PAUSE
        for one in result.weak_detections:
            place = next((place for place in camera.places if place.box.iou(one.box) >= SAME_PLACE), None)
            if place is None:
                camera.places.append(_Place(one.box, frame.monotonic))
            elif due and place.seen < frame.monotonic and (
                place.asked is None or frame.monotonic - place.asked >= AGAIN
            ):  # fmt: skip
                place.asked = frame.monotonic
                question = self._question(frame, result.models.recognizers[one.label], one)
                if question is not None:
                    camera.asked = frame.monotonic
                    yield question
                    return

    def _question(self, frame: Frame, recognizer: FaceRecognizer, one: Detection) -> ReviewQuestion | None:
        """None where the crop is not worth embedding, cannot be, or shows an unknown face too poorly to be named."""
        try:
            quality = recognizer.embedder.assess(frame.main, one)
            if declined(quality, self._settings.recognition, recognizer.embedder.quality_floor):
                return None
            (embedding,) = recognizer.embedder.embed(frame.main, [one])
            nearest = nearest_of(_matches(recognizer, embedding.vector))
        except EdgeError as error:
            log.debug("a weak detection cannot be queued for review: %s", error)
            return None
        subject = asked_subject(nearest, recognizer.search.needed)
        if subject is None and quality.score < self._settings.review.quality:
            return None
        crop = square_jpeg(frame.main, one.box, FACE_SIDE, FACE_MARGIN) if self._settings.review.crops else b""
        return ReviewQuestion(
            reason="faint", time=frame.time, camera=frame.camera, track="", label=one.label,
            collection=recognizer.search.name, space=embedding.space, box=one.box, score=one.score,
            quality=quality.score, subject=subject, nearest=nearest, vector=embedding.vector, crop=crop,
            match=recognizer.search.scorer.typical_cosine(SAME_FACE), needed=recognizer.search.needed,
        )  # fmt: skip


def _matches(recognizer: FaceRecognizer, vector: FloatArray) -> list[Match]:
    queries: FloatArray = vector[np.newaxis]
    return recognizer.search.subjects(queries, recognizer.embedder.space)[0]


NEAR = 0.15
"""from a label's threshold, to either side, within which a result is doubtful"""
LABEL_PAUSE = 30.0
"""seconds between two questions about whole pictures per camera and version, at least"""
ASKED_TRACKS = 256
"""remembered tracks with a question"""
FURTHER = 5
"""labels that a question shows, at most"""


class LabelSampler(QuestionSampler):
    """Questions about label results near their threshold."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked: dict[tuple[str, str], float] = {}
        """camera, version -> monotonic seconds"""
        self._tracks: deque[tuple[str, str]] = deque(maxlen=ASKED_TRACKS)

    def look(self, result: FrameResult) -> Iterator[ReviewQuestion]:
        """The questions about the label results of a frame."""
        for one in result.label_results:
            label = doubtful(one)
            if label is not None and self._may_ask(one, result.frame):
                yield self._question(one, label, result.frame)

    def _may_ask(self, one: LabelResult, frame: Frame) -> bool:
        version = one.classifier.version
        if one.track is not None:
            if (one.track.id, version) in self._tracks:
                return False
            self._tracks.append((one.track.id, version))
            return True
        if frame.monotonic - self._asked.get((frame.camera, version), -math.inf) < LABEL_PAUSE:
            return False
        self._asked[frame.camera, version] = frame.monotonic
        return True

    def _question(self, one: LabelResult, label: int, frame: Frame) -> ReviewQuestion:
        names, box = one.classifier.head.labels, one.track.box if one.track else WHOLE
        best = np.argsort(-one.answers)[:FURTHER].tolist()
        margin = LABEL_MARGIN if one.track else 0.0
        crop = square_jpeg(frame.main, box, LABEL_SIDE, margin) if self._settings.review.crops else b""
        return ReviewQuestion(
            reason="threshold", time=frame.time, camera=frame.camera, track=one.track.id if one.track else "",
            label=one.track.label if one.track else "picture", collection="", space=one.embedding.space, box=box,
            score=one.track.score if one.track else 1.0, quality=one.embedding.quality.score, subject=names[label],
            nearest=tuple(Nearest(names[i], "", float(one.answers[i])) for i in best if one.answers[i] > 0),
            vector=one.vector, crop=crop, version=one.classifier.version,
        )  # fmt: skip


def doubtful(result: LabelResult) -> int | None:
    """The label whose probability lies nearest to its threshold, where it is near."""
    away = np.abs(result.answers - result.classifier.head.thresholds)
    away[result.answers <= 0] = np.inf
    nearest = int(away.argmin())
    return nearest if away[nearest] <= NEAR else None
