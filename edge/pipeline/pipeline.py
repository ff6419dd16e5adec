"""One frame of one camera, from pixels to events.

1. motion in the small picture decides whether detectors run; on a still scene they run once in a while
2. the detectors give boxes, and landmarks where the model has them
3. the tracker gives each box an identity over time; a person's track holds the face inside it
4. a track asks for an embedding only while the answer could still change, within a budget
5. the crops of the frame are embedded, then matched in one batch
6. each match is evidence for its track; the event policy turns changes of tracks into events

Models and collections are a ``ModelSet``, replaced as a whole between two frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import EdgeError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.types import Detection, Event, Frame, Identity, Track
from edge.inference.protocols import DetectionModel, EmbeddingModel
from edge.labels.classifier import REGION_SCORE
from edge.pipeline.attribute_stage import AttributeStage
from edge.pipeline.event_policy import CameraPresence, Clock, EventPolicy
from edge.pipeline.frame_gate import FrameGate
from edge.pipeline.frame_result import FrameResult, Observation, StageTimer
from edge.pipeline.label_stage import LabelStage
from edge.pipeline.model_set import FaceRecognizer, ModelSet
from edge.pipeline.strangers import StrangerRecognizer
from edge.pipeline.text_stage import LABEL as TEXT
from edge.pipeline.text_stage import TextStage
from edge.pipeline.tracking.embedding_schedule import EmbeddingScheduler, schedule
from edge.pipeline.tracking.face_person import FacePersonLinker
from edge.pipeline.tracking.tracker import Tracker, TrackerUpdate, scores_to_detect, unfollowed
from edge.pipeline.zones import Zones
from edge.recognition.look_quality import declined

if TYPE_CHECKING:
    from edge.core.types import FloatArray


class Pipeline:
    """Turns frames of one camera into events. One thread at a time."""

    def __init__(self, camera: CameraSettings, settings: Settings, model_set: ModelSet, ids: Iterator[str]) -> None:
        labels: dict[str, LabelSettings] = settings.labels_of(camera)
        self.model_set = model_set
        self.strangers: StrangerRecognizer | None = None
        self.frame_gate = FrameGate(camera)
        """decides whether detectors run; its ``shed`` says what load shedding switches off"""
        self._label_stage = LabelStage(camera, settings, ids)
        self._attributes = AttributeStage(settings.recognition.attributes)
        self._text = TextStage()
        self._camera = camera
        self._labels = labels
        self._recognition = settings.recognition
        self._tracker = Tracker(camera.name, settings.tracking, ids, model_set.scores)
        self._policy = EventPolicy(camera, labels, settings.tracking, settings.recognition.doubtful_names)
        self._zones = Zones(camera.zones, settings.tracking.zone_seconds)
        self._holders = FacePersonLinker()
        self._looks: dict[str, EmbeddingScheduler] = {}
        self._cut_off: list[Track] = []
        self._latest: tuple[float, float, float | None] = (0.0, 0.0, None)
        self._running: ModelSet | None = None
        self._begun = False
        """a frame was processed"""
        self._asked: list[tuple[DetectionModel, dict[str, float]]] = []
        self._faint = settings.review.faint if settings.review.enabled else 1.0
        self._wanted: dict[str, float] = {}
        """label -> lowest score passed to the tracker"""
        self._doubted: dict[str, float] = {}
        """the same for review"""

    @property
    def tracks(self) -> list[Track]:
        """Tracks followed now, of labels that are reported or that custom labels describe."""
        return [track for track in self._tracker.tracks if track.label in self._labels or track.custom_labels]

    def presence(self, time: float) -> CameraPresence:
        """Reported tracks that are present now."""
        return self._policy.presence(time)

    def process(self, frame: Frame, clock: Clock = "synced") -> FrameResult:
        """Detect, track, recognize and report one frame.

        Raises ModelError where a detector fails: no track has changed then.
        """
        result = FrameResult(frame, self._switched())
        self._latest = (frame.monotonic, frame.time, frame.video_time)
        if frame.cut:
            self._cut_off += self._tracker.cut()
            self._label_stage.cut()
        with StageTimer(result.stats, "motion"):
            looking = self._worth_looking(result)
        update = self._look(result) if looking else self._tracker.still(frame.monotonic)
        with StageTimer(result.stats, "report"):
            ended, self._cut_off = [*self._cut_off, *update.ended], []
            self._left(ended)
            ended += self._label_stage.ended(ended)
            tracks = [*update.tracks, *self._label_stage.tracks]
            result.events = self._policy.events(tracks, ended, frame, clock, result.models.release)
            result.tracks = self.tracks
            if result.events or not self._begun:
                self._begun, result.presence = True, self.presence(frame.time)
        return result

    def finish(self, reason: str = "stopped", clock: Clock = "synced") -> list[Event]:
        """An end event for every reported track, at the time of the latest frame."""
        now, time, video_time = self._latest
        ended = self._tracker.finish()
        self._left(ended)
        return self._policy.finish(ended, now, time, reason, clock, self.model_set.release, video_time)

    def reopen(self) -> None:
        """The collection changed: look at every track again."""
        for looks in self._looks.values():
            looks.reopen()

    def erase(self, subject: str) -> None:
        """Remove an erased subject: clear its name and its votes from all tracks."""
        for track in self._tracker.tracks:
            if track.id in self._looks:
                self._looks[track.id].erase(track, subject)
            elif track.identity.subject == subject:
                track.identity = Identity(collection=track.identity.collection)
        self._policy.erase(subject)

    def _look(self, result: FrameResult) -> TrackerUpdate:
        """Detect and follow, then recognize faces and custom labels within the embedding budget."""
        frame = result.frame
        with StageTimer(result.stats, "detect"):
            detections = self._detect(result)
        with StageTimer(result.stats, "track"):
            followed = [one for one in detections if one.score >= self._wanted.get(one.label, 0.0)]
            update = self._tracker.update(followed, frame.monotonic, frame.time, self.frame_gate.view(frame))
            result.weak_detections = unfollowed(detections, update.tracks, self._doubted, result.models.scores)
            self._zones.update(update.tracks, frame.monotonic)
            self._holders.update(update.tracks, frame.monotonic)
        budget = min(self._recognition.budget, self.frame_gate.shed.embeddings or self._recognition.budget)
        self._recognize(result, update.tracks, budget)
        self._label_stage.look(result, update.tracks, budget)
        if result.models.text_recognizer is not None:
            with StageTimer(result.stats, "text"):
                self._text.look(result, update.tracks)
        self._holders.name(update.tracks, frame.monotonic)
        return update

    def _left(self, tracks: Sequence[Track]) -> None:
        for track in tracks:
            self._looks.pop(track.id, None)
            self._attributes.left(track)
            self._text.left(track)
            if self.strangers is not None:
                self.strangers.left(track)

    def _switched(self) -> ModelSet:
        """The model set of this frame. A new one reopens the votes of all tracks under its rules."""
        model_set = self.model_set
        if self._running is not model_set:
            if self._running is not None:
                for track in self._tracker.tracks:
                    recognizer = model_set.recognizers.get(track.label)
                    if track.id in self._looks and recognizer is not None:
                        self._looks[track.id].reopen(recognizer.rules)
            self._running = model_set
            self._label_stage.switch(model_set)
            self._asked = list(self._questions(model_set))
        return model_set

    def _worth_looking(self, result: FrameResult) -> bool:
        worth = self.frame_gate.worth(result.frame, self._tracker.tracks)
        result.stats.moving = self.frame_gate.moving
        return self._label_stage.is_due(result.stats.moving, result.frame.monotonic) or worth

    def _questions(self, model_set: ModelSet) -> Iterator[tuple[DetectionModel, dict[str, float]]]:
        """Each detector that this camera uses, and the lowest score per label."""
        starts = {label: model_set.scores.get(label, 0.0) for label in self._labels}
        self._wanted = scores_to_detect(starts)
        self._wanted |= dict.fromkeys(self._label_stage.regions - self._wanted.keys(), REGION_SCORE)
        named = model_set.recognizers if self._faint < 1 else {}
        self._doubted = {label: score * self._faint for label, score in starts.items() if label in named}
        for name in self._camera.detectors:
            detector = model_set.detectors.get(name)
            if detector is None:
                continue  # the loader has reported that it could not be loaded
            scores = {
                label: min(score, self._doubted.get(label, score))
                for label, score in self._wanted.items()
                if label in detector.labels
            }
            if scores:
                yield detector, scores

    def _detect(self, result: FrameResult) -> list[Detection]:
        frame = result.frame
        found: list[Detection] = []
        for detector, scores in self._asked:
            picture = frame.main if TEXT in detector.labels else frame.small or frame.main
            found += self.frame_gate.closer(detector, frame, detector.detect(picture, scores), scores)
        self.frame_gate.looks(frame)
        result.stats.looked, result.stats.detections = True, len(found)
        return found

    def _recognize(self, result: FrameResult, tracks: Sequence[Track], budget: int) -> None:
        now = result.frame.monotonic
        for label, recognizer in result.models.recognizers.items():
            recognizer.search.strangers = self.strangers
            mine = [track for track in tracks if track.label == label]
            for track in mine:
                if track.id not in self._looks:
                    self._looks[track.id] = EmbeddingScheduler(
                        recognizer.rules, self._recognition, recognizer.search.name
                    )
            chosen = schedule(mine, self._looks, now, budget)
            if chosen:
                try:
                    self._vote(result, recognizer, chosen)
                except EdgeError as error:
                    # the tracks and their end events continue; health reports the problem
                    result.stats.problems[f"labels.{label}"] = str(error)
                    for track in chosen:
                        self._looks[track.id].decline(now)

    def _vote(self, result: FrameResult, recognizer: FaceRecognizer, tracks: Sequence[Track]) -> None:
        frame, stats = result.frame, result.stats
        with StageTimer(stats, "embed"):
            worth = self._worth_embedding(result, recognizer.embedder, tracks)
            embeddings = recognizer.embedder.embed(frame.main, [detection for _, detection in worth])
        if not embeddings:
            return
        stats.embeddings += len(embeddings)
        if result.models.attributes is not None:
            with StageTimer(stats, "attributes"):
                self._attributes.look(result, worth, embeddings)
        with StageTimer(stats, "match"):
            vectors: FloatArray = np.stack([embedding.vector for embedding in embeddings])
            matches = recognizer.search.subjects(vectors, recognizer.embedder.space)
            for (track, _), embedding, found in zip(worth, embeddings, matches, strict=True):
                result.observations.append(Observation(track, embedding, found))
                self._looks[track.id].add(track, found, embedding, frame.monotonic)
                if self.strangers is not None:
                    self.strangers.look(track, embedding, recognizer)

    def _worth_embedding(
        self, result: FrameResult, embedder: EmbeddingModel, tracks: Sequence[Track]
    ) -> list[tuple[Track, Detection]]:
        frame, worth = result.frame, []
        for track in tracks:
            detection = Detection(track.label, track.score, track.box, track.landmarks)
            quality = embedder.assess(frame.main, detection)
            reason = declined(quality, self._recognition, embedder.quality_floor)
            if reason:
                self._looks[track.id].decline(frame.monotonic)
                result.stats.declined[reason] = result.stats.declined.get(reason, 0) + 1
            else:
                worth.append((track, detection))
        return worth
