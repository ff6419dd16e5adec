"""Who and what was there, from when to when, each with its best picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.cli.analyze.analysis import Step
from edge.core.imaging.drawing import square_jpeg
from edge.core.types import Event, Frame, Identity, IdentityState, Track
from edge.pipeline.tracking.embedding_schedule import view

SIDE = 160
"""pixels of a picture of somebody"""
AROUND = 0.35
"""of the box, that is shown on each side of it"""
BETTER = 1.15
"""how much better a view must be to take the place of the one that is kept: a crop costs time"""


@dataclass(frozen=True, slots=True)
class VideoAppearance:
    """A track, from its first frame to its last."""

    source: Path
    track: str
    label: str
    identity: Identity
    started: float
    """seconds of the video"""
    ended: float
    jpeg: bytes

    @property
    def who(self) -> str:
        """The subject where it is known, else what custom labels say, else the label."""
        known = self.identity.state is IdentityState.KNOWN and self.identity.subject
        return known or self.label


class Appearances:
    """Fed with every step, in order; holds a small picture a track."""

    def __init__(self) -> None:
        self.ended: list[VideoAppearance] = []
        """in the order in which they ended"""
        self._views: dict[str, tuple[float, bytes]] = {}
        self._source: Path | None = None
        self._began = 0.0

    def look(self, step: Step) -> None:
        if step.source != self._source:
            self._source, self._began = step.source, step.frame.time - (step.frame.video_time or 0.0)
            self._views.clear()
        for track in step.tracks:
            self._see(step.frame, track)
        self.ended += [self._appearance(step.source, event) for event in step.events if event.type == "end"]

    def by_name(self) -> dict[str, list[VideoAppearance]]:
        """Known subjects first, in the order of their names, then labels; each by source and time."""
        ordered = sorted(self.ended, key=lambda one: (_unnamed(one), one.who, str(one.source), one.started))
        found: dict[str, list[VideoAppearance]] = {}
        for one in ordered:
            found.setdefault(one.who, []).append(one)
        return found

    def _see(self, frame: Frame, track: Track) -> None:
        quality = view(track)
        if quality > BETTER * self._views.get(track.id, (0.0, b""))[0]:
            self._views[track.id] = quality, square_jpeg(frame.main, track.box, SIDE, AROUND)

    def _appearance(self, source: Path, event: Event) -> VideoAppearance:
        started = max(0.0, event.started - self._began)
        ended = max(started, (event.ended or event.time) - self._began)
        _, jpeg = self._views.pop(event.track, (0.0, b""))
        return VideoAppearance(source, event.track, _shown(event), event.identity, started, ended, jpeg)


def _unnamed(one: VideoAppearance) -> bool:
    return one.identity.state is not IdentityState.KNOWN


def _shown(event: Event) -> str:
    return ", ".join(one.name for one in event.custom_labels) or event.label
