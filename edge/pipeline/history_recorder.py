"""Records the history: follows events and embeddings on the inference thread, writes on the main thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import StoreError
from edge.core.imaging.drawing import square_jpeg
from edge.core.settings.services import HistorySettings
from edge.core.system import hardware
from edge.core.types import Event
from edge.pipeline.frame_result import FrameResult, Observation
from edge.pipeline.history import Appearance, HistoryStore, Look

if TYPE_CHECKING:
    from edge.pipeline.model_set import FaceRecognizer

log = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0
"""between two writes"""
EXPIRE_SECONDS = 600.0
ROOM_SECONDS = 10.0
"""between two checks of the free space of the disk"""
CLOCK_SECONDS = 5.0
"""between two checks whether the clock is synchronized"""
MAX_TRACKS = 256
"""appearances in memory while their tracks last; the oldest are dropped"""
MAX_LOOKS = 40
"""per appearance"""
PICTURE_SIDE, PICTURE_MARGIN = 160, 0.25
"""of a kept picture: pixels, and the share of the box that is shown on each side of it"""
BETTER = 1.1
"""how much better a look must be to replace the picture"""


class HistoryRecorder:
    """``on_frame``, ``on_events`` and ``erase`` on the inference thread, ``tick`` and ``close`` on the main thread."""

    def __init__(self, store: HistoryStore, settings: HistorySettings) -> None:
        self._store, self._settings = store, settings
        self._lock = threading.Lock()
        self._open: dict[str, Appearance] = {}
        self._changed: dict[str, Appearance] = {}
        self._looked: dict[str, int] = {}
        """track -> looks so far"""
        self._quality: dict[str, float] = {}
        """track -> quality of the look that the picture shows"""
        self._boot = _boot_id()
        self._unsynced = True
        """whether appearances of this boot may need another time"""
        self._due = {"flush": 0.0, "expire": 0.0, "room": 0.0, "clock": 0.0}
        self._failing = False

    def on_frame(self, result: FrameResult) -> None:
        """Keep the match results of each embedding, and the best picture of each track."""
        for one in result.observations:
            recognizer = result.models.recognizers.get(one.track.label)
            with self._lock:
                appearance = self._of_track(one.track.id, one, result)
                if self._looked.get(one.track.id, 0) < MAX_LOOKS and recognizer is not None:
                    self._looked[one.track.id] = self._looked.get(one.track.id, 0) + 1
                    appearance.looks.append(_look(one, recognizer, result.frame.time - appearance.started))
            if self._settings.pictures:
                self._keep_picture(appearance, one, result)

    def on_events(self, events: Sequence[Event]) -> None:
        """Update the appearance of an event's track."""
        with self._lock:
            for event in events:
                self._take(event)

    def erase(self, subject: str) -> None:
        """Remove an erased subject: its appearances, and its name in the looks of others."""
        with self._lock:
            for held in (self._open, self._changed):
                for track, one in list(held.items()):
                    if one.subject == subject:
                        held[track] = replace(one, subject=None, likeness=None, state="unknown", picture=b"", looks=[])
                    else:
                        one.looks = [
                            replace(look, subject=None) if look.subject == subject else look for look in one.looks
                        ]

    def tick(self, now: float) -> None:
        """Write what is due. ``now``: monotonic seconds."""
        if self._is_due("flush", now, FLUSH_SECONDS):
            self.flush()
        if self._unsynced and self._is_due("clock", now, CLOCK_SECONDS) and hardware.clock() == "synced":
            self._guarded(lambda: self._store.correct_clock(self._boot, time.time() - time.monotonic()))
            self._unsynced = False
        if self._is_due("expire", now, EXPIRE_SECONDS):
            self._guarded(self._store.expire)
        elif self._is_due("room", now, ROOM_SECONDS):
            self._guarded(self._store.make_room)

    def flush(self) -> None:
        """Write changes. A failing disk loses history, never events."""
        with self._lock:
            changed = [replace(one, looks=list(one.looks)) for one in self._changed.values()]
            for one in self._changed.values():
                one.looks, one.picture = [], b""
            self._changed = {}
        if changed:
            self._guarded(lambda: self._store.put(changed))

    def close(self) -> None:
        self.flush()
        self._store.close()

    def _of_track(self, track: str, one: Observation, result: FrameResult) -> Appearance:
        """The appearance of a track; not written before its first event."""
        if track not in self._open:
            synced = hardware.clock() == "synced"
            started = one.track.started_time
            self._open[track] = Appearance(
                track, result.frame.camera, one.track.label, started, boot=self._boot,
                monotonic=one.track.started, synced=synced,
            )  # fmt: skip
            while len(self._open) > MAX_TRACKS:
                gone = next(iter(self._open))
                self._let_go(gone)
        return self._open[track]

    def _take(self, event: Event) -> None:
        synced = event.clock == "synced"
        self._unsynced = self._unsynced or not synced
        one = self._open.get(event.track)
        if one is None:
            monotonic = time.monotonic() - (time.time() - event.started)
            one = Appearance(
                event.track, event.camera, event.label, event.started, boot=self._boot, monotonic=monotonic
            )
            self._open[event.track] = one
        identity = event.identity
        one.started, one.ended, one.synced, one.state = event.started, event.ended, synced, identity.state
        one.subject, one.likeness = identity.subject or identity.pseudonym, identity.likeness
        one.zones = tuple(dict.fromkeys((*one.zones, *event.zones)))
        one.custom_labels = tuple(label.name for label in event.custom_labels)
        one.reason = event.reason
        self._changed[event.track] = one
        if event.type == "end":
            self._let_go(event.track)

    def _let_go(self, track: str) -> None:
        for held in (self._open, self._looked, self._quality):
            held.pop(track, None)

    def _keep_picture(self, appearance: Appearance, one: Observation, result: FrameResult) -> None:
        quality = one.embedding.quality.score
        if quality <= BETTER * self._quality.get(one.track.id, 0.0):
            return
        picture = square_jpeg(result.frame.main, one.track.box, PICTURE_SIDE, PICTURE_MARGIN)
        with self._lock:
            self._quality[one.track.id] = quality
            appearance.picture = picture
            if appearance.track in self._changed or appearance.ended is not None:
                self._changed[appearance.track] = appearance

    def _is_due(self, what: str, now: float, period: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + period
        return True

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except StoreError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "history is lost: %s", error)
            self._failing = True
        else:
            self._failing = False


def _look(one: Observation, recognizer: FaceRecognizer, offset: float) -> Look:
    best = one.matches[0] if one.matches else None
    second = one.matches[1] if len(one.matches) > 1 else None
    return Look(
        round(max(0.0, offset), 2),
        best.name if best else None,
        round(best.likeness, 1) if best else None,
        round(second.likeness, 1) if second else None,
        round(recognizer.search.needed, 1),
        round(one.embedding.quality.score, 3),
    )


def _boot_id() -> str:
    """Changes with each boot of the machine, as monotonic time does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"process-{time.time() - time.monotonic():.0f}"
