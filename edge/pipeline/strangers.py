"""Re-identification of unknown faces: a track that ends unknown is stored, and recognized later under a pseudonym.

The inference thread looks and never waits for a disk; the main thread writes. A face that the collection names, or
might name, is never a stranger; and no track gets the pseudonym of another one in view of the same camera. Only looks
of good quality count: those that could vote for a name.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import StoreError
from edge.core.types import IdentityState
from edge.inference.calibration import likeness_at
from edge.recognition.review.stranger_store import RESERVED, Stranger, StrangerStore
from edge.recognition.store.centroid import robust_centroid

if TYPE_CHECKING:
    from edge.core.settings.services import StrangerSettings
    from edge.core.types import Embedding, FloatArray, Space, Track
    from edge.pipeline.model_set import FaceRecognizer

log = logging.getLogger(__name__)

LOOKS = 6
"""of one stranger; the most alike of more become one"""
LEAD = 0.15
"""cosine by which a stranger must be nearer than any subject of the collection"""
FALSE_PSEUDONYMS = 0.01
"""share of new visitors that may get the pseudonym of another one"""
CANDIDATES = 3
"""stored strangers, the nearest by cosine, whose likeness is computed"""
GATHERED = 12
"""looks at one track that count"""
SHOWN_SECONDS = 600.0
"""between two changes of the strangers that searches see: after each, statistics of enrolled faces are made anew"""
MOST_TRACKS = 256


@dataclass(slots=True)
class _Gathered:
    """State of one track."""

    camera: str
    collection: str
    space: Space
    vectors: list[FloatArray] = field(default_factory=list)
    quality: float = 0.0
    stranger: Stranger | None = None


class StrangerRecognizer:
    """``look`` and ``left`` on the inference thread, ``flush`` and ``close`` on the main thread."""

    def __init__(self, shelf: StrangerStore, settings: StrangerSettings) -> None:
        self._shelf, self._settings = shelf, settings
        self._lock = threading.Lock()
        self._tracks: dict[str, _Gathered] = {}
        self._below = shelf.reserve(0)
        self._next = self._below - RESERVED
        self._known = shelf.all()
        self._version = shelf.version()
        self._dirty: dict[int, Stranger] = {}
        """by identity of the object"""
        self._failing = False
        self._shown, self._shown_at = 1, time.monotonic()
        """version of what searches see, and when it last changed"""

    def version(self) -> int:
        """Of ``vectors``: moves when strangers have come, every SHOWN_SECONDS at most."""
        return self._shown

    def vectors(self, collection: str, space: str) -> FloatArray:
        """(n, dimensions) one look at each stranger, oldest first; (0, 0) where there is none."""
        with self._lock:
            known = [one for one in self._known if one.collection == collection and one.space.fingerprint == space]
            looks = [one.looks[-1] for one in known]
        return np.stack(looks) if looks else np.empty((0, 0), np.float32)

    def look(self, track: Track, embedding: Embedding, recognizer: FaceRecognizer) -> None:
        """Count a look at a track, after its vote; an unknown one that was here before gets its pseudonym."""
        if track.identity.state not in (IdentityState.UNKNOWN, IdentityState.PENDING):
            self._tracks.pop(track.id, None)
        elif embedding.quality.score >= max(self._settings.quality, recognizer.rules.good_quality):
            self._count(track, embedding, recognizer)
        self._again(track)

    def left(self, track: Track) -> None:
        """Store a track that ended unknown."""
        held = self._tracks.pop(track.id, None)
        if held is None or track.identity.state is not IdentityState.UNKNOWN:
            return
        look = robust_centroid(np.stack(held.vectors))
        with self._lock:
            one = held.stranger
            if one is None:
                one = Stranger(
                    0, None, held.collection, track.label, held.space, track.started_time, track.seen_time, 0,
                    held.quality, look[np.newaxis],
                )  # fmt: skip
                self._known.append(one)
                del self._known[: max(0, len(self._known) - 2 * self._settings.most)]
            else:
                one.looks = _thinned(np.concatenate([one.looks, look[np.newaxis]]))
            one.last, one.times = track.seen_time, one.times + 1
            one.seen = track.seen
            one.quality = max(one.quality, held.quality)
            self._dirty[id(one)] = one

    def flush(self) -> None:
        """Write what changed, and take over what another process did. A disk that refuses costs no event."""
        with self._lock:
            changed, self._dirty = self._dirty, {}
            following, short = self._next, self._below - self._next < RESERVED // 2
        if changed and time.monotonic() - self._shown_at >= SHOWN_SECONDS:
            self._shown, self._shown_at = self._shown + 1, time.monotonic()
        try:
            if changed:
                self._shelf.put(list(changed.values()), self._settings)
            below = self._shelf.reserve(following) if short else 0
            stored = self._shelf.all() if changed or self._shelf.version() != self._version else None
            self._version = self._shelf.version()
        except StoreError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "strangers are not stored: %s", error)
            with self._lock:
                self._failing, self._dirty = True, changed | self._dirty
            return
        with self._lock:
            self._failing, self._below = False, max(self._below, below)
            if stored is not None:
                self._take_over(stored)

    def close(self) -> None:
        self.flush()
        if not self._failing:
            self._shelf.settle(self._next)

    def _count(self, track: Track, embedding: Embedding, recognizer: FaceRecognizer) -> None:
        name = recognizer.search.name
        held = self._tracks.setdefault(track.id, _Gathered(track.camera, name, embedding.space))
        held.vectors = [*held.vectors, embedding.vector][-GATHERED:]
        held.quality = max(held.quality, embedding.quality.score)
        while len(self._tracks) > MOST_TRACKS:
            del self._tracks[next(iter(self._tracks))]
        if track.identity.state is IdentityState.UNKNOWN:
            with self._lock:
                known = track.identity.similarity
                held.stranger = held.stranger or self._find(held, -1.0 if known is None else known + LEAD, recognizer)
                self._number(held.stranger, track)

    def _again(self, track: Track) -> None:
        """Put the pseudonym into the identity that the votes have made anew."""
        held = self._tracks.get(track.id)
        if held is not None and held.stranger is not None and track.identity.state is IdentityState.UNKNOWN:
            track.identity = replace(track.identity, pseudonym=held.stranger.name)

    def _find(self, held: _Gathered, least: float, recognizer: FaceRecognizer) -> Stranger | None:
        """The stored stranger whom the looks at a track show; ``least``: cosine that it must have."""
        taken = {id(one.stranger) for one in self._tracks.values() if one is not held and one.camera == held.camera}
        look = robust_centroid(np.stack(held.vectors))
        near = []
        for one in self._known:
            if one.collection == held.collection and one.space == held.space and id(one) not in taken:
                views: FloatArray = np.concatenate([one.looks, robust_centroid(one.looks)[np.newaxis]])
                cosine = float((views @ look).max())
                if cosine >= least:
                    near.append((cosine, views, one))
        near.sort(key=lambda found: -found[0])
        needed = likeness_at(FALSE_PSEUDONYMS / max(1, len(self._known)))
        compare = recognizer.search.scorer.compare
        alike = [(max(compare(look, views)), one) for _, views, one in near[:CANDIDATES]]
        best, stranger = max(alike, key=lambda found: found[0], default=(0.0, None))
        return stranger if best >= needed else None

    def _number(self, stranger: Stranger | None, track: Track) -> None:
        """Number a stranger that has been away for long enough."""
        if stranger is None or stranger.number is not None or self._next >= self._below:
            return
        if self._away(stranger, track) >= self._settings.again:
            stranger.number, self._next = self._next, self._next + 1
            self._dirty[id(stranger)] = stranger

    def _away(self, stranger: Stranger, track: Track) -> float:
        """Seconds from the stranger's latest track to this one: of frames in this process, else of trusted time."""
        if stranger.seen is not None:
            return track.started - stranger.seen
        if not stranger.id:
            return 0.0
        return self._shelf.now() - (track.seen - track.started) - stranger.trusted

    def _take_over(self, stored: list[Stranger]) -> None:
        """Take what is stored, except what has changed since; tracks in view keep their stranger by its row."""
        newer = {one.id: one for one in self._dirty.values() if one.id}
        seen = {one.id: one.seen for one in self._known if one.id}
        for one in stored:
            one.seen = seen.get(one.id)
        by_row = {one.id: newer.get(one.id, one) for one in stored}
        self._known = [*by_row.values(), *(one for one in self._dirty.values() if not one.id)]
        for held in self._tracks.values():
            if held.stranger is not None and held.stranger.id:
                held.stranger = by_row.get(held.stranger.id)


def _thinned(looks: FloatArray) -> FloatArray:
    """At most LOOKS of (k, dimensions) vectors: the two most alike become their mean."""
    while len(looks) > LOOKS:
        alike = looks @ looks.T - 3 * np.eye(len(looks), dtype=np.float32)
        first, second = divmod(int(alike.argmax()), len(looks))
        merged = robust_centroid(looks[[first, second]])
        looks = np.concatenate([np.delete(looks, (first, second), axis=0), merged[np.newaxis]])
    return looks
