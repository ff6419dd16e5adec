"""Event policy: which changes of tracks become events.

``new`` at the moment a track is confirmed (an identity that is decided later is an update: latency matters), is of
the label's size and score, and has entered a required zone where one is set. ``update`` when its identity, its zones
or its custom labels change, and every ``update_seconds`` else. ``end`` exactly once for each ``new``, with the final
identity.

A face held by a person's track has no events of its own, its name is the person's; if it was reported before that, it
goes on until its end.

A track of a label that is not in the settings is reported where custom labels describe it. A custom label of a whole
picture is in no zone, and waits for none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge.core.settings.vision import CameraSettings, LabelSettings, TrackingSettings
from edge.core.types import Box, CustomLabel, Event, EventType, Frame, Identity, IdentityState, Track

UPDATE_SPACING = 1.0
"""minimum seconds between two updates of a track; changes of the name are not delayed"""

REMEMBERED = 256
"""ended tracks that are remembered, so that no event follows an end"""

Clock = Literal["synced", "unsynced"]


@dataclass(frozen=True, slots=True)
class PresentTrack:
    """A reported track that is present."""

    track: str
    label: str
    box: Box
    identity: Identity
    zones: tuple[str, ...]
    started: float
    """seconds since the epoch"""
    custom_labels: tuple[CustomLabel, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True)
class CameraPresence:
    """Subjects and objects that a camera sees now: the document of ``up/state/<camera>``."""

    camera: str
    time: float
    """seconds since the epoch"""
    tracks: tuple[PresentTrack, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Known subjects that are present, in alphabetical order."""
        known = {one.identity.subject for one in self.tracks if one.identity.state is IdentityState.KNOWN}
        return tuple(sorted(subject for subject in known if subject is not None))

    @property
    def counts(self) -> dict[str, int]:
        """Tracks by label, custom or not, labels in alphabetical order."""
        labels = sorted(name for one in self.tracks for name in {one.label, *(own.name for own in one.custom_labels)})
        return {label: labels.count(label) for label in dict.fromkeys(labels)}

    def says_the_same(self, other: CameraPresence) -> bool:
        """Whether no track came, left, changed its identity or its zones. Boxes and time do not count."""
        return [_story(one) for one in self.tracks] == [_story(one) for one in other.tracks]


@dataclass(slots=True)
class _Reported:
    track: Track
    identity: Identity
    zones: frozenset[str]
    told: frozenset[str]
    """names of its custom labels and attributes"""
    at: float
    """monotonic seconds of its latest event"""


