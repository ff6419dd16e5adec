"""Static files of a page, from the package; browsers revalidate them on each load (ETag)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

from edge.api.web.access import AccessControl, Handler, said

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

FOLDER = "page"
INCLUDE = re.compile(rb" *<!-- include (\S+) -->\n")
"""a line of a document that stands for a file of ``FOLDER``, which both pages share"""


def routes(door: AccessControl, files: Mapping[str, tuple[str, str]], folder: str = FOLDER) -> Iterator[BaseRoute]:
    """A route for each file; anybody may read them, they hold no secrets.

    ``files``: last part of the path (empty: ``/``) -> the file in ``folder`` of edge/data, and its content type.
    """
    for name, (file, kind) in files.items():
        yield _route(door, name, partial(read, file, folder), kind)


def route(door: AccessControl, name: str, body: bytes, kind: str) -> BaseRoute:
    """The route of one document, ``/page/<name>``."""
    return _route(door, name, lambda: body, kind)


def read(file: str, folder: str = FOLDER) -> bytes:
    """The bytes of a file in ``folder`` of edge/data, a document with what it includes."""
    body = resources.files("edge").joinpath(f"data/{folder}/{file}").read_bytes()
    return INCLUDE.sub(lambda found: read(found[1].decode()), body) if file.endswith(".html") else body


async def missing(request: Request) -> Response:
    """The response for a path that is none of the page's."""
    return said(404, f"there is no page {request.url.path[:80]!r}", "open /")


def _route(door: AccessControl, name: str, body: Callable[[], bytes], kind: str) -> BaseRoute:
    """An empty name is the document, ``/``."""
    from starlette.routing import Route

    return Route(f"/page/{name}" if name else "/", door.open(_asset(body, kind)), methods=["GET"])


def _asset(source: Callable[[], bytes], kind: str) -> Handler:
    """The file is read for each request: a page is seldom open, and its files need not stay in memory."""

    async def answer(request: Request) -> Response:
        from starlette.responses import Response

        body = source()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=kind, headers=headers)

    return answer
