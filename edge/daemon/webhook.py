"""A webhook: documents sent by POST to one address, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge.core.errors import EdgeError
from edge.core.settings.address import SecretAddress
from edge.core.system.http import Http, HttpHints, RefusedError

log = logging.getLogger(__name__)

WAITING = 50
"""pending documents; the oldest is dropped for a new one"""
PAUSE = 1.0
"""seconds before the second attempt; each further pause is four times as long"""
GROWTH = 4.0
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""status codes after which another attempt may succeed"""
HEADERS = {"Content-Type": "application/json; charset=utf-8"}
HINTS = HttpHints(
    "notify.webhook",
    network="check that the server runs, and notify.webhook",
    missing="check notify.webhook and the log of that server",
)


@dataclass(frozen=True, slots=True)
class WebhookDocument:
    """A pending document."""

    body: bytes
    """JSON"""
    subject: str | None
    """the subject in the document"""


class Webhook:
    """Sends documents in order, each up to ``attempts`` times with ``timeout`` seconds for an answer.

    ``report`` is called after each document, with an empty text or the error. Close it.
    """

    def __init__(
        self, address: str, timeout: float, attempts: int, report: Callable[[str], None], pause: float = PAUSE
    ) -> None:
        self._http = Http(SecretAddress(address), hints=HINTS)
        self._timeout, self._attempts, self._report, self._pause = timeout, attempts, report, pause
        self._waiting: deque[WebhookDocument] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def post(self, document: WebhookDocument) -> None:
        """Queue a document; never blocks."""
        with self._changed:
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                log.warning("webhook %s: %d pending notifications, the oldest is dropped", self._http.server, WAITING)
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
        """Drop pending documents and end the thread; waits up to ``timeout`` seconds for a request in progress."""
        with self._changed:
            self._closing.set()
            self._waiting.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(self._timeout)

    def _work(self) -> None:
        while not self._closing.is_set():
            with self._changed:
                while not self._waiting and not self._closing.is_set():
                    self._changed.wait()
                document = self._waiting.popleft() if self._waiting else None
            if document is not None:
                self._deliver(document)

    def _deliver(self, document: WebhookDocument) -> None:
        pause = self._pause
        problem = ""
        for attempt in range(self._attempts):
            if attempt and self._closing.wait(pause * GROWTH ** (attempt - 1)):
                return
            try:
                self._http.post(document.body, HEADERS, self._timeout)
            except RefusedError as error:
                problem = str(error)
                if error.status not in TRY_AGAIN:
                    break
            except EdgeError as error:
                problem = str(error)
            else:
                problem = ""
                break
        self._report(problem)
