"""Detections of one camera, frame by frame, become tracks.

All times are monotonic seconds: a track is confirmed and lost after seconds, not frames, and at least two looks,
so the same settings serve 1 and 30 frames a second and a rate that changes in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge.core.settings.vision import TrackingSettings
from edge.core.types import Box, Detection, Track
from edge.pipeline.tracking.association import MotionModel, associate, duplicates, touches
from edge.pipeline.tracking.label_groups import by_family
from edge.pipeline.tracking.stillness import Stillness, View

INSIDE = 0.8
"""share of a box inside a settled one of its family from which it is a part of it"""
SAME_PLACE = 0.2
"""intersection over union from which a detection is of a track that is followed"""


def unfollowed(
    detections: Sequence[Detection], tracks: Sequence[Track], lowest: Mapping[str, float], starts: Mapping[str, float]
) -> list[Detection]:
    """Those of the labels of ``lowest`` that score from it on and below ``starts``, and are of no track. Best first."""
    found = [one for one in detections if lowest.get(one.label, 2.0) <= one.score < starts.get(one.label, 0.0)]
    alone = [one for one in found if all(one.box.iou(track.box) < SAME_PLACE for track in tracks)]
    return sorted(alone, key=lambda one: -one.score)


CONTINUES = 0.6
"""A track lives on with this share of the score that starts one: a thing half hidden scores low, but is still there."""
PATH_POINTS = 64
CONFIRMING_HITS = 2
LOST_MISSES = 2
"""looks without a detection, at least, before a confirmed track is lost"""
UNCONFIRMED_SHARE = 0.25
"""An unconfirmed track is given up after this share of ``lost_seconds``, or three looks where they are rarer."""
HIDDEN_MISSES, HIDDEN_SECONDS = 2, 0.3
"""A track that was missed for this long may come back as somebody else."""
STALL_INTERVALS = 4
"""A pause of more intervals than this (and than ``lost_seconds``) ends every track: who knows what happened in it."""


def scores_to_detect(scores: Mapping[str, float]) -> dict[str, float]:
    """What to ask of the detector by label so that the tracker can continue tracks, not only start them."""
    return {label: score * CONTINUES for label, score in scores.items()}


@dataclass(frozen=True, slots=True)
class TrackerUpdate:
    """What one frame did to the tracks."""

    tracks: list[Track]
    """all that live; seen in this very frame where ``track.seen`` is its moment"""
    ended: list[Track]


@dataclass(slots=True)
class _Followed:
    track: Track
    motion: MotionModel
    family: str
    stillness: Stillness
    labels: dict[str, float]
    """sum of the scores by label; the greatest one names the track when it is confirmed"""
    misses: int = 0


class Tracker:
    """The tracks of one camera.

    ``ids`` gives the id of each new track. ``scores`` holds, by label, the score that starts a track; what scores
    less only continues one. Labels absent from it start with any score.
    """

    def __init__(
        self, camera: str, settings: TrackingSettings, ids: Iterator[str], scores: Mapping[str, float] | None = None
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._ids = ids
        self._scores = dict(scores or {})
        self._followed: list[_Followed] = []
        self._intervals: deque[float] = deque(maxlen=9)
        self._latest: float | None = None
        self._still = 0.0
        self._view: View | None = None

    @property
    def tracks(self) -> list[Track]:
        return [one.track for one in self._followed]

    @property
    def interval(self) -> float:
        """Seconds between two detections, as observed lately; 0 before the second."""
        ordered = sorted(self._intervals)
        return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2 if ordered else 0.0

    def update(
        self, detections: Sequence[Detection], now: float, time: float, view: View | None = None
    ) -> TrackerUpdate:
        """Take in what was detected in the frame of ``now`` (monotonic seconds; ``time`` is the wall's).

        ``view`` shows how places of the frame look, so that what stands still is not lost when it is not detected.
        """
        self._view = view
        now = self._pass_time(now)
        if not detections and not self._followed:
            return TrackerUpdate([], [])
        ended = self._end_after_pause(now)
        found = by_family(detections)
        for name in {one.family: None for one in self._followed} | dict.fromkeys(found):
            self._follow(name, found.get(name, []), now, time)
        ended += self._end_lost(now)
        return TrackerUpdate(self.tracks, ended)

    def still(self, now: float) -> TrackerUpdate:
        """A frame in which nothing moved and no detector looked: what was there is there, and does not age."""
        before = self._latest
        if before is not None and now > before:
            self._still += now - before
            self._latest = now
        return TrackerUpdate(self.tracks, [])

    def cut(self) -> list[Track]:
        """The picture is of another place or time from here on: end all tracks; returns them."""
        ended, self._followed = self.tracks, []
        return ended

    def finish(self) -> list[Track]:
        """There are no more frames: end all tracks; returns them."""
        return self.cut()

    def _pass_time(self, now: float) -> float:
        if self._latest is not None:
            now = max(now, self._latest)
            self._intervals.append(now - self._latest)
        self._latest = now
        return now

    def _age(self, now: float) -> float:
        """The moment on the clock that stands while nothing moves."""
        return now - self._still

    def _follow(self, name: str, detections: list[Detection], now: float, time: float) -> None:
        """Continue and start the tracks of one family of labels."""
        strong: list[Detection] = []
        weak: list[Detection] = []
        for detection in detections:
            start = self._scores.get(detection.label, 0.0)
            if detection.score >= start * CONTINUES:
                (strong if detection.score >= start else weak).append(detection)
        mine = [one for one in self._followed if one.family == name]
        left, strong = self._continue(mine, strong, now, time, tight=False)
        if weak:
            hidden = [one for one in left if one.track.hits >= CONFIRMING_HITS]
            self._continue(hidden, weak, now, time, tight=True)
        for one in mine:
            self._count_miss(one, now)
        _mingle([one.track for one in mine if one.track.confirmed], now)
        if strong:
            self._start(name, strong, now, time)

    def _count_miss(self, one: _Followed, now: float) -> None:
        """Whether a track was missed; one whose place looks as it did rests, and does not age."""
        age = self._age(now)
        seen = one.track.seen == now
        one.track.resting = not seen and one.track.confirmed and one.stillness.rests(age, self._view)
        if one.track.resting:
            one.track.box = one.stillness.place
            one.motion.rest(one.track.box, age)
        one.misses = 0 if seen or one.track.resting else one.misses + 1

    def _continue(
        self, followed: list[_Followed], detections: list[Detection], now: float, time: float, tight: bool
    ) -> tuple[list[_Followed], list[Detection]]:
        """Give detections to the tracks they continue; returns what is left of both."""
        age = self._age(now)
        pairs = associate([one.motion for one in followed], [d.box for d in detections], age, tight)
        for i, j in pairs.items():
            if followed[i].misses >= HIDDEN_MISSES and age - followed[i].motion.at >= HIDDEN_SECONDS:
                followed[i].track.mingled = now
            followed[i].motion.seen(detections[j].box, age)
            followed[i].stillness.seen(detections[j].box, age, self._view)
            self._seen(followed[i], detections[j], now, time)
        taken = set(pairs.values())
        return (
            [one for i, one in enumerate(followed) if i not in pairs],
            [detection for j, detection in enumerate(detections) if j not in taken],
        )

    def _seen(self, one: _Followed, detection: Detection, now: float, time: float) -> None:
        track = one.track
        track.box, track.score, track.landmarks = detection.box, detection.score, detection.landmarks
        track.seen, track.seen_time = now, time
        track.hits += 1
        track.top_score = max(track.top_score, detection.score)
        track.path.append(detection.box.bottom_center)
        del track.path[:-PATH_POINTS]
        if track.confirmed:
            return
        one.labels[detection.label] = one.labels.get(detection.label, 0.0) + detection.score
        track.label = max(one.labels, key=one.labels.__getitem__)
        track.confirmed = track.hits >= CONFIRMING_HITS and now - track.started >= self._settings.confirm_seconds

    def _start(self, name: str, detections: list[Detection], now: float, time: float) -> None:
        here = [one.track.box for one in self._followed if one.family == name and one.track.seen == now]
        settled = self._settled_places(name, now)
        for detection in detections:
            box = detection.box
            if any(duplicates(box, other) for other in (*here, *settled)) or any(map(box_inside(box), settled)):
                continue
            here.append(box)
            track = Track(
                id=next(self._ids), camera=self._camera, label=detection.label, box=box, score=detection.score,
                started=now, seen=now, started_time=time, seen_time=time, top_score=detection.score,
                landmarks=detection.landmarks, path=[box.bottom_center],
            )  # fmt: skip
            motion = MotionModel.starting(box, self._age(now))
            stillness = Stillness(box, self._age(now))
            self._followed.append(_Followed(track, motion, name, stillness, {detection.label: detection.score}))

    def _settled_places(self, name: str, now: float) -> list[Box]:
        """Boxes of what has stood still for long: a part of it is nothing new, whatever passes in front of it."""
        age = self._age(now)
        return [
            one.track.box
            for one in self._followed
            if one.family == name and one.track.confirmed and one.stillness.settled(age)
        ]

    def _end_after_pause(self, now: float) -> list[Track]:
        if len(self._intervals) < 2:
            return []
        age = self._age(now)
        if all(age - one.motion.at <= self._settings.lost_seconds for one in self._followed):
            return []
        longest = max(self._settings.lost_seconds, STALL_INTERVALS * self.interval)
        return self._end([one for one in self._followed if age - one.motion.at > longest])

    def _end_lost(self, now: float) -> list[Track]:
        return self._end([one for one in self._followed if self._lost(one, self._age(now) - one.motion.at)])

    def _lost(self, one: _Followed, unseen: float) -> bool:
        if one.misses == 0:
            return False
        if one.track.confirmed:
            patience = self._settings.lost_seconds + one.stillness.patience(one.motion.at)
            return unseen >= patience and one.misses >= LOST_MISSES
        patience = max(UNCONFIRMED_SHARE * self._settings.lost_seconds, 2.5 * self.interval)
        return unseen >= patience

    def _end(self, gone: list[_Followed]) -> list[Track]:
        if gone:
            lost = {one.track.id for one in gone}
            self._followed = [one for one in self._followed if one.track.id not in lost]
        return [one.track for one in gone]


def box_inside(box: Box) -> Callable[[Box], bool]:
    """Whether a box lies mostly inside another."""
    return lambda other: box.held_by(other) >= INSIDE


def _mingle(tracks: list[Track], now: float) -> None:
    """Mark the tracks that touch another one."""
    for i, track in enumerate(tracks):
        for other in tracks[i + 1 :]:
            if touches(track.box, other.box):
                track.mingled = other.mingled = now
