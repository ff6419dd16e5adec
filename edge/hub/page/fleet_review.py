"""The review queue of all devices that share theirs: one question for each face, one answer for every device.

Requests and responses are those of the device's own queue (``edge.api.web.review_routes``), so that both pages share
their scripts. The number of a question is that of its face in the hub's store.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies
from edge.api.web.access import visitor_of
from edge.api.web.responses import in_thread, jpeg, with_document
from edge.api.web.review_routes import AT_ONCE, MOST_ANSWERS, parsed_answers
from edge.core import subjects
from edge.core.errors import EdgeError, InputError, NotFoundError
from edge.hub.page.changes import ChangeLog
from edge.hub.review.questions import FleetQuestion, grouped
from edge.hub.review.store import FleetAnswer, FleetQuestions
from edge.recognition.review.sharing import AnswerKind

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.hub.review.exchanger import ReviewExchanger

MAX_LOOKS = 12
"""crops of one question in a response, the best"""
MAX_PLACES = 3
"""cameras that are named"""
MAX_NAMES = 200
"""subjects per response"""
MAX_UNDOABLE = 500
"""answers that can be taken back"""
KINDS: dict[str, AnswerKind] = {
    "confirm": "name", "rename": "name", "new": "name", "reject": "reject", "discard": "discard",
}  # fmt: skip
"""answer on the page -> answer for the devices: each decides by its own collection whether a name is new"""


class FleetReview:
    """``exchanger`` None: this hub has no key or no broker; ``known`` gives the subjects of the fleet's collections."""

    def __init__(
        self, store: FleetQuestions, exchanger: ReviewExchanger | None, changes: ChangeLog,
        known: Callable[[], set[str]],
    ) -> None:  # fmt: skip
        self._store, self._exchanger, self._changes, self._known = store, exchanger, changes, known
        self._lock = threading.Lock()
        self._read: tuple[str, dict[int, FleetQuestion]] = ("", {})
        """revision of the store, number -> question"""
        self._given: OrderedDict[int, list[tuple[str, int]]] = OrderedDict()
        """number -> device and its question, of the answers that can be taken back"""

    async def listed(self, request: Request) -> Response:
        """``GET /page/review?after=NUMBER``: the questions after a number, oldest first, up to AT_ONCE."""
        text = request.query_params.get("after", "")
        after = int(text) if text.isdecimal() and len(text) < 16 else 0
        return await in_thread(lambda: self._list(after))

    async def picture(self, request: Request) -> Response:
        """``GET /page/review/LOOK/picture.jpg``: a crop."""
        number = request.path_params["number"]
        return await jpeg(lambda: self._store.crop(number) if number < bodies.LARGEST else b"")

    async def names(self, request: Request) -> Response:
        """``GET /page/collections/NAME?like=``: subjects to choose from, of the fleet and of the questions."""
        like = request.query_params.get("like", "").casefold()
        return await in_thread(lambda: self._names(like))

    async def answered(self, request: Request) -> Response:
        """``POST /page/review/answers``: ``{"answers": [{"id", "answer", "subject", "force"}]}``, each independent.

        An answer that a device refuses is a new question, with what the device says.
        """
        who = visitor_of(request)
        return await with_document(request, lambda document: self._answer(document, who))

    async def undone(self, request: Request) -> Response:
        """``POST /page/review/undo``: ``{"ids": [...]}``; questions that devices ask again come without content."""
        who = visitor_of(request)
        return await with_document(request, lambda document: self._undo(document, who))

    async def split(self, request: Request) -> Response:
        """``POST /page/review/LOOK/split``: the device's question of this crop shows another face."""
        number, who = request.path_params["number"], visitor_of(request)
        return await in_thread(lambda: self._split(number, who))

    def summary(self) -> dict[str, Any]:
        """For the page's state. Raises StoreError."""
        questions = self._questions()
        return {
            "enabled": self._exchanger is not None, "waiting": len(questions), "newest": max(questions, default=0),
        }  # fmt: skip

    def _list(self, after: int) -> dict[str, Any]:
        found = [one for number, one in self._questions().items() if number > after]
        shown = found[:AT_ONCE]
        return {
            "questions": [_document(one) for one in shown],
            "more": len(found) > len(shown),
            "newest": max((one.face for one in shown), default=after),
            "undoable": list(self._given),
        }

    def _questions(self) -> dict[int, FleetQuestion]:
        """By number, oldest first."""
        with self._lock:
            revision = self._store.revision
            if revision != self._read[0]:
                self._read = revision, grouped(self._store.looks(), self._store.answers())
            return self._read[1]

    def _names(self, like: str) -> dict[str, Any]:
        near = {name for one in self._questions().values() for name, _ in one.nearest}
        try:
            known = self._known() | near
        except EdgeError:  # no repository: the names that devices mention
            known = near
        found = sorted(name for name in known if like in name.casefold())
        return {"subjects": [{"subject": name} for name in found[:MAX_NAMES]], "total": len(found)}

    def _answer(self, document: dict[str, Any], who: str) -> dict[str, Any]:
        outcomes = [self._answer_one(**one, who=who) for one in parsed_answers(document)]
        self._wake()
        return {"outcomes": outcomes}

    def _answer_one(self, number: int, answer: str, subject: str, force: bool, who: str) -> dict[str, Any]:
        kind = KINDS[answer]
        try:
            if bool(subject) == (kind == "discard"):
                raise InputError("this question names no subject", "give a name")
            name = subjects.checked(subject) if subject else ""
            given = self._store.answer(number, kind, name, force, who)
        except NotFoundError as error:
            return {"id": number, "ok": False, "code": "gone", "error": error.message}
        except InputError as error:
            return {"id": number, "ok": False, "code": "failed", "error": error.message, "try": error.hint}
        self._given[number] = given
        while len(self._given) > MAX_UNDOABLE:
            self._given.popitem(last=False)
        self._changes.note(who, f"review: {answer}", str(len(given)))
        return {"id": number, "ok": True, "answer": answer, "subject": name or None}

    def _undo(self, document: dict[str, Any], who: str) -> dict[str, Any]:
        outcomes = [self._undo_one(number, who) for number in bodies.numbers(document.get("ids"), MOST_ANSWERS)]
        self._wake()
        return {"outcomes": outcomes}

    def _undo_one(self, number: int, who: str) -> dict[str, Any]:
        given = self._given.pop(number, None)
        if given is None:
            return {"id": number, "ok": False, "code": "gone", "error": "only the latest answers can be taken back"}
        self._store.undo(given, who)
        self._changes.note(who, "review: undo", str(len(given)))
        back = self._questions().get(number)
        return {"id": number, "ok": True, "question": _document(back) if back else None}

    def _split(self, number: int, who: str) -> dict[str, Any]:
        self._store.split(number)
        self._changes.note(who, "review: split")
        return {"ok": True}

    def _wake(self) -> None:
        if self._exchanger is not None:
            self._exchanger.wake()


