"""Enrolment from the browser: one picture a request, as its body."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import finder, pictures, subjects
from edge.enroll import HINTS, enroll_picture
from edge.errors import BusyError, EdgeError, InputError, NotFoundError
from edge.page.door import said
from edge.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.api.worker import Lane
    from edge.collection import Collections

MOST_BYTES = 16 << 20
"""of one picture"""
SECONDS = 60.0
"""that a picture may take to arrive"""


@dataclass(frozen=True, slots=True)
class _Told:
    status: int
    document: dict[str, Any]


class Enrolment:
    """Only the lane's one thread touches the models."""

    def __init__(self, settings: Settings, state: Path, collections: Collections) -> None:
        self.lane: Lane | None = None
        # the cameras' interpreters are theirs; these take one core at most, and are loaded when first asked for
        models = settings.models.model_copy(update={"threads": 1})
        self._settings = settings.model_copy(update={"models": models})
        self._state, self._collections = state, collections
        self._finders: dict[str, finder.Finder] = {}

    def collections(self) -> list[str]:
        """Collections that a label is recognised by."""
        labels = self._settings.labels.values()
        return sorted({label.collection for label in labels if label.embedder and label.collection})

    async def answer(self, request: Request) -> Response:
        """``POST /page/collections/<name>/faces?subject=NAME`` with a picture."""
        from starlette.responses import JSONResponse

        name = request.path_params["name"]
        label = self._label(name)
        if label is None or self.lane is None:
            return said(404, f"no label is recognised by a collection {name[:64]!r}", "look at [labels]")
        try:
            subject = subjects.checked(request.query_params.get("subject", ""))
            body = await _body(request)
            future = self.lane.submit(lambda: self._enroll(name, label, subject, body))
            told: _Told = await asyncio.wrap_future(future)
        except BusyError:
            return said(503, "other pictures are being looked at", "try again")
        except InputError as error:
            return said(400, error.message, error.hint)
        except EdgeError as error:
            return said(500, error.message, error.hint)
        return JSONResponse(told.document, told.status)

    def _label(self, collection: str) -> str | None:
        labels = self._settings.labels.items()
        return next((name for name, label in labels if label.embedder and label.collection == collection), None)

    def _enroll(self, name: str, label: str, subject: str, body: bytes) -> _Told:
        picture = pictures.decode(body)
        if label not in self._finders:
            self._finders[label] = finder.load(self._settings, self._state, label)
        try:
            collection = self._collections.get(name)
        except NotFoundError:
            collection = self._collections.create(name)
        digest = hashlib.sha256(body).hexdigest()
        face, new, reason, others = enroll_picture(picture, digest, subject, self._finders[label], collection)
        if face is None:
            words = HINTS.get(reason, reason).format(label=label)
            return _Told(422, {"error": words, "reason": reason, "try": "take a sharp picture from the front"})
        status = "added" if new else "already_there"
        return _Told(200, {"status": status, "subject": face.subject, "face_id": face.face_id, "others": others})


async def _body(request: Request) -> bytes:
    """Raises InputError for what is too large or does not arrive."""
    from starlette.requests import ClientDisconnect

    parts, total = [], 0
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                total += len(part)
                if total <= MOST_BYTES:
                    parts.append(part)
    except (TimeoutError, ClientDisconnect) as error:
        raise InputError("the picture did not arrive", "try again", code="incomplete") from error
    if total > MOST_BYTES:
        raise InputError(
            f"the picture has {total >> 20} MiB, {MOST_BYTES >> 20} are taken", "make it smaller", code="too_large"
        )
    return b"".join(parts)
