"""A face belongs to the person box that holds it, and names that person's track.

A face changes hands only when another person holds it better for a while, or its holder is gone: where two people
overlap, their boxes both hold both faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.core.types import Box, Identity, IdentityState, Track

HOLDS = 0.7
"""share of a face that must lie in the person's box"""
STILL_HOLDS = 0.4
"""the same for the holder that the face has"""
CHANGE_SECONDS = 0.5
"""a better holder takes the face after this long"""
CLEARLY = 0.15
"""by which a better holder must fit better"""


@dataclass(slots=True)
class _LinkCandidate:
    holder: str
    since: float


class FacePersonLinker:
    """Which person's track holds which face's track; one of the faces seen at a time, others are on their own."""

    def __init__(self, held: str = "face", holding: str = "person") -> None:
        self._held = held
        self._holding = holding
        self._wishes: dict[str, _LinkCandidate] = {}
        self._named_by: dict[str, str] = {}

    def update(self, tracks: Sequence[Track], now: float) -> None:
        """Set ``holder`` of the faces among the tracks of a camera; call it once a frame, after the tracker."""
        people = {track.id: track for track in tracks if track.label == self._holding}
        faces = [track for track in tracks if track.label == self._held]
        free = {person.id: person for person in people.values() if person.seen == now}
        for face in sorted(faces, key=lambda face: (face.holder is None, face.started)):
            if face.seen < now:
                face.holder = face.holder if face.holder in people else None
                continue
            face.holder = self._holder(face, people, free, now)
            if face.holder is not None:
                free.pop(face.holder, None)
        live = {face.id for face in faces}
        self._wishes = {face: wish for face, wish in self._wishes.items() if face in live}
        self._named_by = {person: face for person, face in self._named_by.items() if person in people}

    def name(self, tracks: Sequence[Track], now: float) -> None:
        """Copy what is known of the faces seen to the tracks that hold them; call it after the votes of a frame."""
        by_id = {track.id: track for track in tracks}
        for face in tracks:
            person = by_id.get(face.holder) if face.holder and face.seen == now else None
            if person is None or face.identity.state is IdentityState.PENDING:
                continue
            same = self._named_by.get(person.id, face.id) == face.id
            person.identity = face.identity if same else merged(person.identity, face.identity)
            if person.identity is face.identity:
                self._named_by[person.id] = face.id

    def _holder(self, face: Track, people: dict[str, Track], free: dict[str, Track], now: float) -> str | None:
        fits = {person.id: fit(face.box, person.box) for person in free.values()}
        held = people.get(face.holder) if face.holder else None
        if held is not None and held.seen == now and (
            held.id not in free or face.box.held_by(held.box) < STILL_HOLDS
        ):  # fmt: skip
            held = None
        best = max(fits, key=lambda person: fits[person], default=None)
        if best is None or fits[best] <= 0.0:
            return held.id if held else None
        if held is None:
            self._wishes.pop(face.id, None)
            return best
        return self._changed(face, held.id, best, fits[best] - fits.get(held.id, 0.0), now)

    def _changed(self, face: Track, held: str, best: str, gain: float, now: float) -> str:
        """The holder, changed where another person fits better for long enough."""
        if best == held or gain < CLEARLY:
            self._wishes.pop(face.id, None)
            return held
        wish = self._wishes.get(face.id)
        if wish is None or wish.holder != best:
            self._wishes[face.id] = _LinkCandidate(best, now)
            return held
        if now - wish.since < CHANGE_SECONDS:
            return held
        del self._wishes[face.id]
        return best


def fit(face: Box, person: Box) -> float:
    """How well a person's box holds a face: 0 (not) .. 1 (whole, at the top, in the middle)."""
    x, y = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    if not (person.left < x < person.right and person.top < y < person.bottom):
        return 0.0
    share = face.held_by(person)
    if share < HOLDS:
        return 0.0
    aside = abs(x - (person.left + person.right) / 2) / person.width
    below = (y - person.top) / person.height
    return max(0.01, share - 0.6 * aside - 0.4 * max(0.0, below - 0.15))


def merged(person: Identity, face: Identity) -> Identity:
    """The identity of a person that an earlier face named, when another face is seen.

    Another name or an unknown face retracts a name; an uncertain face leaves it.
    """
    if face.state is IdentityState.UNCERTAIN:
        return face if person.state in (IdentityState.PENDING, IdentityState.UNKNOWN) else person
    named = person.state is IdentityState.KNOWN
    if face.state is IdentityState.RETRACTED and not (named and face.subject == person.subject):
        return person
    if face.state is IdentityState.UNKNOWN and named:
        return replace(person, state=IdentityState.RETRACTED)
    if face.state is IdentityState.KNOWN and named and face.subject != person.subject:
        return replace(person, state=IdentityState.RETRACTED)
    return face
