"""Enrollment in the browser: upload a picture, preview what would be enrolled, enroll it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies
from edge.api.http.bodies import body
from edge.api.web import enrollment_preview as looks
from edge.api.web.access import said, visitor_of
from edge.api.web.history_routes import HistoryRoutes
from edge.core import subjects
from edge.core.errors import BusyError, ConflictError, EdgeError, InputError, NotFoundError
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.recognition import extraction as finder
from edge.recognition import identification as identify
from edge.recognition.enrollment import HINTS, Enroller, new_face
from edge.recognition.enrollment_check import check_enrollment
from edge.recognition.review.rejections import RejectionIndex

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.api.http.work_queue import WorkQueue
    from edge.core.types import Face, Frame, Picture
    from edge.inference.pool import ModelPool
    from edge.recognition.extraction import ExtractedFace
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.collections import Collections
    from edge.recognition.subject_search import SubjectSearch

OWN = 64
"""faces of a subject that candidates are compared with, at most"""
SAME_LIKENESS = 80.0
"""score 0..100 from which two single faces may be the same subject: one pair of strangers in 10,000 reaches it"""
MOST_BYTES = 16 << 20
"""bytes per picture"""
OLDEST_FRAME = 5.0
"""seconds after which a camera's latest picture is outdated"""
STATUS: dict[type[EdgeError], int] = {BusyError: 503, ConflictError: 409, NotFoundError: 404, InputError: 400}
"""the first matching class counts; any other error is 500"""


@dataclass(frozen=True, slots=True)
class _Result:
    status: int
    document: dict[str, Any]


