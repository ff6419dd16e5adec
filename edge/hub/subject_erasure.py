"""Erasure of a subject from everything at the hub: published collections, pending enrollments, events, questions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.core.settings.schema import Settings
from edge.core.storage.files import expanded
from edge.hub import databases
from edge.hub.erasure import FleetErasure
from edge.hub.publishing.publisher import PULLED, ReleasePublisher
from edge.hub.review.store import FILE, FleetQuestions
from edge.hub.store import EventStore


@dataclass(frozen=True, slots=True)
class ErasedEverywhere:
    """Counts of what was erased at the hub."""

    collections: dict[str, int]
    """collection of the fleet -> faces"""
    enrollments: int
    """faces of devices that were pending"""
    events: int
    """stored events that lost the name, or were deleted (``hub.forgotten``)"""
    questions: int
    """crops and answers of review questions of devices"""

    @property
    def anything(self) -> bool:
        return bool(self.collections or self.enrollments or self.events or self.questions)


def erase_everywhere(
    subject: str, desk: ReleasePublisher | None, erasure: FleetErasure | None, questions: FleetQuestions | None
) -> ErasedEverywhere:
    """Erase a subject from everything at the hub, also from what arrives later and is older. Raises EdgeError.

    ``None``: this hub has no repository, no events or no review questions. Devices erase with the next release.
    """
    gone = desk.forget(subject) if desk else {}
    pending = gone.pop(PULLED, 0)
    now = time.time()
    events = erasure.erase(subject, now) if erasure else 0
    return ErasedEverywhere(gone, pending, events, questions.forget(subject, now) if questions else 0)


@contextmanager
def erasable_parts(
    settings: Settings, state: Path, repository: Path
) -> Iterator[tuple[ReleasePublisher | None, FleetErasure | None, FleetQuestions | None]]:
    """The parts of a hub for ``erase_everywhere``, as far as they exist. Raises EdgeError."""
    address = settings.hub.database.get_secret_value()
    desk = ReleasePublisher(expanded(repository), settings)
    with ExitStack() as stack:
        erasure = questions = None
        if address or (state / databases.FILE).exists():
            store = EventStore(databases.connect(address, state))
            stack.callback(store.database.close)
            store.prepare()
            erasure = FleetErasure(settings.hub, store)
        if (state / FILE).exists():
            questions = stack.enter_context(closing(FleetQuestions(state, settings.hub)))
        yield desk if desk.repository.exists else None, erasure, questions
