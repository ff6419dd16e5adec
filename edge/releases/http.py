"""Requests for files: with time limits everywhere, no transparent decoding, and every error in one of two classes."""

from __future__ import annotations

import re
import socket
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from edge.core.errors import FetchError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager
    from urllib3.connection import HTTPConnection

CHUNK = 16 << 10
"""bytes read at a time"""
CONNECT, GAP = 10.0, 30.0
"""seconds: to connect, and between two bytes"""
ANSWER = 15.0
"""seconds until an answer begins, redirections and all: a server that drips its headers keeps every gap short"""


class RefusedError(FetchError):
    """The server answered, and not with the file. ``status`` is its code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, "check sync.url, and that the hub's 'public' folder is served there")
        self.status = status


class Http:
    """Fetches by GET. Not for two threads at once."""

    def __init__(self, authorization: str = "") -> None:
        """``authorization``: value of the header of that name, not sent to other hosts."""
        self._authorization = authorization
        self._pool: PoolManager | None = None
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()

    @contextmanager
    def get(self, url: str, start: int = 0) -> Iterator[Response]:
        """The file from byte ``start`` on. Raises FetchError, RefusedError for a status that is not 200 or 206."""
        import urllib3

        if self._pool is None:
            self._pool = _pool(self._connections)
        headers = {"Accept-Encoding": "identity", "User-Agent": "edge"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        if start:
            headers["Range"] = f"bytes={start}-"
        began = time.monotonic()
        try:
            with _ended_after(ANSWER, self._connections):
                answer = self._pool.request(
                    "GET", url, headers=headers, preload_content=False, decode_content=False,
                    timeout=urllib3.Timeout(connect=CONNECT, read=GAP),
                    retries=urllib3.Retry(total=3, connect=0, read=0, status=0, other=0, redirect=3),
                )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            late = time.monotonic() - began >= ANSWER
            why = f"no answer after {ANSWER:g} s" if late else _plain(error)
            raise FetchError(f"{url}: {why}", _HINT) from error
        try:
            if answer.status not in (200, 206):
                raise RefusedError(f"{url}: the server answered {answer.status}", answer.status)
            yield Response(url, answer, start, began)
        finally:
            answer.close()  # what was not read is not waited for


class Response:
    """An answer that is being read."""

    def __init__(self, url: str, answer: BaseHTTPResponse, start: int, began: float) -> None:
        self._url, self._answer, self._began = url, answer, began
        told = answer.headers.get("Content-Range", "")
        self.start = start if answer.status == 206 and told.startswith(f"bytes {start}-") else 0
        """the byte at which it begins: a server may ignore the wish"""
        if answer.status == 206 and self.start != start:
            raise FetchError(f"{url}: asked for bytes from {start} on, got {told[:60]!r}", _HINT)

    def pieces(self, seconds: float | None = None) -> Iterator[bytes]:
        """What arrives, as it arrives. Raises FetchError; also ``seconds`` after it was asked for."""
        import http.client

        import urllib3

        deadline = None if seconds is None else self._began + seconds
        try:
            while piece := self._answer.read1(CHUNK):
                yield piece
                if deadline is not None and time.monotonic() > deadline:
                    raise FetchError(f"{self._url}: not here after {seconds:g} s", _HINT)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise FetchError(f"{self._url}: {_plain(error)}", _HINT) from error


@contextmanager
def _ended_after(seconds: float, connections: Iterable[HTTPConnection]) -> Iterator[None]:
    """What waits for one of ``connections`` in the block ends with an error after ``seconds``."""

    def end() -> None:
        for one in list(connections):
            with suppress(OSError, AttributeError, TypeError):
                # not SSLSocket's own: that would pull its state from under the thread that reads
                socket.socket.shutdown(one.sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _pool(connections: weakref.WeakSet[HTTPConnection]) -> PoolManager:
    """Connections by scheme, each in ``connections`` before it has connected."""
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        def connect(self) -> None:
            connections.add(self)
            super().connect()

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            connections.add(self)
            super().connect()

    class Plains(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class Secures(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    manager = urllib3.PoolManager(maxsize=1)
    manager.pool_classes_by_scheme = {"http": Plains, "https": Secures}
    return manager


_HINT = "nothing is lost: it goes on where it stopped; check the network and sync.url"


def _plain(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    text = re.sub(r"^\w+\(host=[^)]*\): ", "", str(reason or error))
    return text.rpartition(">: ")[2][:200] or type(error).__name__