class EnrollmentRoutes:
    """Only the single thread of the queue uses the models. ``latest``: the newest frame of a camera."""

    def __init__(self, settings: Settings, state: Path, collections: Collections, history: HistoryRoutes) -> None:
        self.queue: WorkQueue | None = None
        self.models: ModelPool | None = None
        """used by the queue's thread only"""
        self.latest: Callable[[str], Frame | None] = lambda _: None
        # not the cameras' interpreters; these use one core at most, and are loaded on first use
        models = settings.models.model_copy(update={"threads": 1})
        self._settings = settings.model_copy(update={"models": models})
        self._state, self._collections, self._history = state, collections, history
        self._finders: dict[str, finder.FaceExtractor] = {}
        self._looks = looks.EnrollmentPreviews()
        self._rejections = RejectionIndex(state)
        self._searches: dict[str, SubjectSearch] = {}

    def collections(self) -> list[str]:
        """Collections that a label uses for recognition."""
        labels = self._settings.labels.values()
        return sorted({label.collection for label in labels if label.embedder and label.collection})

    async def answer(self, request: Request) -> Response:
        """``POST /page/collections/<name>/faces?subject=NAME`` with a picture: enroll its best face at once."""

        async def work() -> Callable[[], _Result]:
            name, label = self._named(request)
            subject = subjects.checked(request.query_params.get("subject", ""))
            data = await body(request, MOST_BYTES)
            return lambda: self._noted(request, subject, self._enroll(name, label, subject, data))

        return await self._answered(work)

    async def look(self, request: Request) -> Response:
        """``POST /page/collections/<name>/looks`` with a picture, or ``?camera=NAME``: preview the enrollment."""

        async def work() -> Callable[[], _Result]:
            name, label = self._named(request)
            camera = request.query_params.get("camera")
            if camera is not None:
                return lambda: self._look_by_camera(name, label, camera)
            data = await body(request, MOST_BYTES)
            return lambda: self._look(name, label, pictures.decode(data), hashlib.sha256(data).hexdigest())

        return await self._answered(work)

    async def enroll(self, request: Request) -> Response:
        """``POST /page/looks/<word>?face=N&subject=NAME``: enroll a face of a preview; ``force=1`` skips the check."""

        async def work() -> Callable[[], _Result]:
            subject = subjects.checked(request.query_params.get("subject", ""))
            word, force = request.path_params["word"], request.query_params.get("force") == "1"
            number = request.query_params.get("face", "0")
            return lambda: self._noted(request, subject, self._enroll_look(word, number, subject, force))

        return await self._answered(work)

    async def compare(self, request: Request) -> Response:
        """``POST /page/looks/compare``: ``{"subject", "looks": [{"look", "face"}]}``; returns the outliers."""

        async def work() -> Callable[[], _Result]:
            document = await bodies.document(request)
            subject = document.get("subject") or ""
            if not isinstance(subject, str):
                raise InputError("subject: expected text", "use the page", code="subject")
            wanted = _wanted(document)
            return lambda: self._compare(subject, wanted)

        return await self._answered(work)

    def _noted(self, request: Request, subject: str, result: _Result) -> _Result:
        """Record the visitor who enrolled a subject, if a face was added."""
        if result.document.get("status") == "added":
            self._history.note(visitor_of(request), "enroll", subject)
        return result

    async def _answered(self, prepare: Callable[[], Any]) -> Response:
        from starlette.responses import JSONResponse

        if self.queue is None:
            return said(404, "nothing can be enrolled here", "set api.enabled = true")
        try:
            result: _Result = await asyncio.wrap_future(self.queue.submit(await prepare()))
        except EdgeError as error:
            status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
            if status == 503:
                return said(503, "other pictures are being looked at", "try again")
            return said(status, error.message, error.hint)
        return JSONResponse(result.document, result.status)

    def _named(self, request: Request) -> tuple[str, str]:
        """The collection of a request, and the label that uses it."""
        name = request.path_params["name"]
        for label, section in self._settings.labels.items():
            if section.embedder and section.collection == name:
                return name, label
        raise NotFoundError(f"no label is recognized by a collection {name[:64]!r}", "look at [labels]")

    def _finder(self, label: str) -> finder.FaceExtractor:
        if label not in self._finders:
            self._finders[label] = finder.load(self._settings, self._state, label, models=self.models)
        return self._finders[label]

    def _enroll(self, name: str, label: str, subject: str, data: bytes) -> _Result:
        picture, found = pictures.decode(data), self._finder(label)
        digest = hashlib.sha256(data).hexdigest()
        collection = self._collections.get_or_create(name)
        done = Enroller(collection).enroll_picture(picture, digest, subject, found)
        if done.face is None:
            words = HINTS.get(done.reason, done.reason).format(label=label)
            return _Result(422, {"error": words, "reason": done.reason, "try": "take a sharp picture from the front"})
        return _Result(200, {**_enrolled(done.face, done.added), "others": done.others})

    def _look_by_camera(self, name: str, label: str, camera: str) -> _Result:
        frame = self.latest(camera)
        if frame is None or time.monotonic() - frame.monotonic > OLDEST_FRAME:
            return _Result(503, {"error": f"camera {camera[:64]} gives no new picture", "try": "look at the camera"})
        return self._look(name, label, frame.main, looks.digest_of(frame.main), camera=True)

    def _look(self, name: str, label: str, picture: Picture, digest: str, *, camera: bool = False) -> _Result:
        found = self._finder(label)
        collection = self._collections.get_or_create(name)
        collection.check_space(found.embedder.space)
        look = looks.look(picture, digest, found, collection)
        result = looks.document(look, picture, self._search(found, collection), camera=camera)
        return _Result(200, {"look": self._looks.keep(look), **result})

    def _enroll_look(self, word: str, number: str, subject: str, force: bool) -> _Result:
        look = self._looks.get(word)
        if not number.isdecimal() or len(number) > 3 or int(number) >= len(look.seen):
            raise InputError("face: there is no such face in the picture", "choose one of those shown", code="face")
        seen = look.seen[int(number)]
        if seen.embedding is None:
            raise InputError(HINTS[seen.reason].format(label=look.label), "take another picture", code=seen.reason)
        collection = self._collections.get_or_create(look.collection)
        if not force:
            self._refuse_harm(seen, subject, self._search(self._finder(look.label), collection))
        done = Enroller(collection).add(new_face(seen, look.digest, subject), seen.embedding.space)
        return _Result(200, _enrolled(done.face, done.added))

    def _search(self, found: finder.FaceExtractor, collection: Collection) -> SubjectSearch:
        held = self._searches.get(found.label)
        if held is None or held.collection is not collection:
            held = identify.subject_search(
                self._settings, found.label, found.embedder.scorer, collection, rejections=self._rejections
            )
            self._searches[found.label] = held
        return held

    def _compare(self, subject: str, wanted: list[tuple[str, int]]) -> _Result:
        """Compare the chosen faces with each other, and with the subject's faces."""
        candidates, previews = [], []
        for key, number in wanted:
            preview = self._looks.get(key)
            if number >= len(preview.seen) or (embedding := preview.seen[number].embedding) is None:
                raise InputError("face: there is no such face in the picture", "choose one of those shown", code="face")
            candidates.append(looks.Candidate(key, number, embedding.vector))
            previews.append(preview)
        if len({preview.collection for preview in previews}) != 1:
            raise InputError("looks: expected previews of one collection", "use the page", code="looks")
        collection = self._collections.get_or_create(previews[0].collection)
        own_ids = [face.face_id for face in collection.faces(limit=OWN, subject=subject)] if subject else []
        same = self._search(self._finder(previews[0].label), collection).scorer.typical_cosine(SAME_LIKENESS)
        odd = looks.odd_ones(candidates, collection.vectors(own_ids), same)
        return _Result(200, {"odd": [one.key for one, is_odd in zip(candidates, odd, strict=True) if is_odd]})

    def _refuse_harm(self, seen: ExtractedFace, subject: str, search: SubjectSearch) -> None:
        """The consistency check of ``edge review``. Raises ConflictError where the face looks like another subject."""
        near = looks.nearest(seen, search)
        if near and near[0].name != subject and near[0].likeness >= search.needed:
            words = f"it looks like {near[0].name}, who is enrolled already ({near[0].likeness:.0f} of 100)"
            raise ConflictError(words, "use that name, or enroll it anyway")
        if seen.embedding is not None and (harm := check_enrollment(search, seen.embedding.vector, subject).harm):
            raise ConflictError(harm, "take another picture, or enroll it anyway")


def _enrolled(face: Face, added: bool) -> dict[str, Any]:
    return {"status": "added" if added else "already_there", "subject": face.subject, "face_id": face.face_id}


def _wanted(document: dict[str, Any]) -> list[tuple[str, int]]:
    rows = document.get("looks")
    if not isinstance(rows, list) or not 1 <= len(rows) <= looks.MOST_HELD:
        raise InputError(f"looks: expected a list of 1 to {looks.MOST_HELD}", "use the page", code="looks")
    found = []
    for one in rows:
        key, number = (one.get("look"), one.get("face")) if isinstance(one, dict) else (None, None)
        if not isinstance(key, str) or not isinstance(number, int) or number < 0:
            raise InputError("looks: expected {look, face} in each", "use the page", code="looks")
        found.append((key, number))
    return found
