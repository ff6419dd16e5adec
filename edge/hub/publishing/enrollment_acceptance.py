"""Acceptance of devices' enrollments into the fleet's collections, after the consistency check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from edge.core.errors import NotFoundError
from edge.recognition.enrollment import Enroller
from edge.recognition.enrollment_check import check_enrollment
from edge.recognition.review.answers import searches
from edge.releases.manifest import subject_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.hub.publishing.draft import Draft
    from edge.hub.publishing.pending_enrollments import PendingEnrollments, PendingFace
    from edge.hub.publishing.publisher import ReleasePublisher
    from edge.recognition.store.collection import Collection
    from edge.recognition.subject_search import SubjectSearch

    SearchIn = Callable[[Collection], SubjectSearch]


@dataclass(frozen=True, slots=True)
class JudgedFace:
    """A face that waits, and why it should not be taken; empty: it may."""

    one: PendingFace
    harm: str


def judge(desk: ReleasePublisher, ones: Sequence[PendingFace], label: str, name: str = "") -> list[JudgedFace]:
    """What the gate says of each face, beside what the fleet has now. ``name``: a collection other than its own."""
    draft, search = desk.draft(), _search(desk, label)
    with desk.collections() as collections:
        found = {}
        for place in {name or one.collection for one in ones}:
            found[place] = collections.get(place) if place in collections else None
        return [JudgedFace(one, _harm(one, found[name or one.collection], draft, search)) for one in ones]


def accept(
    desk: ReleasePublisher,
    waiting: PendingEnrollments,
    ones: Sequence[PendingFace],
    label: str,
    name: str = "",
    force: bool = False,
) -> list[JudgedFace]:
    """Take faces into the fleet's collections; the next release brings them. Returns those that were left waiting.

    ``force``: also what the gate is against, except whom the fleet has forgotten since. Raises SpaceError where they
    were embedded otherwise than the fleet's, NotFoundError for a label that is not set.
    """
    search, left = _search(desk, label), []
    with desk.collections() as collections:
        for one in ones:
            place, draft = name or one.collection, desk.draft()
            collection = collections.get_or_create(place)
            erased = _forgotten(one, draft, place)
            harm = erased or _harm(one, collection, draft, search)
            if harm and (erased or not force):
                left.append(JudgedFace(one, harm))
                continue
            face = replace(one.face, collection=place)
            Enroller(collection).adopt(face, one.vector, one.space)
            # in this order: whoever is stopped in between is asked about the face once more, and it is there once
            with desk.changing() as latest:
                latest.use(place, label)
            waiting.decide([one.number], "accepted")
    return left


def _search(desk: ReleasePublisher, label: str) -> SearchIn:
    if label not in desk.settings.labels:
        raise NotFoundError(f"there is no label {label!r}", f"add a section [labels.{label}], or name another --label")
    return partial(searches(desk.settings, desk.private, None), label)


def _harm(one: PendingFace, collection: Collection | None, draft: Draft, search: SearchIn) -> str:
    if collection is None or not collection.count:
        return _forgotten(one, draft, one.collection)
    if collection.space != one.space:
        return f"it was embedded in {one.space}, and the fleet's faces in {collection.space}"
    verdict = check_enrollment(search(collection), one.vector, one.face.subject or "")
    return _forgotten(one, draft, collection.name) or verdict.harm


def _forgotten(one: PendingFace, draft: Draft, place: str) -> str:
    """A word where the subject was forgotten after this face was enrolled; devices would not take it either."""
    shipped = draft.collection(place)
    digest = subject_digest(place, one.face.subject or "")
    times = [each.time for each in shipped.forgotten if each.digest == digest] if shipped else []
    return "the fleet has forgotten this subject since" if any(one.face.created < moment for moment in times) else ""