def _document(one: FleetQuestion) -> dict[str, Any]:
    best = one.looks[0].look
    places = list(dict.fromkeys(f"{each.device} · {each.look.camera}" for each in one.looks))
    shown = ", ".join(places[:MAX_PLACES]) + (f" +{len(places) - MAX_PLACES}" if len(places) > MAX_PLACES else "")
    return {
        "id": one.face,
        "reason": best.reason,
        "time": max(each.look.time for each in one.looks),
        "camera": shown,
        "track": "",
        "devices": len({each.device for each in one.looks}),
        "label": best.label,
        "collection": best.collection,
        "version": best.version,
        "subject": one.subject,
        "named": best.subject,
        "pseudonym": best.pseudonym,
        "boxes": False,
        "nearest": [
            {"subject": name, "likeness": likeness, "picture": None, "same_face": False}
            for name, likeness in one.nearest
        ],
        "match_likeness": max(each.look.needed for each in one.asked) or None,
        "looks": [
            {"id": each.number, "picture": bool(each.look.crop), "time": each.look.time, "camera": each.device,
             "quality": round(each.look.quality, 3)}
            for each in one.looks[:MAX_LOOKS]
        ],
        **({"choices": best.choices} if best.version else {}),
        **({"refused": _refusal(one.refused[0])} if one.refused else {}),
    }  # fmt: skip


def _refusal(one: FleetAnswer) -> dict[str, Any]:
    return {
        "device": one.device, "answer": "rename" if one.answer == "name" else one.answer, "subject": one.subject,
        "code": one.code, "error": one.error, "try": one.hint,
    }  # fmt: skip
