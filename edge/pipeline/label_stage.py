"""Custom labels of one camera: of its tracks, and of its pictures as a whole.

A track of a region is classified as a face is identified: embedded while the answer could still change, within the
budget of a frame, and by the evidence of several looks. A picture is looked at while something moves, and once after
that, ``picture_seconds`` apart; its labels are followed like things that fill the frame, so that they become events the
same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import EdgeError
from edge.core.types import WHOLE, CustomLabel, Detection, Frame, IdentityState, Match, Track
from edge.labels.classifier import part, seen
from edge.pipeline.frame_result import FrameResult, LabelResult, StageTimer
from edge.pipeline.tracking.embedding_schedule import SPACING, EmbeddingScheduler, schedule
from edge.pipeline.tracking.identity_voting import VotingRules

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.core.settings.vision import CameraSettings
    from edge.core.types import FloatArray
    from edge.labels.classifier import LabelClassifier
    from edge.labels.presence import LabelPresence
    from edge.pipeline.model_set import ModelSet

PICTURE = "picture"
MIDDLE = 0.5
"""a probability at its label's threshold counts as this similarity"""
FURTHER = 5
"""labels beside the likeliest that a vote sees"""


@dataclass(slots=True)
class _Whole:
    """A version that classifies whole pictures, and the labels that are present."""

    classifier: LabelClassifier
    dwell: LabelPresence
    looked: float = -1e9
    owed: bool = False
    """motion was detected since"""
    there: dict[str, Track] = field(default_factory=dict)


