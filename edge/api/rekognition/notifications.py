"""Notifications to an SNS topic, published to ``AWS_ENDPOINT_URL_SNS`` in addition to MQTT.

One POST of the Query protocol per notification, signed where the environment has credentials. Failed deliveries are
reported to the caller, which retries.
"""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
from datetime import datetime, timezone
from urllib.parse import urlencode, urlsplit

from edge.api.http import sigv4
from edge.core.errors import EdgeError
from edge.core.settings.address import SecretAddress

log = logging.getLogger(__name__)

ENDPOINT = "AWS_ENDPOINT_URL_SNS"
VERSION = "2010-03-31"
TIMEOUT = 10.0
WAITING = 100
"""waiting notifications of stream processors; when full, new ones are dropped"""


class TopicPublisher:
    """Publishes to the endpoint in the environment; ``url`` is empty where none is set. Thread-safe."""

    def __init__(self) -> None:
        self.url = os.environ.get(ENDPOINT, "")
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def send(self, topic: str, message: bytes, subject: str = "") -> bool:
        """Send one notification now; True where it was accepted. Blocks up to TIMEOUT seconds."""
        from edge.core.system.http import Http, HttpHints

        hints = HttpHints(ENDPOINT, network=f"check that it runs, and {ENDPOINT}", missing=f"check {ENDPOINT}")
        form = {"Action": "Publish", "Version": VERSION, "TopicArn": topic, "Message": message.decode()}
        if subject:
            form["Subject"] = subject
        body = urlencode(form).encode()
        try:
            Http(SecretAddress(self.url), hints=hints).post(body, self._headers(topic, body), TIMEOUT)
        except (EdgeError, ValueError) as error:
            log.warning("notification for %s was not accepted: %s", topic, error)
            return False
        return True

    def post(self, topic: str, message: bytes) -> None:
        """Send one notification from a background thread; dropped where WAITING already wait."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((topic, message))
        except queue.Full:
            log.warning("a notification for %s was dropped: %d are waiting", topic, WAITING)

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(TIMEOUT)

    def _work(self) -> None:
        while (waiting := self._queue.get()) is not None:
            self.send(*waiting)

    def _headers(self, topic: str, body: bytes) -> dict[str, str]:
        place = urlsplit(self.url)
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "host": place.netloc.rpartition("@")[2],
            "x-amz-date": stamp,
        }
        key, secret = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not (key and secret):
            return headers
        region = topic.split(":")[3] if topic.count(":") >= 5 else "us-east-1"
        scope = sigv4.Scope(key, stamp[:8], region, "sns", tuple(sorted(headers)), "")
        head = sigv4.RequestHead("POST", place.path or "/", place.query, headers)
        signed = sigv4.signature(head, scope, secret, stamp, hashlib.sha256(body).hexdigest())
        credential = f"{key}/{stamp[:8]}/{region}/sns/aws4_request"
        authorization = (
            f"{sigv4.ALGORITHM} Credential={credential}, SignedHeaders={';'.join(scope.headers)}, Signature={signed}"
        )
        return {**headers, "Authorization": authorization}
