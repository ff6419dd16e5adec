"""Notifications to an endpoint of SNS: one a job, signed, and again where it was away."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from rigs.waiting import eventually

from edge.api.http import sigv4
from edge.api.rekognition.notifications import TopicPublisher

TOPIC = "arn:aws:sns:eu-west-1:000000000000:done"


class Topics(http.server.ThreadingHTTPServer):
    """Takes notifications, or answers 503 while it is ``away``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.away = False
        self.told: list[tuple[dict[str, str], bytes]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Topics

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.away:
            self.server.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(503 if self.server.away else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topics]:
    with Topics() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
        yield server
        server.shutdown()


def test_a_notification_is_published_and_signed(topics: Topics) -> None:
    assert TopicPublisher().send(TOPIC, '{"Status": "SUCCEEDED", "é": 1}'.encode(), "Done")
    ((headers, body),) = topics.told
    form = {name: value[0] for name, value in parse_qs(body.decode()).items()}
    assert form == {
        "Action": "Publish", "Version": "2010-03-31", "TopicArn": TOPIC, "Message": '{"Status": "SUCCEEDED", "é": 1}',
        "Subject": "Done",
    }  # fmt: skip
    scope = sigv4.parsed(headers["authorization"])
    assert scope is not None
    assert (scope.service, scope.region) == ("sns", "eu-west-1")
    import hashlib

    head = sigv4.RequestHead("POST", "/", "", headers)
    digest = hashlib.sha256(body).hexdigest()
    assert sigv4.signature(head, scope, "SECRET", headers["x-amz-date"], digest) == scope.signature


def test_what_is_not_taken_is_told_to_the_caller(topics: Topics) -> None:
    topics.away = True
    assert not TopicPublisher().send(TOPIC, b"{}")


def test_posts_come_from_a_thread_of_their_own_in_order(topics: Topics) -> None:
    publisher = TopicPublisher()
    for number in range(5):
        publisher.post(TOPIC, b"%d" % number)
    assert eventually(lambda: len(topics.told) == 5, 20)
    assert [parse_qs(body.decode())["Message"] for _, body in topics.told] == [[str(number)] for number in range(5)]
    publisher.close()
