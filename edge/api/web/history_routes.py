"""The history in the browser: appearances by filter, the looks of one appearance, the timeline of a day."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.web.access import visitor_of
from edge.api.web.responses import in_thread, jpeg
from edge.core.errors import InputError, NotFoundError
from edge.core.settings.schema import Settings
from edge.pipeline.history import BINS, FILE, Appearance, HistoryFilter, HistoryStore

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

PAGE = 60
"""appearances per response"""
MAX_TEXT = 255
DAY = 86400.0
LATEST = 1e11
"""largest accepted timestamp, in seconds since the epoch"""


class HistoryRoutes:
    """The history file is opened only where it exists or ``history.enabled`` is set."""

    def __init__(self, settings: Settings, state: Path) -> None:
        self._settings, self._state = settings, state
        self._lock = threading.Lock()
        self._store: HistoryStore | None = None

    def store(self) -> HistoryStore | None:
        """None where there is no history."""
        with self._lock:
            if self._store is None and (self._settings.history.enabled or (self._state / FILE).exists()):
                self._store = HistoryStore(self._state, self._settings.history)
            return self._store

    def note(self, who: str, what: str, subject: str | None = None) -> None:
        """Record a change made by a visitor."""
        if (store := self.store()) is not None:
            store.note(who, what, subject)

    def close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = None

    async def listed(self, request: Request) -> Response:
        """``GET /page/history``: appearances, newest first; ``before=START,ID`` continues after one."""
        query = request.query_params
        return await in_thread(lambda: self._listed(query))

    async def one(self, request: Request) -> Response:
        """``GET /page/history/ID``: an appearance with all looks."""
        number = request.path_params["number"]
        return await in_thread(lambda: self._one(number))

    async def picture(self, request: Request) -> Response:
        """``GET /page/history/ID/picture.jpg``."""
        number = request.path_params["number"]
        return await jpeg(lambda: self._needed().picture(number))

    async def timeline(self, request: Request) -> Response:
        """``GET /page/history/timeline?since=``: one day from a time on, in intervals of five minutes per camera."""
        query = request.query_params
        return await in_thread(lambda: self._timeline(query))

    async def deleted(self, request: Request) -> Response:
        """``POST /page/history/ID/delete``."""
        number, who = request.path_params["number"], visitor_of(request)
        return await in_thread(lambda: self._deleted(number, who))

    async def cleared(self, request: Request) -> Response:
        """``POST /page/history/clear``: delete every appearance."""
        who = visitor_of(request)
        return await in_thread(lambda: self._cleared(who))

    async def changes(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/history/changes``: recorded changes with their visitors, newest first."""
        return await in_thread(self._changes)

    def _needed(self) -> HistoryStore:
        if (store := self.store()) is None:
            raise NotFoundError("no history is kept", "set history.enabled = true")
        return store

    def _listed(self, query: QueryParams) -> dict[str, Any]:
        settings = self._settings.history
        kept = {"enabled": settings.enabled, "pictures": settings.pictures, "days": settings.days}
        if (store := self.store()) is None:
            return {"appearances": [], "more": False, "choices": {"cameras": [], "labels": []}, "kept": kept}
        found = store.find(_filter(query), _before(query), PAGE + 1)
        return {
            "appearances": [appearance_document(one) for one in found[:PAGE]],
            "more": len(found) > PAGE,
            "choices": store.choices(),
            "kept": kept,
        }

    def _one(self, number: int) -> dict[str, Any]:
        one = self._needed().get(number)
        looks = [
            {
                "offset": look.offset, "subject": look.subject, "likeness": look.likeness, "runner_up": look.runner_up,
                "needed": look.needed, "quality": look.quality,
            }
            for look in one.looks
        ]  # fmt: skip
        return {**appearance_document(one), "looks": looks}

    def _timeline(self, query: QueryParams) -> dict[str, Any]:
        since = _moment(query, "since")
        if since is None:
            raise InputError("since: expected seconds since the epoch", "use the page", code="since")
        store = self.store()
        parts = store.timeline(since, since + DAY) if store else []
        return {
            "since": since,
            "bins": BINS,
            "parts": [{"camera": camera, "part": part, "count": n, "known": k} for camera, part, n, k in parts],
        }

    def _deleted(self, number: int, who: str) -> dict[str, Any]:
        self._needed().delete(number)
        self.note(who, "history: deleted")
        return {"ok": True}

    def _cleared(self, who: str) -> dict[str, Any]:
        deleted = self._needed().clear()
        self.note(who, "history: deleted all")
        return {"deleted": deleted}

    def _changes(self) -> dict[str, Any]:
        store = self.store()
        found = store.changes() if store else []
        return {"changes": [{"time": o.time, "who": o.who, "what": o.what, "subject": o.subject} for o in found]}


def appearance_document(one: Appearance) -> dict[str, Any]:
    """The page's JSON for an appearance, without its looks."""
    return {
        "id": one.id,
        "camera": one.camera,
        "label": one.label,
        "started": one.started,
        "ended": one.ended,
        "synced": one.synced,
        "state": one.state,
        "subject": one.subject,
        "likeness": one.likeness,
        "zones": one.zones,
        "custom_labels": one.custom_labels,
        "reason": one.reason,
        "picture": bool(one.picture),
    }


def _filter(query: QueryParams) -> HistoryFilter:
    texts = {name: query.get(name, "")[:MAX_TEXT] for name in ("subject", "state", "camera", "label", "text")}
    return HistoryFilter(**texts, since=_moment(query, "since"), until=_moment(query, "until"))


def _moment(query: QueryParams, name: str) -> float | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        moment = float(text)
    except ValueError:
        moment = -1.0
    if not 0 <= moment <= LATEST:
        raise InputError(f"{name}: expected seconds since the epoch, got {text[:40]!r}", "use the page", code=name)
    return moment


def _before(query: QueryParams) -> tuple[float, int] | None:
    text = query.get("before", "")
    if not text:
        return None
    started, _, number = text.partition(",")
    try:
        found = float(started), int(number)
    except ValueError:
        found = -1.0, 0
    if not 0 <= found[0] <= LATEST or not 0 < found[1] < 1 << 62:
        raise InputError(f"before: expected START,ID, got {text[:40]!r}", "use the page", code="before")
    return found
