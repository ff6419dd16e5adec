"""An HTTP server of files in memory, with knobs: stops in the middle, forgets ranges, changes files."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    stop_after: int | None = None
    """bytes of a body after which the connection is cut"""
    ranges: bool = True
    tells_length: bool = True
    status: int = 0
    """answer every request with this one"""
    authorization: str = ""
    """that a request must bring"""
    redirects: dict[str, str] = field(default_factory=dict)
    """path -> address elsewhere"""
    authorizations: list[str] = field(default_factory=list)
    """of each request, or an empty text"""
    asked: list[str] = field(default_factory=list)
    """the Range of each request, or an empty text"""
    sent: int = 0
    """bytes of bodies"""


@contextmanager
def serving() -> Iterator[FileServer]:
    knobs = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, knobs)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    knobs.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield knobs
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(request: BaseHTTPRequestHandler, knobs: FileServer) -> None:
    wanted = request.headers.get("Range") or ""
    knobs.asked.append(wanted)
    knobs.authorizations.append(request.headers.get("Authorization") or "")
    if request.path in knobs.redirects:
        request.send_response(302)
        request.send_header("Location", knobs.redirects[request.path])
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    if knobs.authorization and knobs.authorizations[-1] != knobs.authorization:
        request.send_error(401)
        return
    body = knobs.files.get(request.path)
    if knobs.status or body is None:
        request.send_error(knobs.status or 404)
        return
    found = re.fullmatch(r"bytes=(\d+)-", wanted)
    start = int(found[1]) if found and knobs.ranges else 0
    if start and start >= len(body):
        request.send_error(416)
        return
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    if knobs.tells_length:
        request.send_header("Content-Length", str(len(body) - start))
    request.end_headers()
    part = body[start:] if knobs.stop_after is None else body[start : start + knobs.stop_after]
    knobs.sent += len(part)
    request.wfile.write(part)
    request.close_connection = True
