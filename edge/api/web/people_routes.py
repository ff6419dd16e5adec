"""Enrolled subjects in the browser: faces, names, similar subjects, and recurring strangers that can be named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.api.http import bodies
from edge.api.web.access import visitor_of
from edge.api.web.history_routes import HistoryRoutes
from edge.api.web.responses import in_thread
from edge.core import subjects
from edge.core.errors import ConflictError, InputError, NotFoundError, StoreError
from edge.core.settings.schema import Settings
from edge.inference.calibration import false_match_rate
from edge.recognition.collection_risk import estimate
from edge.recognition.enrollment import name_stranger
from edge.recognition.review.answers import SearchOf, searches
from edge.recognition.review.database import FILE as REVIEW
from edge.recognition.review.face_crops import FaceCrops, FaceCropStore
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collection import Collection

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.recognition.store.collections import Collections

PAGE = 60
"""subjects per response"""
MAX_FACES = 200
"""faces listed per subject"""
MAX_RIVALS = 3
"""similar subjects shown"""
RIVAL = 60.0
"""score 0..100 from which another subject counts as similar"""
MAX_CONFUSABLE = 20
"""pairs of subjects shown"""


class PeopleRoutes:
    """``forget`` erases a subject everywhere and needs a daemon; without it the erase action is refused."""

    def __init__(self, settings: Settings, state: Path, collections: Collections, history: HistoryRoutes) -> None:
        self.forget: Callable[[str], object] | None = None
        self._settings, self._state, self._collections, self._history = settings, state, collections, history
        self._lock = threading.Lock()
        self._review: ReviewQueue | None = None
        self._crops: FaceCropStore | None = None
        self._search: SearchOf | None = None
        self._risks: dict[str, tuple[object, dict[str, Any]]] = {}
        """by collection: the revision that was estimated, and its result"""

    def close(self) -> None:
        with self._lock:
            for one in (self._review, self._crops):
                if one is not None:
                    one.close()
            self._review = self._crops = self._search = None

    async def listed(self, request: Request) -> Response:
        """``GET /page/people/COLLECTION?like=&after=N``: subjects by name, paginated."""
        name, query = request.path_params["collection"], request.query_params
        return await in_thread(lambda: self._listed(name, query))

    async def one(self, request: Request) -> Response:
        """``GET /page/people/COLLECTION/subject?name=``: faces, last seen, similar subjects, false positive rate."""
        name, subject = request.path_params["collection"], request.query_params.get("name", "")
        return await in_thread(lambda: self._one(name, subject))

    async def risk(self, request: Request) -> Response:
        """``GET /page/people/COLLECTION/risk``: false positive rate, confusable subjects, a summary."""
        name = request.path_params["collection"]
        return await in_thread(lambda: self._risk(name))

    async def changed(self, request: Request) -> Response:
        """``POST /page/people/COLLECTION/ACTION``: ``{"subject", ...}``; actions are those of ``ACTIONS``."""
        name, action = request.path_params["collection"], request.path_params["action"]
        who = visitor_of(request)

        async def work() -> Callable[[], dict[str, Any]]:
            document = await bodies.document(request)
            if action not in ACTIONS:
                raise NotFoundError(f"there is no action {action[:40]!r}", f"one of {', '.join(ACTIONS)}")
            return lambda: self._changed(name, action, document, who)

        try:
            return await in_thread(await work())
        except (InputError, NotFoundError) as error:
            message, hint = error.message, error.hint
            return await in_thread(lambda: _raise(InputError(message, hint)))

    async def strangers(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/strangers``: recurring unknown faces, the most recently seen first."""
        return await in_thread(self._strangers)

    async def named(self, request: Request) -> Response:
        """``POST /page/strangers/NAME``: ``{"subject", "force"}``; enroll the stranger's faces for the subject."""
        name, document = request.path_params["name"], await bodies.document(request)
        who = visitor_of(request)
        return await in_thread(lambda: self._named(name, document, who))

    def _listed(self, name: str, query: QueryParams) -> dict[str, Any]:
        collection = self._collections.get(name)
        like = query.get("like", "").casefold()
        text = query.get("after", "")
        start = int(text) if text.isdecimal() and len(text) < 10 else 0
        found = sorted(collection.subjects().items(), key=lambda one: one[0].casefold())
        wanted = [(subject, faces) for subject, faces in found if like in subject.casefold()]
        part = wanted[start : start + PAGE]
        crops, seen = self._pictures(), self._last_seen([subject for subject, _ in part])
        rows = [
            {
                "subject": subject, "faces": faces, "picture": _newest(crops, name, subject),
                "seen": seen.get(subject, (None, None))[0], "camera": seen.get(subject, (None, None))[1],
            }
            for subject, faces in part
        ]  # fmt: skip
        return {"subjects": rows, "total": len(wanted), "more": start + PAGE < len(wanted), "all": len(found)}

    def _one(self, name: str, subject: str) -> dict[str, Any]:
        collection = self._collections.get(name)
        faces = collection.faces(limit=MAX_FACES, subject=subject)
        if not faces:
            raise NotFoundError(f"collection {name!r} has no subject {subject!r}", "it was renamed, or erased")
        crops = self._pictures().get((name, subject), {})
        seen = self._last_seen([subject]).get(subject, (None, None))
        return {
            "subject": subject,
            "faces": [
                {"face_id": face.face_id, "quality": round(face.quality, 3), "created": face.created,
                 "origin": face.origin, "picture": crops.get(face.face_id)}
                for face in faces
            ],
            "seen": seen[0],
            "camera": seen[1],
            "erasable": self.forget is not None,
            **self._resemblance(collection, subject, [face.face_id for face in faces]),
        }  # fmt: skip

    def _resemblance(self, collection: Collection, subject: str, face_ids: list[str]) -> dict[str, Any]:
        """The most similar subjects, and the fraction of strangers that would match the collection."""
        label = self._label(collection.name)
        if label is None:
            return {"rivals": [], "false_names": None, "needed": None}
        found = self._searches()(label, collection)
        best: dict[str, float] = {}
        for matches_of_face in found.subjects(np.asarray(collection.vectors(face_ids)), most=MAX_RIVALS + 1):
            for match in matches_of_face:
                if match.name != subject:
                    best[match.name] = max(best.get(match.name, 0.0), match.likeness)
        rivals = sorted(best.items(), key=lambda one: -one[1])[:MAX_RIVALS]
        return {
            "rivals": [{"subject": name, "likeness": round(value, 1)} for name, value in rivals if value >= RIVAL],
            "needed": round(found.needed, 1),
            "false_names": false_match_rate(found.needed) * max(1, found.count),
        }

    def _changed(self, name: str, action: str, document: dict[str, Any], who: str) -> dict[str, Any]:
        collection = self._collections.get(name)
        subject = document.get("subject")
        if not isinstance(subject, str) or not collection.faces(limit=1, subject=subject):
            raise NotFoundError(f"collection {name!r} has no such subject", "it was renamed, or erased")
        said = ACTIONS[action](self, collection, subject, document)
        self._history.note(who, action, None if action == "erase" else said.get("subject", subject))
        return said

    def _rename(self, collection: Collection, subject: str, document: dict[str, Any]) -> dict[str, Any]:
        to = subjects.checked(_text(document, "to"))
        if to != subject and to in collection.subjects() and document.get("merge") is not True:
            raise ConflictError(f"{to} is enrolled already", "merge the two, or choose another name")
        collection.rename_subject(subject, to)
        if (store := self._history.store()) is not None:
            store.rename(subject, to)
        return {"ok": True, "subject": to}

    def _delete_face(self, collection: Collection, subject: str, document: dict[str, Any]) -> dict[str, Any]:
        face_id = _text(document, "face_id")
        if face_id not in {face.face_id for face in collection.faces(limit=-1, subject=subject)}:
            raise NotFoundError(f"{subject} has no face {face_id[:40]!r}", "it was deleted already")
        collection.delete_faces([face_id])
        return {"ok": True, "subject": subject}

    def _erase(self, _: Collection, subject: str, __: dict[str, Any]) -> dict[str, Any]:
        if self.forget is None:
            raise ConflictError("nobody can be erased here: no daemon runs", "edge forget NAME")
        self.forget(subject)
        return {"ok": True}

    def _risk(self, name: str) -> dict[str, Any]:
        """Risk of the collection, recomputed after each change of it; takes 1 to 2 s on a board."""
        collection, label = self._collections.get(name), self._label(name)
        if label is None:
            return {"subjects": 0, "needed": None, "false_names": None, "confusable": [], "words": ""}
        revision, told = self._risks.get(name, (None, {}))
        if revision != collection.revision:
            revision, found = collection.revision, estimate(self._searches()(label, collection))
            told = {
                "subjects": found.subjects,
                "needed": round(found.needed, 1),
                "false_names": found.false_names,
                "confusable": [asdict(pair) for pair in found.confusable[:MAX_CONFUSABLE]],
                "words": found.words(),
            }
            self._risks[name] = revision, told
        return told

    def _strangers(self) -> dict[str, Any]:
        queue = self._queue()
        kept = [one for one in queue.strangers.all() if one.name] if queue else []
        store = self._history.store()
        rows = []
        for one in reversed(kept):
            pictured = store.newest_picture(one.name or "") if store else None
            rows.append({
                "name": one.name, "first": one.first, "last": one.last, "times": one.times,
                "collection": one.collection, "picture": pictured,
            })  # fmt: skip
        return {"enabled": self._settings.strangers.enabled, "strangers": rows}

    def _named(self, name: str, document: dict[str, Any], who: str) -> dict[str, Any]:
        subject = subjects.checked(_text(document, "subject"))
        if (queue := self._queue()) is None:
            raise NotFoundError(f"there is no stranger {name[:40]!r}", "it was named already, or has expired")
        stranger = queue.strangers.get(name)
        search = self._searches()(stranger.label, self._collections.get(stranger.collection))
        faces = name_stranger(search, stranger, subject, document.get("force") is True)
        queue.strangers.remove([stranger.id])
        if (store := self._history.store()) is not None:
            store.rename(name, subject, known=True)
        self._history.note(who, "name a stranger", subject)
        return {"ok": True, "subject": subject, "faces": len(faces)}

    def _queue(self) -> ReviewQueue | None:
        with self._lock:
            if self._review is None and (self._state / REVIEW).exists():
                self._review = ReviewQueue(self._state, self._settings.review)
                self._crops = FaceCropStore(self._state)
            return self._review

    def _searches(self) -> SearchOf:
        queue = self._queue()
        with self._lock:
            if self._search is None:
                self._search = searches(self._settings, self._state, queue.rejections if queue else None)
            return self._search

    def _label(self, name: str) -> str | None:
        return next((label for label, one in self._settings.labels.items() if one.collection == name), None)

    def _pictures(self) -> FaceCrops:
        return self._crops.all() if self._queue() is not None and self._crops is not None else {}

    def _last_seen(self, names: list[str]) -> dict[str, tuple[float, str]]:
        try:
            store = self._history.store()
        except StoreError:
            return {}
        return store.last_seen(names) if store else {}


ACTIONS: dict[str, Callable[[PeopleRoutes, Collection, str, dict[str, Any]], dict[str, Any]]] = {
    "rename": PeopleRoutes._rename,
    "delete-face": PeopleRoutes._delete_face,
    "erase": PeopleRoutes._erase,
}
"""action -> handler"""


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"{name}: expected text", "use the page", code=name)
    return value


def _newest(crops: FaceCrops, collection: str, subject: str) -> int | None:
    pictures = crops.get((collection, subject), {})
    return next(reversed(pictures.values()), None)


def _raise(error: Exception) -> dict[str, Any]:
    raise error
