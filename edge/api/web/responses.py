"""Responses of the page's routes: the work runs in a thread; results and errors are JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies
from edge.api.web.access import said
from edge.core.errors import BusyError, ConflictError, EdgeError, InputError, NotFoundError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

STATUS: dict[type[EdgeError], int] = {BusyError: 503, ConflictError: 409, NotFoundError: 404, InputError: 400}
"""the first matching class counts; any other error is 500"""


async def in_thread(work: Callable[[], dict[str, Any]]) -> Response:
    """Run ``work`` in a thread; its document as JSON, or its EdgeError with status and hint."""
    from starlette.responses import JSONResponse

    try:
        return JSONResponse(await asyncio.to_thread(work))
    except EdgeError as error:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
        return said(status, error.message, error.hint)


async def with_document(request: Request, work: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """As ``in_thread``, with the JSON object that the request sends."""
    try:
        document = await bodies.document(request)
    except InputError as error:
        return said(400, error.message, error.hint)
    return await in_thread(lambda: work(document))


async def jpeg(work: Callable[[], bytes]) -> Response:
    """The JPEG that ``work`` returns; 204 where it is empty."""
    from starlette.responses import Response

    try:
        data = await asyncio.to_thread(work)
    except EdgeError:
        data = b""
    return Response(data, media_type="image/jpeg") if data else Response(status_code=204)
