"""HTTP client of releases, the model catalog and notifications: time limits, no transparent decoding, two errors.

The proxy of the environment and ``no_proxy`` are used, for each redirection anew; a user and a password in the address
are sent as Basic authentication to that server alone, and no error shows them.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

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
REDIRECTIONS = 3
PROXY_HINT = "put the user and the password of the proxy into https_proxy, before its host: USER:PASSWORD and an @ sign"


@dataclass(frozen=True, slots=True)
class HttpHints:
    """What errors advise: the words of the command or setting that names the address."""

    address: str = "the address"
    """where a user and a password stand"""
    ca: str = "SSL_CERT_FILE"
    """where certificate authorities are named"""
    network: str = "check the network and the address"
    missing: str = "check the address"
    """where the server has no such file"""

    def of_status(self, status: int) -> str:
        """For an answer that is not the file."""
        return {
            401: f"put the user and the password into {self.address}, before the host: USER:PASSWORD and an @ sign",
            403: f"check the user and the password in {self.address}, and what the server lets them read",
            407: PROXY_HINT,
        }.get(status, self.missing)


class RefusedError(FetchError):
    """The server answered with another status than the request needs. ``status`` is its code."""

    def __init__(self, message: str, status: int, hint: str) -> None:
        super().__init__(message, hint)
        self.status = status


class Http:
    """GET and POST with one server. Not for two threads at once."""

    def __init__(
        self, address: SecretAddress = NO_ADDRESS, ca: Path | None = None, hints: HttpHints = HttpHints()
    ) -> None:
        """``address`` may hold a user and a query; ``ca``: certificate authorities instead of the system's."""
        self._address = address.without_credentials()
        parts = urlsplit(self._address)
        self.server = f"{parts.scheme}://{parts.netloc}"
        """the address without credentials, path and query, which may be secret: it may be printed"""
        self.base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        """the address without credentials and query: it may be printed, and files lie below it"""
        self._query = parts.query
        self._hints = hints
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
                answer = self._answer(url, start)
        except urllib3.exceptions.HTTPError as error:
            late = time.monotonic() - began >= ANSWER
            why = f"no answer after {ANSWER:g} s" if late else _reason(error)
            raise FetchError(f"{url}: {why}{self._way(url)}", self._hint_for(error)) from error
        try:
            if answer.status not in (200, 206):
                message = f"{url}: the server answered {answer.status}{self._way(url)}"
                raise RefusedError(message, answer.status, self._hints.of_status(answer.status))
            yield Response(url, answer, start, began, self._hints.network)
        finally:
            answer.close()  # what was not read is not waited for

    def post(self, body: bytes, headers: Mapping[str, str], seconds: float) -> None:
        """POST to the address; ``seconds`` until the answer. Redirections are not followed.

        Errors name the server alone. Raises FetchError, RefusedError for a status that is not 2xx.
        """
        import urllib3

        began = time.monotonic()
        try:
            with _ended_after(seconds, self._connections):
                answer = self._pool(self._address).request(
                    "POST", self._address, body=body, headers={**self._headers(self._address), **headers},
                    preload_content=False, redirect=False, timeout=urllib3.Timeout(connect=seconds, read=seconds),
                    retries=urllib3.Retry(0, raise_on_status=False),
                )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            why = f"no answer after {seconds:g} s" if time.monotonic() - began >= seconds else _reason(error)
            raise FetchError(f"{self.server}: {why}{self._way(self._address)}", self._hint_for(error)) from error
        answer.close()
        if not 200 <= answer.status < 300:
            message = f"{self.server} answered {answer.status}{self._way(self._address)}"
            raise RefusedError(message, answer.status, self._hints.of_status(answer.status))

    def _answer(self, url: str, start: int) -> BaseHTTPResponse:
        """Past redirections, each with the proxy and the headers that are right for its address."""
        import urllib3

        at = f"{url}?{self._query}" if self._query and self._is_below(url) else url
        for _ in range(REDIRECTIONS + 1):
            answer = self._pool(at).request(
                "GET", at, headers=self._headers(at, start), preload_content=False, redirect=False,
                decode_content=False, timeout=urllib3.Timeout(connect=CONNECT, read=GAP), retries=urllib3.Retry(0),
            )  # fmt: skip
            target = answer.get_redirect_location()
            if not target:
                return answer
            answer.close()
            at = urljoin(at, target)
        raise FetchError(f"{url}: more than {REDIRECTIONS} redirections", self._hints.missing)

    def way(self) -> str:
        """How requests go: ``directly``, or by which proxy."""
        found = proxy.proxy_for(self.base)
        return f"by the proxy {SecretAddress(found).without_credentials()}" if found else "directly"

    def _way(self, url: str) -> str:
        found = proxy.proxy_for(url)
        return f" (by the proxy {SecretAddress(found).without_credentials()})" if found else ""

    def _headers(self, url: str, start: int = 0) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "edge"}
        if start:
            headers["Range"] = f"bytes={start}-"
        if self._authorization and urlsplit(url)[:2] == urlsplit(self.base)[:2]:
            headers["Authorization"] = self._authorization
        return headers

    def _is_below(self, url: str) -> bool:
        return url == self.base or url.startswith(f"{self.base}/")

    def _pool(self, url: str) -> PoolManager:
        through = proxy.proxy_for(url)
        if through not in self._pools:
            self._pools[through] = _pool(self._connections, through, self._ca, self._hints.ca)
        return self._pools[through]

    def _hint_for(self, error: Exception) -> str:
        import urllib3

        reason = getattr(error, "reason", error)
        if isinstance(reason, urllib3.exceptions.ProxyError):
            if "407" in str(reason.original_error):
                return PROXY_HINT
            return "check http_proxy, https_proxy and no_proxy in the environment of this command"
        if "CERTIFICATE_VERIFY_FAILED" in str(reason):
            return f"check the clock; a server of your own needs its certificate authority in {self._hints.ca}"
        return self._hints.network


