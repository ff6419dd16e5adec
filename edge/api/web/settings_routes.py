"""Settings in the browser: current values, a diff before a change is applied, undo, a preview of thresholds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies
from edge.api.web import settings_file
from edge.api.web.access import said, visitor_of
from edge.api.web.history_routes import DAY, HistoryRoutes, appearance_document
from edge.api.web.responses import in_thread
from edge.api.web.settings_file import MAX_DEPTH, SettingChange, SettingsFile
from edge.core.compat import tomllib
from edge.core.errors import InputError, NotFoundError
from edge.core.settings import loader
from edge.core.settings.schema import Settings
from edge.inference import model as models
from edge.inference.calibration import false_match_rate
from edge.pipeline.loader import VOTE_QUALITY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_CHANGES = 50
"""changes per request"""
MAX_PREVIEWED = 300
"""newest appearances of the last day that a threshold is previewed on"""


class SettingsRoutes:
    """``reload`` applies the file to the daemon; without it a change takes effect at the next start."""

    def __init__(self, settings: Settings, state: Path, history: HistoryRoutes) -> None:
        self.reload: Callable[[], None] | None = None
        self._settings, self._history = settings, history
        self._file = SettingsFile(loader.find(None) or loader.SYSTEM_FILE, state)
        self._lock = threading.Lock()
        self._state = state

    async def told(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/settings``: the settings in force, their schema, and the digest of the file."""
        return await in_thread(self._current)

    async def previewed(self, request: Request) -> Response:
        """``POST /page/settings/preview``: ``{"base", "changes": [{"path", "value"}]}``; returns the diff."""
        return await self._with_changes(request, self._previewed)

    async def applied(self, request: Request) -> Response:
        """``POST /page/settings/apply``: the same request; writes the file and reloads it."""
        who = visitor_of(request)
        return await self._with_changes(request, lambda base, changes: self._applied(base, changes, who))

    async def undone(self, request: Request) -> Response:
        """``POST /page/settings/undo``: restore the file before the last change."""
        who = visitor_of(request)
        return await in_thread(lambda: self._undone(who))

    async def thresholds(self, request: Request) -> Response:
        """``GET /page/settings/thresholds?label=&likeness=``: who would have been recognized in the last day."""
        label, likeness = request.query_params.get("label", ""), request.query_params.get("likeness", "")
        return await in_thread(lambda: self._thresholds(label, likeness))

    async def _with_changes(
        self, request: Request, work: Callable[[str, list[SettingChange]], dict[str, Any]]
    ) -> Response:
        try:
            document = await bodies.document(request)
            base, changes = document.get("base"), _changes(document)
            if not isinstance(base, str):
                raise InputError("base: expected the digest of the file", "use the page", code="base")
        except InputError as error:
            return said(400, error.message, error.hint)
        return await in_thread(lambda: work(base, changes))

    def _current(self) -> dict[str, Any]:
        from edge.core.settings.json_schema import settings_schema

        text = self._file.text()
        return {
            "path": str(self._file.path),
            "base": settings_file.digest(text),
            "undoable": self._file.undoable,
            "cameras": len(tomllib.loads(text).get("cameras", ())),
            "takes_over": self.reload is not None,
            "schema": settings_schema(),
            "sources": [str(camera.source) for camera in self._settings.cameras],
            "values": self._settings.model_dump(mode="json"),
        }

    def _thresholds(self, label: str, text: str) -> dict[str, Any]:
        from edge.pipeline import threshold_preview

        likeness = _likeness(text)
        section = self._settings.labels.get(label)
        if section is None or not section.embedder:
            raise NotFoundError(f"label {label[:40]!r} is not recognized by a collection", "choose another label")
        store = self._history.store()
        since = time.time() - DAY
        appearances = store.looked_at(label, since, MAX_PREVIEWED) if store else []
        vote = threshold_preview.NamingVote(
            self._nats(section.embedder), self._settings.recognition.votes, VOTE_QUALITY
        )
        found = threshold_preview.preview(appearances, likeness, vote)
        latest = next((look.needed for one in appearances for look in reversed(one.looks) if look.needed), None)
        return {
            "needed": section.similarity if section.similarity is not None else latest,
            "one_in": round(1 / false_match_rate(likeness)),
            "appearances": len(found),
            "named": sum(one.before is not None for one in found),
            "would_be_named": sum(one.after is not None for one in found),
            "changed": [
                {**appearance_document(one.appearance), "before": one.before, "after": one.after}
                for one in found
                if one.before != one.after
            ],
        }

    def _nats(self, embedder: str) -> Callable[[float], float]:
        folders = models.folders(self._settings.models, self._state)
        return models.find(embedder, folders).card.map.log_likelihood_ratio

    def _previewed(self, base: str, changes: list[SettingChange]) -> dict[str, Any]:
        new = self._file.changed(base, changes)
        return {"diff": settings_file.diff(self._file.text(), new)}

    def _applied(self, base: str, changes: list[SettingChange], who: str) -> dict[str, Any]:
        with self._lock:
            new = self._file.changed(base, changes)
            diff = settings_file.diff(self._file.text(), new)
            self._file.write(base, new)
        names = ", ".join(sorted({str(one.path[0]) for one in changes}))
        self._history.note(who, f"settings: {names}")
        if self.reload is not None:
            self.reload()
        return {"ok": True, "diff": diff, "base": settings_file.digest(new)}

    def _undone(self, who: str) -> dict[str, Any]:
        with self._lock:
            self._file.undo()
        self._history.note(who, "settings: undo")
        if self.reload is not None:
            self.reload()
        return {"ok": True}


def _likeness(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 100:
        raise InputError(f"likeness: expected 0 to 100, got {text[:40]!r}", "use the page", code="likeness")
    return found


def _changes(document: dict[str, Any]) -> list[SettingChange]:
    rows = document.get("changes")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_CHANGES:
        raise InputError(f"changes: expected a list of 1 to {MAX_CHANGES}", "use the page", code="changes")
    found = []
    for one in rows:
        path = one.get("path") if isinstance(one, dict) else None
        good = isinstance(path, list) and 1 <= len(path) <= MAX_DEPTH and isinstance(path[0], str)
        if not good or not all(isinstance(key, str | int) and not isinstance(key, bool) for key in path or ()):
            raise InputError("path: expected a list of names and numbers", "use the page", code="path")
        found.append(SettingChange(tuple(path or ()), one.get("value")))
    return found
