"""People of the fleet: who is enrolled where, enrollments that wait for a decision, erasure everywhere."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies
from edge.api.web.access import visitor_of
from edge.api.web.responses import in_thread, with_document
from edge.core.errors import InputError, NotFoundError
from edge.hub.erasure import FleetErasure
from edge.hub.page.changes import ChangeLog
from edge.hub.publishing import enrollments
from edge.hub.publishing.enrollments import PendingEnrollments
from edge.hub.publishing.publisher import ReleasePublisher
from edge.hub.review.store import FleetQuestions
from edge.hub.subject_erasure import erase_everywhere
from edge.recognition.collection_risk import estimate
from edge.recognition.review.answers import searches
from edge.recognition.store import segments
from edge.recognition.store.collection import Collection

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

PAGE = 60
"""subjects per response"""
MAX_PENDING = 200
"""pending faces per response"""
MAX_CONFUSABLE = 3


class FleetPeople:
    """``desk`` opens the publisher and raises NotFoundError where there is no repository.

    ``erasure`` changes stored events, under ``lock``, which also guards the publisher.
    """

    def __init__(
        self, desk: Callable[[], ReleasePublisher], erasure: FleetErasure, questions: FleetQuestions,
        changes: ChangeLog, lock: threading.Lock,
    ) -> None:  # fmt: skip
        self._desk, self._erasure, self._questions = desk, erasure, questions
        self._changes, self._lock = changes, lock
        self._published: tuple[str, dict[str, Counter[str]]] = ("", {})
        """release, and by collection the faces of each subject that it ships"""
        self._risks: dict[str, tuple[object, dict[str, Any]]] = {}
        """collection -> the revision that was estimated, and its result"""

    async def summary(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/people``: collections of the fleet."""
        return await in_thread(lambda: with_repository(self._summary))

    async def listed(self, request: Request) -> Response:
        """``GET /page/people/COLLECTION?like=&after=N``: subjects by name, with where they were enrolled."""
        name, query = request.path_params["collection"], request.query_params
        return await in_thread(lambda: self._listed(name, query))

    async def risk(self, request: Request) -> Response:
        """``GET /page/people/COLLECTION/risk``: how often a stranger would get a name."""
        name = request.path_params["collection"]
        return await in_thread(lambda: self._risk(name))

    async def pending(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/enrollments``: faces of devices that wait for a decision."""
        return await in_thread(lambda: with_repository(self._pending))

    async def decided(self, request: Request) -> Response:
        """``POST /page/enrollments/ACTION``: ``{"numbers", "force"}``; ``accept`` or ``drop``."""
        action, who = request.path_params["action"], visitor_of(request)
        return await with_document(request, lambda document: self._decided(action, document, who))

    async def forgotten(self, request: Request) -> Response:
        """``POST /page/people/forget``: ``{"subject"}``; erase it everywhere at the hub."""
        who = visitor_of(request)
        return await with_document(request, lambda document: self._forgotten(document, who))

    def names(self) -> set[str]:
        """Subjects of all collections and pending enrollments. Raises NotFoundError where there is no repository."""
        with self._lock:
            return self._desk().subjects()

    def _summary(self) -> dict[str, Any]:
        with self._lock:
            desk = self._desk()
            draft = desk.draft().release
            labels = {collection: label for label, collection in draft.labels.items()}
            with desk.collections() as collections:
                found = [
                    {"name": name, "label": labels.get(name, ""), "faces": collections.get(name).count}
                    for name in collections.names()
                ]
            with closing(PendingEnrollments(desk.private)) as waiting:
                count = len(waiting.waiting())
        return {"collections": found, "pending": count}

    def _listed(self, name: str, query: QueryParams) -> dict[str, Any]:
        like, text = query.get("like", "").casefold(), query.get("after", "")
        start = int(text) if text.isdecimal() and len(text) < 10 else 0
        with self._lock:
            desk = self._desk()
            shipped = self._shipped(desk, name)
            with desk.collections() as collections, closing(PendingEnrollments(desk.private)) as waiting:
                if name not in collections:
                    raise NotFoundError(f"unknown collection {name[:64]!r}", "open the list of people again")
                collection = collections.get(name)
                found = sorted(collection.subjects().items(), key=lambda one: one[0].casefold())
                wanted = [(subject, faces) for subject, faces in found if like in subject.casefold()]
                part = wanted[start : start + PAGE]
                origins = waiting.origins()
                rows = [
                    {"subject": subject, "faces": faces, "published": shipped[subject],
                     "devices": _devices(collection, subject, origins)}
                    for subject, faces in part
                ]  # fmt: skip
        return {"subjects": rows, "total": len(wanted), "all": len(found), "more": start + PAGE < len(wanted)}

    def _risk(self, name: str) -> dict[str, Any]:
        """Recomputed after each change of the collection."""
        with self._lock:
            desk = self._desk()
            label = next((one for one, each in desk.draft().release.labels.items() if each == name), None)
            with desk.collections() as collections:
                if label not in desk.settings.labels or name not in collections:
                    return {"false_names": None}
                collection = collections.get(name)
                revision, told = self._risks.get(name, (None, {}))
                if revision != collection.revision:
                    found = estimate(searches(desk.settings, desk.private, None)(label, collection))
                    told = {
                        "needed": round(found.needed, 1),
                        "false_names": found.false_names,
                        "confusable": [asdict(pair) for pair in found.confusable[:MAX_CONFUSABLE]],
                    }
                    self._risks[name] = collection.revision, told
        return told

    def _pending(self) -> dict[str, Any]:
        with self._lock:
            desk = self._desk()
            with closing(PendingEnrollments(desk.private)) as waiting:
                faces = waiting.waiting()
            shown = faces[:MAX_PENDING]
            labels = {collection: label for label, collection in desk.draft().release.labels.items()}
            by_label = defaultdict(list)
            for one in shown:
                by_label[labels.get(one.collection, "face")].append(one)
            judged = [row for label, ones in by_label.items() for row in enrollments.judge(desk, ones, label)]
        return {"total": len(faces), "faces": [_face(one) for one in judged]}

    def _decided(self, action: str, document: dict[str, Any], who: str) -> dict[str, Any]:
        numbers = set(bodies.numbers(document.get("numbers"), MAX_PENDING))
        with self._lock:
            desk = self._desk()
            with closing(PendingEnrollments(desk.private)) as waiting:
                chosen = [one for one in waiting.waiting() if one.number in numbers]
                if action == "drop":
                    waiting.decide([one.number for one in chosen], "dropped")
                    left = []
                elif action == "accept":
                    labels = {collection: label for label, collection in desk.draft().release.labels.items()}
                    left = [
                        row
                        for one in chosen
                        for row in enrollments.accept(
                            desk, waiting, [one], labels.get(one.collection, "face"),
                            force=document.get("force") is True,
                        )
                    ]  # fmt: skip
                else:
                    raise NotFoundError(f"there is no action {action[:40]!r}", "one of accept, drop")
        done = len(chosen) - len(left)
        self._changes.note(who, f"enrollments: {action}", str(done))
        return {"ok": True, "done": done, "left": [_face(one) for one in left]}

    def _forgotten(self, document: dict[str, Any], who: str) -> dict[str, Any]:
        subject = document.get("subject")
        if not isinstance(subject, str) or not subject.strip():
            raise InputError("subject: expected a name", "choose a subject")
        with self._lock:
            gone = erase_everywhere(subject, self._desk(), self._erasure, self._questions)
        self._changes.note(who, "people: forget")
        faces = sum(gone.collections.values()) + gone.enrollments
        return {"ok": True, "faces": faces, "events": gone.events, "questions": gone.questions}

    def _shipped(self, desk: ReleasePublisher, name: str) -> Counter[str]:
        """Subject -> faces of a collection in the newest release."""
        releases = desk.releases()
        if not releases:
            return Counter()
        newest = releases[-1]
        if self._published[0] != newest.id:
            found: dict[str, Counter[str]] = {}
            for shipped in newest.collections:
                erased, counts = set(shipped.tombstones), Counter[str]()
                for segment in shipped.segments:
                    data = desk.repository.private_blob(segment.sha256).read_bytes()
                    entries = segments.unpack(data, shipped.name, shipped.space, shipped.dimensions, segment.count)
                    counts.update(face.subject or "" for face, _ in entries if face.face_id not in erased)
                found[shipped.name] = counts
            self._published = newest.id, found
        return self._published[1].get(name, Counter())


def with_repository(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``work`` returns; ``missing`` and ``try`` where this hub has no repository of releases."""
    try:
        return work()
    except NotFoundError as error:
        return {"missing": error.message, "try": error.hint}


def _devices(collection: Collection, subject: str, origins: dict[str, str]) -> list[str]:
    """Devices on which faces of a subject were enrolled."""
    return sorted(
        {origins[face.face_id] for face in collection.faces(limit=-1, subject=subject) if face.face_id in origins}
    )


def _face(judged: enrollments.JudgedFace) -> dict[str, Any]:
    one = judged.one
    return {
        "number": one.number, "device": one.device, "collection": one.collection, "subject": one.face.subject or "",
        "quality": round(one.face.quality, 2), "created": one.face.created, "against": judged.harm,
    }  # fmt: skip
