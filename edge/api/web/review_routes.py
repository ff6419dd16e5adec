"""The review queue in the browser: the questions, answers and consistency check of ``edge review``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies
from edge.api.web import box_corrections
from edge.api.web.access import said, visitor_of
from edge.api.web.history_routes import HistoryRoutes
from edge.core.errors import ConflictError, EdgeError, InputError, NotFoundError
from edge.core.settings.schema import Settings
from edge.labels.store import labels_of
from edge.recognition.review import answers
from edge.recognition.review.answers import ReviewService
from edge.recognition.review.database import FILE
from edge.recognition.review.face_crops import FaceCrops, FaceCropStore
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.labels.examples import Annotation
    from edge.recognition.review.pictures import ReviewPicture
    from edge.recognition.store.collections import Collections

AT_ONCE = 500
"""questions per response"""
MOST_ANSWERS = 100
"""answers per request, which limits how long other requests wait"""
Work = Callable[[ReviewService, int, str, bool], str | None]
WORK: dict[str, Work] = {
    "confirm": lambda given, number, subject, force: given.confirm(number, force, subject),
    "rename": lambda given, number, subject, force: given.rename(number, subject, force),
    "new": lambda given, number, subject, force: given.new(number, subject, force),
    "reject": lambda given, number, subject, _: given.reject(number, subject),
    "discard": lambda given, number, *_: given.discard(number),
}
"""answer -> handler"""
NAMING = ("rename", "new")
"""answers that require a name"""
ABOUT = ("confirm", "reject")
"""answers about the name that was shown, which may differ from the stored name"""


class ReviewRoutes:
    """Access to the queue is serialized. Its file is created only where ``review.enabled`` is set."""

    def __init__(self, settings: Settings, state: Path, collections: Collections, history: HistoryRoutes) -> None:
        self._settings, self._state, self._collections, self._history = settings, state, collections, history
        self._lock = threading.Lock()
        self._queue: ReviewQueue | None = None
        self._portraits: FaceCropStore | None = None
        self._answers: ReviewService | None = None

    def summary(self) -> dict[str, Any]:
        """Summary for the page: how many questions wait, what is kept and for how long."""
        review = self._settings.review
        with self._lock:
            kept = self._queue.kept() if self._opened() and self._queue else None
        return {
            "enabled": review.enabled,
            "crops": review.crops,
            "days": review.days,
            "most": review.most,
            "audit": review.audit,
            "waiting": kept.waiting if kept else 0,
            "newest": kept.newest if kept else 0,
            "answered": kept.answered if kept else 0,
            "pictures": kept.pictures if kept else 0,
        }

    def close(self) -> None:
        with self._lock:
            for one in (self._queue, self._portraits):
                if one is not None:
                    one.close()
            self._queue = self._portraits = self._answers = None

    async def listed(self, request: Request) -> Response:
        """``GET /page/review?after=ID``: the questions after an id, oldest first, up to AT_ONCE."""
        text = request.query_params.get("after", "")
        after = int(text) if text.isdecimal() and len(text) < 16 else 0
        return await self._in_thread(lambda: self._list(after))

    async def picture(self, request: Request) -> Response:
        """``GET /page/review/ID/picture.jpg``: the crop of a question."""
        return await self._jpeg(request, lambda number: self._needed().get(number).crop)

    async def portrait(self, request: Request) -> Response:
        """``GET /page/portraits/ID.jpg``: the crop of an enrolled face, where one is kept."""
        return await self._jpeg(request, lambda number: self._portraits.picture(number) if self._portraits else b"")

    async def answered(self, request: Request) -> Response:
        """``POST /page/review/answers``: ``{"answers": [{"id", "answer", "subject", "force"}]}``, each independent."""
        try:
            given = parsed_answers(await bodies.document(request))
        except InputError as error:
            return said(400, error.message, error.hint)
        who = visitor_of(request)
        return await self._in_thread(lambda: {"outcomes": [self._answer(**one, who=who) for one in given]})

    async def undone(self, request: Request) -> Response:
        """``POST /page/review/undo``: ``{"ids": [...]}``; returns the reopened questions."""
        try:
            numbers = bodies.numbers((await bodies.document(request)).get("ids"), MOST_ANSWERS)
        except InputError as error:
            return said(400, error.message, error.hint)
        who = visitor_of(request)
        return await self._in_thread(lambda: {"outcomes": [self._undo(number, who) for number in numbers]})

    async def split(self, request: Request) -> Response:
        """``POST /page/review/ID/split``: separate a crop that shows another face than the rest of its question."""
        number, who = request.path_params["number"], visitor_of(request)
        return await self._in_thread(lambda: self._split(number, who))

    async def picture_of_boxes(self, request: Request) -> Response:
        """``GET /page/review/ID/boxes.jpg``: the full picture of a question about a region."""
        return await self._jpeg(request, lambda number: self._boxed(number).jpeg)

    async def boxes(self, request: Request) -> Response:
        """``GET /page/review/ID/boxes``: the detected boxes of a question's picture, and the labels to choose from."""
        number = request.path_params["number"]
        return await self._in_thread(lambda: box_corrections.document(self._boxed(number), self._known_labels(number)))

    async def corrected(self, request: Request) -> Response:
        """``POST /page/review/ID/boxes``: ``{"boxes": [{"label", "left", "top", "width", "height"}]}``, all boxes."""
        number = request.path_params["number"]
        try:
            boxes = box_corrections.given(await bodies.document(request))
        except InputError as error:
            return said(400, error.message, error.hint)
        who = visitor_of(request)
        return await self._in_thread(lambda: self._correct(number, boxes, who))

    async def deleted(self, request: Request) -> Response:
        """``POST /page/review/delete``: delete all questions, and with ``{"answered": true}`` all answers."""
        try:
            also = (await bodies.document(request)).get("answered") is True
        except InputError as error:
            return said(400, error.message, error.hint)
        who = visitor_of(request)
        return await self._in_thread(lambda: self._clear(also, who))

    async def _in_thread(self, work: Callable[[], dict[str, Any]]) -> Response:
        from starlette.responses import JSONResponse

        def alone() -> dict[str, Any]:
            with self._lock:
                return work()

        try:
            return JSONResponse(await asyncio.to_thread(alone))
        except NotFoundError as error:
            return said(404, error.message, error.hint)
        except EdgeError as error:
            return said(500, error.message, error.hint)

    async def _jpeg(self, request: Request, of: Callable[[int], bytes]) -> Response:
        from starlette.responses import Response

        def alone() -> bytes:
            with self._lock:
                return of(number) if number < bodies.LARGEST and self._opened() else b""

        number = int(request.path_params["number"])
        try:
            data = await asyncio.to_thread(alone)
        except NotFoundError:
            data = b""  # answered or expired since the list was created
        except EdgeError as error:
            return said(500, error.message, error.hint)
        # browsers log no error for 204: the page shows the initials of the name instead
        return Response(data, media_type="image/jpeg") if data else Response(status_code=204)

    def _opened(self) -> bool:
        if self._queue is None and (self._settings.review.enabled or (self._state / FILE).exists()):
            self._queue = ReviewQueue(self._state, self._settings.review)
            self._portraits = FaceCropStore(self._state)
        return self._queue is not None

    def _needed(self) -> ReviewQueue:
        if not self._opened() or self._queue is None:
            raise NotFoundError("there is no review queue", "set review.enabled = true")
        return self._queue

    def _applying(self) -> ReviewService:
        if self._answers is None:
            search = answers.searches(self._settings, self._state, self._needed().rejections)
            self._answers = ReviewService(self._needed(), self._collections, search)
        return self._answers

    def _list(self, after: int) -> dict[str, Any]:
        if not self._opened():
            return {"questions": [], "more": False, "undoable": []}
        found = self._needed().doubts(after, AT_ONCE)
        undoable = self._applying().undoable
        newest = max((one.id for one in found), default=after)
        return {
            "questions": self._documents(found),
            "more": len(found) == AT_ONCE,
            "newest": newest,
            "undoable": undoable,
        }

    def _documents(self, found: Sequence[ReviewQuestion]) -> list[dict[str, Any]]:
        """One JSON document per face, with all its crops and the nearest subjects at this time."""
        portraits = self._portraits.all() if self._portraits else {}
        choices = {version: self._labels(version) for version in {one.version for one in found} if version}
        groups = [self._needed().looks(one) for one in {one.group: one for one in found}.values()]
        current = self._applying().current([looks[0] for looks in groups])
        return [
            {
                **self._document(looks, now, portraits),
                **({"choices": choices[now.version]} if now.version else {}),
            }
            for looks, now in zip(groups, current, strict=True)
        ]

    def _document(self, looks: Sequence[ReviewQuestion], now: ReviewQuestion, portraits: FaceCrops) -> dict[str, Any]:
        known: dict[str, Any] = answers.document(now)
        for one in known["nearest"]:
            pictures = portraits.get((now.collection, one["subject"]), {})
            # fall back to another picture of the same subject, marked as such
            one["picture"] = pictures.get(one["face_id"], next(reversed(pictures.values()), None))
            one["same_face"] = one["face_id"] in pictures
            if now.version:
                one["likeness"] = round(100 * one["similarity"], 1)
        return {
            **known,
            "id": now.group,
            "named": looks[0].subject,
            "boxes": bool(now.picture),
            "looks": [
                {"id": one.id, "picture": bool(one.crop), "time": one.time, "camera": one.camera,
                 "quality": round(one.quality, 3)}
                for one in looks
            ],
            "match_likeness": round(now.needed, 1) if now.needed else None,
        }  # fmt: skip

    def _clear(self, also: bool, who: str) -> dict[str, Any]:
        deleted = self._queue.clear(also) if self._opened() and self._queue else 0
        self._history.note(who, "review: deleted all")
        return {"deleted": deleted}

    def _split(self, number: int, who: str) -> dict[str, Any]:
        try:
            self._needed().split(number)
        except NotFoundError as error:
            return {"ok": False, "error": error.message, "try": error.hint}
        self._history.note(who, "review: split")
        return {"ok": True}

    def _boxed(self, number: int) -> ReviewPicture:
        """The picture of a question. Raises NotFoundError."""
        if number >= bodies.LARGEST:
            raise NotFoundError(f"there is no question {number}", "reload the page")
        return self._needed().pictures.get(self._needed().get(number).picture)

    def _known_labels(self, number: int) -> list[str]:
        return self._labels(self._needed().get(number).version)

    def _correct(self, number: int, boxes: Sequence[Annotation], who: str) -> dict[str, Any]:
        if number >= bodies.LARGEST:
            raise NotFoundError(f"there is no question {number}", "reload the page")
        answered = self._applying().correct(number, boxes)
        self._history.note(who, "review: boxes")
        return {"answered": answered}

    def _labels(self, version: str) -> list[str]:
        """The labels of a custom labels version; none where it was deleted."""
        return labels_of(self._state, version)

    def _answer(self, number: int, answer: str, subject: str, force: bool, who: str) -> dict[str, Any]:
        try:
            self._needed().get(number)
        except NotFoundError:
            return {"id": number, "ok": False, "code": "gone", "error": f"question {number} was answered already"}
        try:
            named = WORK[answer](self._applying(), number, subject, force)
        except ConflictError as error:
            return {"id": number, "ok": False, "code": "refused", "error": _plain(error.message, number)}
        except EdgeError as error:
            return {"id": number, "ok": False, "code": "failed", "error": error.message, "try": error.hint}
        self._history.note(who, f"review: {answer}", named or subject or None)
        return {"id": number, "ok": True, "answer": answer, "subject": named}

    def _undo(self, number: int, who: str) -> dict[str, Any]:
        try:
            doubt = self._applying().undo(number)
        except EdgeError as error:
            return {"id": number, "ok": False, "code": "gone", "error": error.message, "try": error.hint}
        self._history.note(who, "review: undo")
        return {"id": number, "ok": True, "question": self._documents([doubt])[0]}


def parsed_answers(document: dict[str, Any]) -> list[dict[str, Any]]:
    """``number``, ``answer``, ``subject`` and ``force`` of each answer of a request. Raises InputError."""
    rows = document.get("answers")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_ANSWERS:
        raise InputError(f"answers: expected a list of 1 to {MOST_ANSWERS}", "send them in parts", code="answers")
    return [_row(one) for one in rows]


def _row(one: object) -> dict[str, Any]:
    if not isinstance(one, dict) or not isinstance(one.get("answer"), str) or one["answer"] not in WORK:
        raise InputError(f"answer: expected one of {', '.join(WORK)}", "use the page", code="answer")
    (number,) = bodies.numbers([one.get("id")], 1)
    subject = one.get("subject") or ""
    wanted = one["answer"] in NAMING
    if not isinstance(subject, str) or (bool(subject) != wanted and one["answer"] not in ABOUT):
        raise InputError(f"subject: expected a name with {' and '.join(NAMING)} alone", "use the page", code="subject")
    return {"number": number, "answer": one["answer"], "subject": subject, "force": one.get("force") is True}


def _plain(message: str, number: int) -> str:
    return message.removeprefix(f"question {number}: ")
