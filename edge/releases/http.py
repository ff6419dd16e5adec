"""HTTP for releases: time limits everywhere, no transparent decoding, two classes of errors.

The proxy of the environment and ``no_proxy`` are used; a user and a password in ``sync.url`` are sent as Basic
authentication to that server alone, and no error shows them.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from edge.core.errors import FetchError, SettingsError
from edge.core.settings.address import SecretAddress
from edge.core.storage.files import expanded
from edge.core.system import proxy

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager
    from urllib3.connection import HTTPConnection

NO_ADDRESS = SecretAddress("")
CHUNK = 16 << 10
"""bytes read at a time"""
CONNECT, GAP = 10.0, 30.0
"""seconds: to connect, and between two bytes"""
ANSWER = 15.0
"""seconds until an answer begins, redirections included: a server that sends its headers slowly keeps each gap short"""
STATUS_HINTS = {
    401: "put the user and the password into sync.url, before the host: USER:PASSWORD and an @ sign",
    403: "check the user and the password in sync.url, and what the server lets them read",
    407: "put the user and the password of the proxy into https_proxy, before its host: USER:PASSWORD and an @ sign",
}


class RefusedError(FetchError):
    """The server answered, and not with the file. ``status`` is its code."""

    def __init__(self, message: str, status: int) -> None:
        hint = STATUS_HINTS.get(status, "check sync.url, and that the hub's 'public' folder is served there")
        super().__init__(message, hint)
        self.status = status


class Http:
    """Fetches by GET from one server. Not for two threads at once."""

    def __init__(self, address: SecretAddress = NO_ADDRESS, ca: Path | None = None) -> None:
        """``address`` may hold a user and a query; ``ca``: certificate authorities instead of the system's."""
        parts = urlsplit(address.without_credentials())
        self.base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        """the address without credentials and query: it may be printed, and files lie below it"""
        self._query = parts.query
        self._authorization = address.basic_authorization()
        self._ca = str(expanded(ca)) if ca else proxy.ca_file()
        self._pools: dict[str, PoolManager] = {}
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()

    @contextmanager
    def get(self, url: str, start: int = 0) -> Iterator[Response]:
        """The file from byte ``start`` on. Raises FetchError, RefusedError for a status that is not 200 or 206."""
        import urllib3

        began = time.monotonic()
        try:
            with _ended_after(ANSWER, self._connections):
                answer = self._pool(url).request(
                    "GET", self._address(url), headers=self._headers(url, start), preload_content=False,
                    decode_content=False, timeout=urllib3.Timeout(connect=CONNECT, read=GAP),
                    retries=urllib3.Retry(total=3, connect=0, read=0, status=0, other=0, redirect=3),
                )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            late = time.monotonic() - began >= ANSWER
            why = f"no answer after {ANSWER:g} s" if late else _reason(error)
            raise FetchError(f"{url}: {why}{self._way(url)}", _hint_for(error)) from error
        try:
            if answer.status not in (200, 206):
                raise RefusedError(f"{url}: the server answered {answer.status}{self._way(url)}", answer.status)
            yield Response(url, answer, start, began)
        finally:
            answer.close()  # what was not read is not waited for

    def way(self) -> str:
        """How requests go: ``directly``, or by which proxy."""
        found = proxy.proxy_for(self.base)
        return f"by the proxy {SecretAddress(found).without_credentials()}" if found else "directly"

    def _way(self, url: str) -> str:
        found = proxy.proxy_for(url)
        return f" (by the proxy {SecretAddress(found).without_credentials()})" if found else ""

    def _address(self, url: str) -> str:
        return f"{url}?{self._query}" if self._query and self._is_ours(url) else url

    def _headers(self, url: str, start: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "edge"}
        if start:
            headers["Range"] = f"bytes={start}-"
        if self._authorization and self._is_ours(url):
            headers["Authorization"] = self._authorization
        return headers

    def _is_ours(self, url: str) -> bool:
        return url.startswith(f"{self.base}/")

    def _pool(self, url: str) -> PoolManager:
        through = proxy.proxy_for(url)
        if through not in self._pools:
            self._pools[through] = _pool(self._connections, through, self._ca)
        return self._pools[through]


class Response:
    """An answer that is being read."""

    def __init__(self, url: str, answer: BaseHTTPResponse, start: int, began: float) -> None:
        self._url, self._answer, self._began = url, answer, began
        told = answer.headers.get("Content-Range", "")
        self.start = start if answer.status == 206 and told.startswith(f"bytes {start}-") else 0
        """the byte at which it begins: a server may ignore the range"""
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
            raise FetchError(f"{self._url}: {_reason(error)}", _HINT) from error


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


def _pool(connections: weakref.WeakSet[HTTPConnection], through: str, ca: str) -> PoolManager:
    """A pool whose connections are in ``connections`` before they connect; ``through``: a proxy, or empty."""
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

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"certificate authorities: {ca} cannot be read: {error}", "correct sync.ca or SSL_CERT_FILE"
            ) from error
    options: dict[str, Any] = {"maxsize": 1, "ssl_context": context}
    manager: PoolManager = _proxied(through, options) if through else urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return manager


def _proxied(through: str, options: dict[str, Any]) -> PoolManager:
    import urllib3

    address = SecretAddress(through)
    if not through.startswith(("http://", "https://")):
        raise SettingsError(f"the proxy {address.without_credentials()} is of an unsupported kind",
                            "use an http or https proxy")  # fmt: skip
    headers = {"Proxy-Authorization": found} if (found := address.basic_authorization()) else None
    return urllib3.ProxyManager(address.without_credentials(), proxy_headers=headers, **options)


_HINT = "nothing is lost: the download continues where it stopped; check the network and sync.url"


def _hint_for(error: Exception) -> str:
    import urllib3

    reason = getattr(error, "reason", error)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        if "407" in str(reason.original_error):
            return STATUS_HINTS[407]
        return "check http_proxy, https_proxy and no_proxy in the environment of 'edge sync'"
    if "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return "check the clock; a server of your own needs its certificate authority in sync.ca"
    return _HINT


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    original = getattr(reason, "original_error", None)
    text = re.sub(r"^\w+\(host=[^)]*\): ", "", str(original or reason or error))
    return text.rpartition(">: ")[2][:200] or type(error).__name__