class LabelStage:
    """The custom labels of one camera. One thread at a time."""

    def __init__(self, camera: CameraSettings, settings: Settings, ids: Iterator[str]) -> None:
        self._camera, self._ids = camera, ids
        self._recognition, self._tracking = settings.recognition, settings.tracking
        self._classifiers: dict[str, LabelClassifier] = {}
        self._wholes: dict[str, _Whole] = {}
        self._looks: dict[str, dict[str, EmbeddingScheduler]] = {}
        """by version as the camera names it, by track"""
        self._ended: list[Track] = []

    @property
    def tracks(self) -> list[Track]:
        """Whole-picture labels that are present."""
        return [track for whole in self._wholes.values() for track in whole.there.values()]

    @property
    def regions(self) -> frozenset[str]:
        """Labels of detectors whose tracks are classified."""
        return frozenset(label for classifier in self._classifiers.values() for label in classifier.regions)

    def switch(self, model_set: ModelSet) -> None:
        """Use other versions or backbones from now on. Labels that they know stay present."""
        named = self._camera.custom_labels
        self._classifiers = {name: model_set.classifiers[name] for name in named if name in model_set.classifiers}
        for name in [name for name in self._wholes if name not in self._classifiers or self._classifiers[name].regions]:
            self._ended += self._wholes.pop(name).there.values()
        for name, classifier in self._classifiers.items():
            if not classifier.regions:
                self._wholes[name] = self._whole(classifier, self._wholes.get(name))
        self._looks = {name: {} for name, classifier in self._classifiers.items() if classifier.regions}

    def is_due(self, moving: bool, now: float) -> bool:
        """Whether whole-picture labels are due in the frame of ``now``, with or without motion."""
        for whole in self._wholes.values():
            whole.owed |= moving
        return any((one.owed or one.dwell.undecided) and self._due(one, now) for one in self._wholes.values())

    def look(self, result: FrameResult, tracks: Sequence[Track], budget: int) -> None:
        """Classify this frame's tracks and picture, within the budget.

        Sets ``custom_labels`` of the tracks, and adds to ``label_results`` of the frame's result.
        """
        for name, classifier in self._classifiers.items():
            try:
                if classifier.regions:
                    self._look_at_tracks(self._looks[name], classifier, result, tracks, budget)
                else:
                    self._look_at_picture(self._wholes[name], result)
            except EdgeError as error:
                result.stats.problems[part(name)] = str(error)

    def ended(self, tracks: Sequence[Track]) -> list[Track]:
        """Labels of the picture that ended since the last call. ``tracks``: those of things that ended."""
        for looks in self._looks.values():
            for track in tracks:
                looks.pop(track.id, None)
        ended, self._ended = self._ended, []
        return ended

    def cut(self) -> None:
        """A scene cut: whole-picture labels end."""
        self._ended += self.tracks
        for name, whole in self._wholes.items():
            self._wholes[name] = self._whole(whole.classifier, None)

    def _whole(self, classifier: LabelClassifier, before: _Whole | None) -> _Whole:
        from edge.labels.presence import LabelPresence

        rules = self._tracking
        dwell = LabelPresence(
            classifier.head.labels, classifier.head.thresholds, self._recognition.votes, rules.confirm_seconds,
            rules.lost_seconds,
        )  # fmt: skip
        if before is None:
            return _Whole(classifier, dwell)
        self._ended += [track for label, track in before.there.items() if label not in classifier.head.labels]
        there = {label: track for label, track in before.there.items() if label in classifier.head.labels}
        dwell.go_on({label: track.score for label, track in there.items()}, before.looked)
        return _Whole(classifier, dwell, there=there)

    def _due(self, whole: _Whole, now: float) -> bool:
        pause = SPACING if whole.dwell.undecided else self._recognition.picture_seconds
        return now - whole.looked >= pause

    def _look_at_picture(self, whole: _Whole, result: FrameResult) -> None:
        frame, stats = result.frame, result.stats
        if not self._due(whole, frame.monotonic):
            return
        whole.looked, whole.owed = frame.monotonic, False
        classifier = whole.classifier
        with StageTimer(stats, "embed"):
            (embedding,) = classifier.embedder.embed(frame.main, [Detection(PICTURE, 1.0, WHOLE)])
        stats.embeddings += 1
        with StageTimer(stats, "tell"):
            answers = classifier.head.answers(embedding.vector[np.newaxis])[0]
            result.label_results.append(LabelResult(classifier, None, embedding, embedding.vector, answers))
            there = whole.dwell.look(answers, frame.monotonic)
            self._ended += [whole.there.pop(label) for label in list(whole.there) if label not in there]
            for label, score in there.items():
                self._seen(whole, CustomLabel(label, score, classifier.version), frame)

    def _seen(self, whole: _Whole, label: CustomLabel, frame: Frame) -> None:
        track = whole.there.get(label.name)
        if track is None:
            track = whole.there[label.name] = Track(
                id=next(self._ids), camera=self._camera.name, label=label.name, box=WHOLE, score=label.score,
                started=frame.monotonic, seen=frame.monotonic, started_time=frame.time, seen_time=frame.time,
                confirmed=True, whole=True,
            )  # fmt: skip
        track.score, track.top_score = label.score, max(label.score, track.top_score)
        track.seen, track.seen_time, track.custom_labels = frame.monotonic, frame.time, (label,)

    def _look_at_tracks(
        self,
        looks: dict[str, EmbeddingScheduler],
        classifier: LabelClassifier,
        result: FrameResult,
        tracks: Sequence[Track],
        budget: int,
    ) -> None:
        frame, stats = result.frame, result.stats
        mine = [track for track in tracks if track.label in classifier.regions]
        for track in mine:
            if track.id not in looks:
                looks[track.id] = EmbeddingScheduler(self._rules(), self._recognition, classifier.version)
        chosen = schedule(mine, looks, frame.monotonic, budget)
        worth: list[tuple[Track, Detection]] = []
        with StageTimer(stats, "embed"):
            for track in chosen:
                detection = Detection(track.label, track.score, track.box)
                if classifier.embedder.assess(frame.main, detection).reason:
                    looks[track.id].decline(frame.monotonic)
                else:
                    worth.append((track, detection))
            embeddings = classifier.embedder.embed(frame.main, [detection for _, detection in worth])
        if not embeddings:
            return
        stats.embeddings += len(embeddings)
        with StageTimer(stats, "tell"):
            called = [track.label for track, _ in worth]
            vectors = seen(np.stack([one.vector for one in embeddings]), called, classifier.regions)
            answers = classifier.head.answers(vectors)
            for (track, _), embedding, vector, row in zip(worth, embeddings, vectors, answers, strict=True):
                result.label_results.append(LabelResult(classifier, track, embedding, vector, row))
                looks[track.id].count(track, votes_of(classifier, row), embedding.quality.score, frame.monotonic)
                track.custom_labels = self._labels_of(track)

    def _labels_of(self, track: Track) -> tuple[CustomLabel, ...]:
        """The custom labels of a track, by the votes of all versions."""
        found = []
        for name, looks in self._looks.items():
            identity = looks[track.id].votes.identity if track.id in looks else None
            if identity is not None and identity.state is IdentityState.KNOWN and identity.subject is not None:
                classifier = self._classifiers[name]
                threshold = float(classifier.head.thresholds[classifier.head.labels.index(identity.subject)])
                score = min(1.0, max(0.0, threshold + 2 * ((identity.similarity or 0.0) - MIDDLE)))
                found.append(CustomLabel(identity.subject, score, classifier.version))
        return tuple(found)

    def _rules(self) -> VotingRules:
        return VotingRules(_evidence, votes=self._recognition.votes)


def _evidence(match: Match) -> float:
    """Zero at the label's threshold."""
    return match.similarity - MIDDLE


def votes_of(classifier: LabelClassifier, answers: FloatArray) -> list[Match]:
    """A look's probabilities as matches, the likeliest first, on one scale: each label's threshold lies at MIDDLE."""
    order = np.argsort(-answers)[: 1 + FURTHER].tolist()
    found: list[Match] = []
    for i in order:
        similarity = MIDDLE + (float(answers[i]) - float(classifier.head.thresholds[i])) / 2
        if found:
            similarity = min(similarity, found[0].similarity - 1e-6)
        found.append(Match("", classifier.head.labels[i], similarity))
    return found