class Response:
    """An answer that is being read."""

    def __init__(self, url: str, answer: BaseHTTPResponse, start: int, began: float, hint: str) -> None:
        self._url, self._answer, self._began, self._hint = url, answer, began, hint
        content_range = answer.headers.get("Content-Range", "")
        self.start = start if answer.status == 206 and content_range.startswith(f"bytes {start}-") else 0
        """the byte at which it begins: a server may ignore the range"""
        if answer.status == 206 and self.start != start:
            raise FetchError(f"{url}: asked for bytes from {start} on, got {content_range[:60]!r}", hint)
        length = answer.headers.get("Content-Length", "")
        self.total = self.start + int(length) if length.isdigit() and int(length) else 0
        """bytes of the whole file; 0: the server does not say"""

    def pieces(self, seconds: float | None = None) -> Iterator[bytes]:
        """What arrives, as it arrives. Raises FetchError; also ``seconds`` after it was asked for."""
        import http.client

        import urllib3

        deadline = None if seconds is None else self._began + seconds
        try:
            while piece := self._answer.read1(CHUNK):
                yield piece
                if deadline is not None and time.monotonic() > deadline:
                    raise FetchError(f"{self._url}: not here after {seconds:g} s", self._hint)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise FetchError(f"{self._url}: {_reason(error)}", self._hint) from error


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


def _pool(connections: weakref.WeakSet[HTTPConnection], through: str, ca: str, ca_setting: str) -> PoolManager:
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
                f"certificate authorities: {ca} cannot be read: {error}", f"correct {ca_setting}"
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


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    original = getattr(reason, "original_error", None)
    text = re.sub(r"^\w+\(host=[^)]*\): ", "", str(original or reason or error))
    return text.rpartition(">: ")[2][:200] or type(error).__name__
