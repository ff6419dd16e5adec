"""The review queue of all devices that share theirs: questions by face, one answer for every device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from edge.api.http import bodies
from edge.api.web.access import visitor_of
from edge.api.web.responses import in_thread, jpeg, with_document
from edge.core import subjects
from edge.core.errors import EdgeError, InputError, NotFoundError
from edge.hub.page.changes import ChangeLog
from edge.hub.review.questions import FleetQuestion, grouped
from edge.hub.review.store import FleetQuestions, identity
from edge.recognition.review.sharing import AnswerKind

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.hub.review.exchanger import ReviewExchanger

MAX_ANSWERS = 100
"""answers per request"""
MAX_UNDO = 1000
"""questions per request"""
MAX_LOOKS = 60
"""crops of one face in a response, the best"""
MAX_NAMES = 200
"""subjects per response"""
COLUMNS = ("face", "subject", "version", "label", "reason", "time", "devices", "looks", "likeness", "crop", "refused")
"""of a row of the list"""


class FleetReview:
    """``exchanger`` None: this hub has no key or no broker; ``known`` gives the subjects of the fleet's collections."""

    def __init__(
        self, store: FleetQuestions, exchanger: ReviewExchanger | None, changes: ChangeLog,
        known: Callable[[], set[str]],
    ) -> None:  # fmt: skip
        self._store, self._exchanger, self._changes, self._known = store, exchanger, changes, known
        self._lock = threading.Lock()
        self._listed: tuple[str, dict[int, FleetQuestion], int] = ("", {}, 0)
        """revision of the store, face -> question, answers that devices have not confirmed"""

    async def listed(self, request: Request) -> Response:
        """``GET /page/review?revision=R``: all questions as rows of ``columns``; none where nothing changed since."""
        revision = request.query_params.get("revision", "")
        return await in_thread(lambda: self._list(revision))

    async def one(self, request: Request) -> Response:
        """``GET /page/review/FACE``: a question with its crops and what the devices say."""
        face = request.path_params["face"]
        return await in_thread(lambda: _document(self._question(face)))

    async def picture(self, request: Request) -> Response:
        """``GET /page/review/looks/NUMBER.jpg``: a crop."""
        number = request.path_params["number"]
        return await jpeg(lambda: self._store.crop(number) if number < bodies.LARGEST else b"")

    async def names(self, request: Request) -> Response:
        """``GET /page/review/names?like=``: subjects to choose from."""
        like = request.query_params.get("like", "").casefold()
        return await in_thread(lambda: self._names(like))

    async def answered(self, request: Request) -> Response:
        """``POST /page/review/answers``: ``{"answers": [{"face", "answer", "subject", "force"}]}``."""
        who = visitor_of(request)
        return await with_document(request, lambda document: self._answer(document, who))

    async def undone(self, request: Request) -> Response:
        """``POST /page/review/undo``: ``{"questions": [[device, number]]}``, as an answer returned them."""
        who = visitor_of(request)
        return await with_document(request, lambda document: self._undo(document, who))

    async def split(self, request: Request) -> Response:
        """``POST /page/review/FACE/split``: ``{"question": [device, number]}``; it shows another face."""
        face, who = request.path_params["face"], visitor_of(request)
        return await with_document(request, lambda document: self._split(face, document, who))

    def waiting(self) -> int:
        """The number of questions, for the page's header. Raises StoreError."""
        return len(self._questions()[1])

    def _list(self, revision: str) -> dict[str, Any]:
        if self._exchanger is None:
            return {
                "missing": "this hub cannot ask its devices: it needs their broker and its key",
                "try": "set mqtt.host and hub.key (edge hub key FILE), then give each device its line of "
                "'edge hub review key DEVICE'",
            }
        now, questions, unconfirmed = self._questions()
        rows = [] if now == revision else [_row(one) for one in questions.values()]
        return {
            "revision": now, "changed": now != revision, "columns": COLUMNS, "questions": rows,
            "unconfirmed": unconfirmed,
        }  # fmt: skip

    def _questions(self) -> tuple[str, dict[int, FleetQuestion], int]:
        with self._lock:
            revision = self._store.revision
            if revision != self._listed[0]:
                answers = self._store.answers()
                questions = grouped(self._store.looks(), answers)
                self._listed = revision, questions, sum(not one.code for one in answers)
            return self._listed

    def _question(self, face: int) -> FleetQuestion:
        found = self._questions()[1].get(face)
        if found is None:
            raise NotFoundError("this question was answered already", "reload the page")
        return found

    def _names(self, like: str) -> dict[str, Any]:
        near = {name for one in self._questions()[1].values() for name, _ in one.nearest}
        try:
            known = self._known() | near
        except EdgeError:  # no repository: the names that devices mention
            known = near
        found = sorted(name for name in known if like in name.casefold())
        return {"subjects": [{"subject": name} for name in found[:MAX_NAMES]], "total": len(found)}

    def _answer(self, document: dict[str, Any], who: str) -> dict[str, Any]:
        outcomes = []
        for face, answer, subject, force in _given(document):
            try:
                questions = self._store.answer(face, answer, subject, force, who)
            except NotFoundError as error:
                outcomes.append({"face": face, "ok": False, "code": "gone", "error": error.message})
                continue
            self._changes.note(who, f"review: {answer}", str(len(questions)))
            outcomes.append({"face": face, "ok": True, "questions": questions})
        if self._exchanger is not None:
            self._exchanger.wake()
        return {"outcomes": outcomes}

    def _undo(self, document: dict[str, Any], who: str) -> dict[str, Any]:
        given = document.get("questions")
        if not isinstance(given, list) or not 1 <= len(given) <= MAX_UNDO:
            raise InputError(f"questions: expected a list of 1 to {MAX_UNDO}", "use the page")
        self._store.undo([identity(one) for one in given], who)
        self._changes.note(who, "review: undo", str(len(given)))
        if self._exchanger is not None:
            self._exchanger.wake()
        return {"ok": True}

    def _split(self, face: int, document: dict[str, Any], who: str) -> dict[str, Any]:
        self._store.split(face, *identity(document.get("question")))
        self._changes.note(who, "review: split")
        return {"ok": True}


