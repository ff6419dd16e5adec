"""The device in the browser: doctor's findings, recent log lines, restart, update and rollback."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.api.web.access import said, visitor_of
from edge.api.web.history_routes import HistoryRoutes
from edge.core.credentials import mask_credentials
from edge.core.settings.schema import Settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_LINES = 200
"""log lines kept"""
MAX_LINE = 500
"""characters per line"""
CHILD_SECONDS = 180.0
"""time limit of a child process"""
MAX_OUTPUT = 1 << 20
"""bytes of its output"""
NICE = 10
COMMANDS: dict[str, tuple[str, ...]] = {"update": ("sync",), "rollback": ("release", "rollback")}
"""action -> arguments of ``edge``, run in a child process"""


class RecentLog(logging.Handler):
    """Log handler that keeps the most recent lines. Thread-safe."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[dict[str, Any]] = deque(maxlen=MAX_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        text = mask_credentials(record.getMessage())[:MAX_LINE]
        self._lines.append({"time": record.created, "level": record.levelname.lower(), "text": text})

    def lines(self) -> list[dict[str, Any]]:
        """Recent log lines, newest last."""
        return list(self._lines)


class DeviceRoutes:
    """``restart`` requests a restart of the daemon; without it the restart action is refused."""

    def __init__(self, settings: Settings, history: HistoryRoutes) -> None:
        self.restart: Callable[[], None] | None = None
        self._settings, self._history = settings, history
        self._log = RecentLog()
        self._busy = asyncio.Lock()
        logging.getLogger().addHandler(self._log)

    def close(self) -> None:
        logging.getLogger().removeHandler(self._log)

    async def log(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/device/log``: recent log lines."""
        from starlette.responses import JSONResponse

        return JSONResponse({"lines": self._log.lines()})

    async def doctor(self, request: Request) -> Response:  # noqa: ARG002
        """``POST /page/device/doctor``: run ``edge doctor``; returns its findings."""
        from starlette.responses import JSONResponse

        status, out, err = await self._run("doctor", "--json")
        try:
            findings = json.loads(out)["findings"]
        except (ValueError, KeyError, TypeError):
            return said(500, f"edge doctor gave no findings (exit code {status}): {err[:300]}", "run edge doctor")
        return JSONResponse({"findings": findings})

    async def acted(self, request: Request) -> Response:
        """``POST /page/device/ACTION``: ``restart``, ``update`` or ``rollback``."""
        from starlette.responses import JSONResponse

        action, who = request.path_params["action"], visitor_of(request)
        if action == "restart":
            if self.restart is None:
                return said(409, "nothing can be restarted here: no daemon runs", "systemctl restart edge")
            await asyncio.to_thread(self._history.note, who, "restart")
            self.restart()
            return JSONResponse({"ok": True, "text": ""})
        if action not in COMMANDS:
            return said(404, f"there is no action {action[:40]!r}", f"one of restart, {', '.join(COMMANDS)}")
        if action == "update" and not self._settings.sync.url:
            return said(409, "no updates are set up", "set sync.url and sync.root")
        await asyncio.to_thread(self._history.note, who, action)
        status, out, err = await self._run(*COMMANDS[action])
        if status:
            return said(500, (err or out)[:500].strip() or f"exit code {status}", "edge doctor")
        return JSONResponse({"ok": True, "text": mask_credentials(out)[-2000:].strip()})

    async def _run(self, *words: str) -> tuple[int, str, str]:
        """Run an edge command in a child process, one at a time; returns exit code, stdout and stderr."""
        async with self._busy:
            child = await asyncio.create_subprocess_exec(
                "nice", "-n", str(NICE), sys.executable, "-m", "edge", *words,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "NO_COLOR": "1"},
            )  # fmt: skip
            began = time.monotonic()
            try:
                out, err = await asyncio.wait_for(child.communicate(), CHILD_SECONDS)
            except asyncio.TimeoutError:  # another exception in Python 3.10
                child.kill()
                await child.wait()
                return 1, "", f"edge {words[0]} took longer than {time.monotonic() - began:.0f} s"
        return child.returncode or 0, _text(out), mask_credentials(_text(err))


def _text(output: bytes) -> str:
    return output[:MAX_OUTPUT].decode("utf-8", "replace")
