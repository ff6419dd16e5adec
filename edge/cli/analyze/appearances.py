"""Appearances of subjects and labels in stored sources, each with its best picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.cli.analyze.analysis import Step
from edge.core.imaging.drawing import square_jpeg
from edge.core.types import Event, Frame, Identity, IdentityState, Track
from edge.pipeline.tracking.embedding_schedule import view

SIDE = 160
"""width and height of a thumbnail (pixels)"""
AROUND = 0.35
"""margin on each side, as a share of the box"""
BETTER = 1.15
"""factor of quality from which a new crop replaces the stored one; limits the number of crops"""


@dataclass(frozen=True, slots=True)
class VideoAppearance:
    """A finished track."""

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
        """The subject where known, else the custom labels, else the label."""
        known = self.identity.state is IdentityState.KNOWN and self.identity.subject
        return known or self.label


class Appearances:
    """Collects finished tracks from the steps of an analysis, with one thumbnail per track."""

    def __init__(self) -> None:
        self.ended: list[VideoAppearance] = []
        """in order of their end"""
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
        """Name -> appearances: known subjects by name, then labels; each by source and time."""
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
