"""When a track's next embedding is worth its price, and which tracks of a frame get one.

A track asks while the answer could still change: at once when it is new, then at growing intervals; earlier when
it is seen clearly better than ever before, and right away when one more vote may decide, when the latest vote speaks
against its name, or when it has left another track that it touched. A track with a name asks again every
``refresh_seconds``. After ``attempts`` embeddings it rests: one look every ``refresh_seconds``, until a look that
speaks against a name opens the next series.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from edge.core.settings.vision import RecognitionSettings
from edge.core.types import Embedding, Identity, IdentityState, Match, Track
from edge.pipeline.tracking.identity_voting import IdentityVotes, VotingRules

if TYPE_CHECKING:
    from edge.core.types import FloatArray

SPACING = 0.15
"""seconds between two embeddings of a track, at least: frames that are closer show the same"""
FREE = 3
"""attempts before the intervals begin to grow"""
GROWTH = 1.5
"""of an interval over the one before it: a face turns to the camera for a second or two, and must not be missed then"""
BETTER = 1.25
"""a view that is this much better than the best one so far may change the answer"""
DECLINED_MOST = 1.0
"""seconds between two crops of a track, at most, while they are not worth embedding: the next may be"""
DECLINED_LATER = 1.5
"""by which such a track's priority is lower, so that the budget goes to those whose crops are good"""


class EmbeddingScheduler:
    """The looks at one track: their rhythm, and the votes that come of them. ``track.identity`` follows the votes."""

    def __init__(self, rules: VotingRules, settings: RecognitionSettings, collection: str | None = None) -> None:
        self.votes = IdentityVotes(rules, collection)
        self._settings = settings
        self._best_view = 0.0
        self._latest: float | None = None
        self._tries = 0
        self._spent = 0
        self._series_began = 0.0
        self._declines = 0
        self._declined = 0.0
        self._mingled: float | None = None

    def wants(self, track: Track, now: float) -> float | None:
        """Priority of an embedding of ``track`` in the frame of ``now``, or None."""
        if track.seen < now or (track.hits < 2 and self._settings.votes > 1):
            return None
        if self._declines and now - self._declined < min(DECLINED_MOST, SPACING * 2.0 ** (self._declines - 1)):
            return None
        priority = self._priority(track, now)
        return priority - DECLINED_LATER if priority is not None and self._declines else priority

    def add(self, track: Track, matches: Sequence[Match], embedding: Embedding, now: float) -> Identity:
        """Count what the collection said of this look, and name the track."""
        track.identity = self.count(track, matches, embedding.quality.score, now, embedding.vector)
        return track.identity

    def count(
        self, track: Track, matches: Sequence[Match], quality: float, now: float, vector: FloatArray | None = None
    ) -> Identity:
        """The same for a name that is not the track's identity."""
        self._series_began = now if self._latest is None else self._series_began
        self._latest, self._tries, self._declines = now, self._tries + 1, 0
        self._best_view = max(self._best_view, view(track))
        self._spent, self._mingled = min(self._spent + 1, self._settings.attempts), track.mingled
        identity = self.votes.add(matches, quality, vector)
        disturbed = self.votes.in_doubt or identity.state is IdentityState.RETRACTED
        if disturbed:
            self._tries = 0
        if disturbed and now - self._series_began >= self._settings.refresh_seconds:
            self._spent, self._series_began = 1, now
        return identity

    def decline(self, now: float) -> None:
        """The crop was not worth embedding: wait for another one. It costs little, and no attempt."""
        self._declines, self._declined = min(self._declines + 1, 16), now

    def erase(self, track: Track, subject: str) -> None:
        """Remove an erased subject; a track that had its name or evidence is looked at as if it were new."""
        if self.votes.erase(subject):
            self.reopen()
        if track.identity.subject == subject:
            track.identity = self.votes.identity

    def reopen(self, rules: VotingRules | None = None) -> None:
        """The collection, or the embedder and with it the rules, changed: look again."""
        self.votes.forget(rules)
        self._latest, self._tries, self._spent, self._declines, self._best_view = None, 0, 0, 0, 0.0

    def _priority(self, track: Track, now: float) -> float | None:
        if self._latest is None:
            return 3.0 + _quality(track)
        waited = now - self._latest
        if waited < SPACING:
            return None
        if self._spent >= self._settings.attempts:
            rested = waited >= self._settings.refresh_seconds
            return 1.0 + _urgency(waited, self._settings.refresh_seconds) if rested else None
        return self._within_series(track, waited)

    def _within_series(self, track: Track, waited: float) -> float | None:
        if self.votes.close or self.votes.in_doubt:
            return 4.0 + _quality(track)
        if track.mingled is not None and self._mingled != track.mingled < track.seen:
            return 3.5 + _quality(track) / 3
        known = self.votes.identity.state is IdentityState.KNOWN
        pause = SPACING * GROWTH ** max(0, self._tries - FREE + 1)
        pause = self._settings.refresh_seconds if known else min(pause, self._settings.refresh_seconds)
        if waited >= pause:
            return (1.0 if known else 2.0) + _urgency(waited, pause)
        better = not known and view(track) >= BETTER * self._best_view
        return 1.5 + _quality(track) / 2 if better else None


def schedule(tracks: Iterable[Track], looks: Mapping[str, EmbeddingScheduler], now: float, budget: int) -> list[Track]:
    """The tracks that get an embedding in this frame: those with the highest priority, ``budget`` at most.

    ``looks`` by track id; tracks without are not recognized.
    """
    wanted = []
    for track in tracks:
        priority = looks[track.id].wants(track, now) if track.id in looks else None
        if priority is not None:
            wanted.append((priority, track))
    wanted.sort(key=lambda one: -one[0])
    return [track for _, track in wanted[:budget]]


def view(track: Track) -> float:
    """How well the track is seen now: its size in the frame, its score, and how far a face is turned to the side."""
    return math.sqrt(track.box.area) * track.score * frontality(track)


def frontality(track: Track) -> float:
    """0.2 (profile) .. 1 (the nose midway between the eyes); 1 without landmarks."""
    if len(track.landmarks) < 3:
        return 1.0
    left, right, nose = track.landmarks[:3]
    eyes = abs(right.x - left.x)
    if eyes <= 0:
        return 0.2
    return max(0.2, 1.0 - abs(2 * nose.x - left.x - right.x) / eyes)


def _quality(track: Track) -> float:
    """0..1, to order looks of the same kind: larger first."""
    return min(0.99, view(track))


def _urgency(waited: float, pause: float) -> float:
    """0..0.99: a track that has waited for several pauses comes before one that has just begun to."""
    return min(0.99, 0.25 * waited / pause)
