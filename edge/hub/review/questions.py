"""Questions of the fleet: one for each face, with the crops of all devices that saw it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from edge.hub.review.store import FleetAnswer, StoredLook

MAX_NEAREST = 5


@dataclass(frozen=True, slots=True)
class FleetQuestion:
    """A question about one face, with the crops of all devices that saw it."""

    face: int
    looks: tuple[StoredLook, ...]
    """best quality first"""
    refused: tuple[FleetAnswer, ...]
    """answers that devices have not applied"""

    @property
    def asked(self) -> list[StoredLook]:
        """The best crop of each question of each device, best quality first."""
        first: dict[tuple[str, int], StoredLook] = {}
        for one in self.looks:
            first.setdefault((one.device, one.look.group), one)
        return list(first.values())

    @property
    def nearest(self) -> list[tuple[str, float]]:
        """Subject, likeness 0..100: the highest of all devices, most similar first."""
        found: dict[str, float] = {}
        for one in self.asked:
            for near in one.look.nearest:
                found[near.subject] = max(found.get(near.subject, 0.0), near.likeness)
        return sorted(found.items(), key=lambda one: -one[1])[:MAX_NEAREST]

    @property
    def subject(self) -> str | None:
        """The name that is asked about: of the devices that ask by name the one with the most similar."""
        likeness = dict(self.nearest)
        named = [one.look.subject for one in self.asked if one.look.subject is not None]
        return max(named, key=lambda name: likeness.get(name, 0.0), default=None)


def grouped(looks: Sequence[StoredLook], answers: Sequence[FleetAnswer]) -> dict[int, FleetQuestion]:
    """Face -> question, the oldest first. ``looks``: best quality first."""
    refused = {(one.device, one.question): one for one in answers if one.code}
    faces: dict[int, list[StoredLook]] = defaultdict(list)
    for one in looks:
        faces[one.face].append(one)
    found = {}
    for face in sorted(faces):
        questions = dict.fromkeys((one.device, one.look.group) for one in faces[face])
        found[face] = FleetQuestion(
            face, tuple(faces[face]), tuple(refused[key] for key in questions if key in refused)
        )
    return found
