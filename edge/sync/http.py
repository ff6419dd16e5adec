"""Requests for files: with time limits everywhere, no transparent decoding, and every error in one of two classes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge.errors import FetchError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

CHUNK = 16 << 10
"""bytes read at a time"""
CONNECT, GAP = 10.0, 30.0
"""seconds: to connect, and between two bytes"""


class RefusedError(FetchError):
    """The server answered, and not with the file. ``status`` is its code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, "check sync.url, and that the hub's 'public' folder is served there")
        self.status = status


class Http:
    """Fetches by GET. Not for two threads at once."""

    def __init__(self) -> None:
        self._pool: PoolManager | None = None

    @contextmanager
    def get(self, url: str, start: int = 0) -> Iterator[Response]:
        """The file from byte ``start`` on. Raises FetchError, RefusedError for a status that is not 200 or 206."""
        import urllib3

        if self._pool is None:
            self._pool = urllib3.PoolManager(maxsize=1)
        headers = {"Accept-Encoding": "identity", "User-Agent": "edge"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            answer = self._pool.request(
                "GET", url, headers=headers, preload_content=False, decode_content=False,
                timeout=urllib3.Timeout(connect=CONNECT, read=GAP),
                retries=urllib3.Retry(total=3, connect=0, read=0, status=0, other=0, redirect=3),
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise FetchError(f"{url}: {_plain(error)}", _HINT) from error
        try:
            if answer.status not in (200, 206):
                raise RefusedError(f"{url}: the server answered {answer.status}", answer.status)
            yield Response(url, answer, start)
        finally:
            answer.close()  # what was not read is not waited for


class Response:
    """An answer that is being read."""

    def __init__(self, url: str, answer: BaseHTTPResponse, start: int) -> None:
        self._url, self._answer = url, answer
        told = answer.headers.get("Content-Range", "")
        self.start = start if answer.status == 206 and told.startswith(f"bytes {start}-") else 0
        """the byte at which it begins: a server may ignore the wish"""
        if answer.status == 206 and self.start != start:
            raise FetchError(f"{url}: asked for bytes from {start} on, got {told[:60]!r}", _HINT)

    def pieces(self, seconds: float | None = None) -> Iterator[bytes]:
        """What arrives, as it arrives. Raises FetchError; also when it takes more than ``seconds`` in all."""
        import http.client

        import urllib3

        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            while piece := self._answer.read1(CHUNK):
                yield piece
                if deadline is not None and time.monotonic() > deadline:
                    raise FetchError(f"{self._url}: not here after {seconds:g} s", _HINT)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise FetchError(f"{self._url}: {_plain(error)}", _HINT) from error


_HINT = "nothing is lost: it goes on where it stopped; check the network and sync.url"


def _plain(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).rpartition(">: ")[2][:200] or type(error).__name__