def _row(one: FleetQuestion) -> list[Any]:
    best, nearest = one.looks[0].look, one.nearest
    crop = next((each.number for each in one.looks if each.look.crop), 0)
    return [
        one.face, one.subject, best.version, best.label, best.reason, max(each.look.time for each in one.looks),
        len({each.device for each in one.looks}), len(one.looks), nearest[0][1] if nearest else None, crop,
        bool(one.refused),
    ]  # fmt: skip


def _document(one: FleetQuestion) -> dict[str, Any]:
    best = one.looks[0].look
    return {
        **dict(zip(COLUMNS, _row(one), strict=True)),
        "pseudonym": best.pseudonym,
        "choices": best.choices,
        "needed": max(each.look.needed for each in one.asked) or None,
        "nearest": [{"subject": name, "likeness": likeness} for name, likeness in one.nearest],
        "refused": [
            {"device": each.device, "answer": each.answer, "subject": each.subject, "code": each.code,
             "error": each.error, "try": each.hint}
            for each in one.refused
        ],
        "looks": [
            {"number": each.number, "device": each.device, "question": each.look.group, "camera": each.look.camera,
             "collection": each.look.collection, "time": each.look.time, "quality": round(each.look.quality, 3),
             "subject": each.look.subject, "picture": bool(each.look.crop)}
            for each in one.looks[:MAX_LOOKS]
        ],
    }  # fmt: skip


def _given(document: dict[str, Any]) -> list[tuple[int, AnswerKind, str, bool]]:
    rows = document.get("answers")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ANSWERS:
        raise InputError(f"answers: expected a list of 1 to {MAX_ANSWERS}", "send them in parts")
    return [_checked(one) for one in rows]


def _checked(one: object) -> tuple[int, AnswerKind, str, bool]:
    kinds = [kind for kind in get_args(AnswerKind) if kind != "undo"]
    if not isinstance(one, dict) or one.get("answer") not in kinds:
        raise InputError(f"answer: expected one of {', '.join(kinds)}", "use the page")
    (face,) = bodies.numbers([one.get("face")], 1)
    answer, subject = one["answer"], one.get("subject") or ""
    if not isinstance(subject, str) or bool(subject) == (answer == "discard"):
        raise InputError("subject: expected a name with name and reject alone", "use the page")
    return face, answer, subjects.checked(subject) if subject else "", one.get("force") is True
