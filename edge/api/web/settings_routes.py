"""The settings in the browser: what is set, a change as a diff before it is applied, undo, a camera's test picture."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edge.api.http import bodies
from edge.api.web import settings_file
from edge.api.web.access import said
from edge.api.web.history_routes import HistoryRoutes
from edge.api.web.responses import in_thread
from edge.api.web.settings_file import MAX_DEPTH, SettingChange, SettingsFile
from edge.core.compat import tomllib
from edge.core.errors import EdgeError, InputError
from edge.core.imaging import image as pictures
from edge.core.settings import loader
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_CHANGES = 50
"""in one request"""
TEST_SECONDS = 15.0
"""that a camera may take to give its first picture"""
TEST_WIDTH = 960


class SettingsRoutes:
    """``reload`` makes the daemon take the file over; without it a change counts from the next start."""

    def __init__(self, settings: Settings, state: Path, history: HistoryRoutes) -> None:
        self.reload: Callable[[], None] | None = None
        self._settings, self._history = settings, history
        self._file = SettingsFile(loader.find(None) or loader.SYSTEM_FILE, state)
        self._lock = threading.Lock()
        self._testing = asyncio.Lock()

    async def told(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/settings``: the settings in force, their schema, and the digest of the file."""
        return await in_thread(self._told)

    async def previewed(self, request: Request) -> Response:
        """``POST /page/settings/preview``: ``{"base", "changes": [{"path", "value"}]}``; the diff."""
        return await self._with_changes(request, self._previewed)

    async def applied(self, request: Request) -> Response:
        """``POST /page/settings/apply``: the same, written and taken over."""
        who = request.scope.get("edge.who", "")
        return await self._with_changes(request, lambda base, changes: self._applied(base, changes, who))

    async def undone(self, request: Request) -> Response:
        """``POST /page/settings/undo``: the file as it was before the last change."""
        who = request.scope.get("edge.who", "")
        return await in_thread(lambda: self._undone(who))

    async def tested(self, request: Request) -> Response:
        """``POST /page/settings/camera``: the settings of a camera; a picture of it, or why there is none."""
        from starlette.responses import Response

        try:
            document = await bodies.document(request)
            camera = CameraSettings.model_validate({**document, "enabled": True})
        except InputError as error:
            return said(400, error.message, error.hint)
        except ValidationError as error:
            first = error.errors()[0]
            return said(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}", "correct it")
        async with self._testing:
            try:
                data = await asyncio.to_thread(_picture_of, camera)
            except EdgeError as error:
                return said(422, error.message, error.hint)
        return Response(data, media_type="image/jpeg")

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

    def _told(self) -> dict[str, Any]:
        text = self._file.text()
        return {
            "path": str(self._file.path),
            "base": settings_file.digest(text),
            "undoable": self._file.undoable,
            "cameras": len(tomllib.loads(text).get("cameras", ())),
            "takes_over": self.reload is not None,
            "schema": Settings.model_json_schema(),
            "values": self._settings.model_dump(mode="json"),
        }

    def _previewed(self, base: str, changes: list[SettingChange]) -> dict[str, Any]:
        new = self._file.changed(base, changes)
        return {"diff": settings_file.diff(self._file.text(), new)}

    def _applied(self, base: str, changes: list[SettingChange], who: str) -> dict[str, Any]:
        with self._lock:
            new = self._file.changed(base, changes)
            told = settings_file.diff(self._file.text(), new)
            self._file.write(base, new)
        names = ", ".join(sorted({str(one.path[0]) for one in changes}))
        self._history.note(who, f"settings: {names}")
        if self.reload is not None:
            self.reload()
        return {"ok": True, "diff": told, "base": settings_file.digest(new)}

    def _undone(self, who: str) -> dict[str, Any]:
        with self._lock:
            self._file.undo()
        self._history.note(who, "settings: undo")
        if self.reload is not None:
            self.reload()
        return {"ok": True}


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


def _picture_of(camera: CameraSettings) -> bytes:
    """The first frame of a camera as a JPEG. Raises EdgeError."""
    from edge.core.errors import SourceError
    from edge.sources.factory import open_source

    source = open_source(camera.model_copy(update={"stall": min(camera.stall, TEST_SECONDS)}))
    try:
        for frame in source.frames():
            main = frame.main
            width = min(TEST_WIDTH, main.width)
            height = max(1, round(main.height * width / main.width))
            return pictures.encode_jpeg(pictures.resized_rgb(main, width, height), 80)
    finally:
        with suppress(EdgeError):
            source.close()
    raise SourceError(f"{source.name}: gave no picture", "check the address, and that nothing else uses the camera")
