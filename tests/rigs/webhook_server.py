"""A real HTTP server on loopback that accepts notifications, or refuses them with the statuses that it is given."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """What arrived, in order."""

    port: int = 0
    documents: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """answers wait for it where the server is slow"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def webhook_server(statuses: Sequence[int] = (), *, slow: bool = False) -> Iterator[Received]:
    """``statuses``: of the first answers; then 200. ``slow``: no answer before ``release`` is set."""
    received, left = Received(), list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.headers.append({name.lower(): value for name, value in self.headers.items()})
            received.paths.append(self.path)
            received.documents.append(json.loads(body))
            if slow:
                received.release.wait(30)
            self.send_response(left.pop(0) if left else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield received
        finally:
            received.release.set()
            server.shutdown()
            thread.join(10)
