"""A webhook: documents sent by POST to one address, from a thread of its own."""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.core.errors import DeliveryError, FetchError
from edge.core.settings.address import SecretAddress
from edge.core.system import proxy

log = logging.getLogger(__name__)

WAITING = 50
"""pending documents; the oldest is dropped for a new one"""
PAUSE = 1.0
"""seconds before the second attempt; each further pause is four times as long"""
GROWTH = 4.0
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""status codes after which another attempt may succeed"""


@dataclass(frozen=True, slots=True)
class WebhookDocument:
    """A pending document."""

    body: bytes
    """JSON"""
    subject: str | None
    """whom it names"""


class Webhook:
    """``post`` never waits; ``report`` hears what is wrong with the webhook, or an empty text. Close it."""

    def __init__(
        self, address: str, timeout: float, attempts: int, report: Callable[[str], None], pause: float = PAUSE
    ) -> None:
        secret = SecretAddress(address)
        self._url, self._authorization = secret.without_credentials(), secret.basic_authorization()
        parts = urlsplit(self._url)
        self.server = f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")
        """the address without what may be secret: paths of webhooks often are"""
        self._timeout, self._attempts, self._report, self._pause = timeout, attempts, report, pause
        self._waiting: deque[WebhookDocument] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def post(self, document: WebhookDocument) -> None:
        """Queue a document."""
        with self._changed:
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                log.warning("webhook %s: %d pending notifications, the oldest is dropped", self.server, WAITING)
            self._waiting.append(document)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
                self._thread.start()
            self._changed.notify()

    def erase(self, subject: str) -> None:
        """Drop pending documents that name a subject."""
        with self._changed:
            self._waiting = deque(one for one in self._waiting if one.subject != subject)

    def close(self) -> None:
        """End; what waits is dropped. A request under way is given the time that it may take."""
        with self._changed:
            self._closing.set()
            self._waiting.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(self._timeout)

    def _work(self) -> None:
        opener = _opener(self._url)
        while not self._closing.is_set():
            with self._changed:
                while not self._waiting and not self._closing.is_set():
                    self._changed.wait()
                document = self._waiting.popleft() if self._waiting else None
            if document is not None:
                self._deliver(opener, document)

    def _deliver(self, opener: urllib.request.OpenerDirector, document: WebhookDocument) -> None:
        pause = self._pause
        for attempt in range(self._attempts):
            if attempt and self._closing.wait(pause * GROWTH ** (attempt - 1)):
                return
            try:
                self._send(opener, document.body)
            except DeliveryError as error:
                problem = str(error)
                continue
            except FetchError as error:
                problem = str(error)
                break
            self._report("")
            return
        self._report(problem)

    def _send(self, opener: urllib.request.OpenerDirector, body: bytes) -> None:
        """One attempt. Raises DeliveryError where another one may succeed, FetchError where none will."""
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "edge"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - the settings allow http
        try:
            with opener.open(request, timeout=self._timeout):
                return
        except urllib.error.HTTPError as error:
            error.close()
            text = f"{self.server} answered {error.code}: the notification was not accepted"
            if error.code in TRY_AGAIN:
                raise DeliveryError(text, "it is sent again; look at the log of that server") from error
            raise FetchError(text, "check notify.webhook: its path, its user and its password") from error
        except ssl.SSLCertVerificationError as error:
            raise FetchError(f"{self.server}: {error.verify_message}", _CERTIFICATE) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise FetchError(f"{self.server}: {reason.verify_message}", _CERTIFICATE) from error
            raise DeliveryError(
                f"{self.server}: {str(reason) or type(reason).__name__}", "check that it runs, and notify.webhook"
            ) from error


_CERTIFICATE = "set SSL_CERT_FILE to the certificate authority of that server"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without its document: the status is the answer."""

    def redirect_request(self, *_: object) -> None:
        return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    through = proxy.proxy_for(url)
    context = ssl.create_default_context(cafile=proxy.ca_file() or None)
    proxies = {urlsplit(url).scheme: through} if through else {}
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context), _NoRedirects
    )