class EventPolicy:
    """Turns the tracks of one camera, frame by frame, into events."""

    def __init__(
        self,
        camera: CameraSettings,
        labels: Mapping[str, LabelSettings],
        tracking: TrackingSettings,
        doubtful_names: bool = False,
    ) -> None:
        self._camera = camera
        self._labels = labels
        self._tracking = tracking
        self._doubtful_names = doubtful_names
        self._reported: dict[str, _Reported] = {}
        self._entered: set[str] = set()
        self._over: dict[str, None] = {}

    def events(
        self, tracks: Sequence[Track], ended: Sequence[Track], frame: Frame, clock: Clock = "synced", release: str = ""
    ) -> list[Event]:
        """The events of a frame, in the order in which they are to be sent: ends first."""
        moment = _Moment(frame.monotonic, frame.time, clock, release, frame.video_time)
        events = self._ends(ended, moment, "left")
        live = {track.id: track for track in tracks}
        for track in tracks:
            kind = self._kind(track, live, frame.monotonic)
            if kind:
                identity = self._published(track.identity)
                self._reported[track.id] = _Reported(track, identity, track.zones, _told(track), frame.monotonic)
                events.append(_event(kind, track, identity, moment))
        return events

    def finish(
        self, ended: Sequence[Track], now: float, time: float, reason: str = "stopped",
        clock: Clock = "synced", release: str = "", video_time: float | None = None,
    ) -> list[Event]:  # fmt: skip
        """The last events: an end for everything that is reported still, whether ``ended`` names it or not."""
        rest = [one.track for one in self._reported.values()]
        return self._ends([*ended, *rest], _Moment(now, time, clock, release, video_time), reason)

    def presence(self, time: float) -> CameraPresence:
        """Reported tracks that are present now; the longest present first."""
        tracks = sorted((one.track for one in self._reported.values()), key=lambda track: track.started)
        return CameraPresence(
            self._camera.name, time, tuple(_present(track, self._published(track.identity)) for track in tracks)
        )

    def erase(self, subject: str) -> None:
        """Remove an erased subject from what was reported."""
        for one in self._reported.values():
            if one.identity.subject == subject:
                one.identity = Identity(one.identity.state, collection=one.identity.collection)

    def _published(self, identity: Identity) -> Identity:
        """The identity as events carry it: a subject only when known, unless the settings want names in doubt too."""
        if self._doubtful_names or identity.state is IdentityState.KNOWN or identity.subject is None:
            return identity
        return replace(identity, subject=None, face_id=None)

    def _kind(self, track: Track, live: Mapping[str, Track], now: float) -> EventType | None:
        reported = self._reported.get(track.id)
        if reported is not None:
            return "update" if self._is_due(track, reported, now) else None
        return "new" if self._is_new(track, live) else None

    def _is_new(self, track: Track, live: Mapping[str, Track]) -> bool:
        label = self._labels.get(track.label)
        if not track.zones.isdisjoint(self._camera.required_zones):
            self._entered.add(track.id)
        if not track.confirmed or track.id in self._over or (label is None and not track.custom_labels):
            return False
        if self._camera.required_zones and track.id not in self._entered and not track.whole:
            return False
        if label is None or track.whole:
            return True
        if not label.min_size <= track.box.height <= label.max_size or track.top_score < (label.score or 0.0):
            return False
        return track.holder is None or track.holder not in live or live[track.holder].label not in self._labels

    def _is_due(self, track: Track, reported: _Reported, now: float) -> bool:
        waited = now - reported.at
        before, identity = reported.identity, self._published(track.identity)
        if _who(before) != _who(identity):
            urgent = IdentityState.KNOWN in (before.state, identity.state)
            return urgent or waited >= UPDATE_SPACING
        if reported.told != _told(track):
            return True
        if reported.zones != track.zones:
            return waited >= UPDATE_SPACING
        return waited >= self._tracking.update_seconds

    def _ends(self, tracks: Sequence[Track], moment: _Moment, reason: str) -> list[Event]:
        events = []
        for track in tracks:
            self._entered.discard(track.id)
            self._over[track.id] = None
            if len(self._over) > REMEMBERED:
                del self._over[next(iter(self._over))]
            if self._reported.pop(track.id, None) is not None:
                events.append(_event("end", track, self._published(track.identity), moment, track.seen_time, reason))
        return events


@dataclass(frozen=True, slots=True)
class _Moment:
    now: float
    time: float
    clock: Clock
    release: str
    video_time: float | None


def _event(
    kind: EventType, track: Track, identity: Identity, moment: _Moment, ended: float | None = None, reason: str = ""
) -> Event:
    return Event(
        type=kind, camera=track.camera, track=track.id, label=track.label, score=track.score, box=track.box,
        identity=identity, zones=tuple(sorted(track.zones)), time=moment.time, started=track.started_time,
        ended=ended, clock=moment.clock, release=moment.release, reason=reason, video_time=moment.video_time,
        custom_labels=track.custom_labels, whole=track.whole, attributes=track.attributes, text=track.text,
    )  # fmt: skip


def _told(track: Track) -> frozenset[str]:
    """Names of custom labels and of attributes, whose values may change with every better look, and the text."""
    names = [one.name for one in track.custom_labels] + [one.name for one in track.attributes]
    return frozenset([*names, f"text {track.text}"] if track.text else names)


def _present(track: Track, identity: Identity) -> PresentTrack:
    return PresentTrack(
        track.id, track.label, track.box, identity, tuple(sorted(track.zones)), track.started_time,
        track.custom_labels, track.whole,
    )  # fmt: skip


def _story(one: PresentTrack) -> tuple[object, ...]:
    return one.track, *_who(one.identity), one.zones, [own.name for own in one.custom_labels]


def _who(identity: Identity) -> tuple[str, str | None, str | None]:
    return identity.state, identity.subject, identity.pseudonym
