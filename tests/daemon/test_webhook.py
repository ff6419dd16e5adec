"""Documents reach a real server by POST; what it refuses is tried again or dropped, and nothing ever waits for it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import pytest
from rigs.mosquitto import free_port
from rigs.waiting import eventually
from rigs.webhook_server import Received, webhook_server

from edge.daemon.webhook import WAITING, Webhook, WebhookDocument

SECRET = "hook-5ecret"


class Problems(list[str]):
    """What a webhook reported."""

    def last(self) -> str | None:
        return self[-1] if self else None


def document(number: int = 0, subject: str | None = "alice") -> WebhookDocument:
    return WebhookDocument(json.dumps({"number": number}).encode(), subject)


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture
def server() -> Iterator[Received]:
    with webhook_server() as running:
        yield running


def test_a_document_is_posted_with_the_user_of_the_address(server: Received, problems: Problems) -> None:
    hook = Webhook(f"http://me:p@ss/1@127.0.0.1:{server.port}/{SECRET}", 5, 1, problems.append)
    hook.post(document(7))
    assert eventually(lambda: problems == [""])
    hook.close()
    assert (server.documents, server.paths) == ([{"number": 7}], [f"/{SECRET}"])
    assert server.headers[0]["content-type"] == "application/json; charset=utf-8"
    assert server.headers[0]["authorization"] == "Basic " + base64.b64encode(b"me:p@ss/1").decode()


@pytest.mark.parametrize(
    ("statuses", "tries", "delivered"),
    [([503, 429], 3, True), ([500] * 9, 3, False), ([404], 1, False), ([401], 1, False), ([302], 1, False)],
)
def test_only_what_may_succeed_is_tried_again_and_not_for_ever(
    problems: Problems, statuses: list[int], tries: int, delivered: bool
) -> None:
    with webhook_server(statuses) as server:
        hook = Webhook(f"{server.url}/{SECRET}", 5, 3, problems.append, pause=0.01)
        hook.post(document())
        assert eventually(lambda: problems)
        hook.close()
        assert len(server.documents) == tries
    said = problems.last()
    assert said is not None
    assert (said == "") is delivered
    assert SECRET not in said
    if not delivered:
        assert f"http://127.0.0.1:{server.port} answered {statuses[0]}" in said


def test_a_server_that_is_not_there_is_told_without_the_secret(problems: Problems) -> None:
    hook = Webhook(f"http://user:pw123456@127.0.0.1:{free_port()}/{SECRET}", 5, 2, problems.append, pause=0.01)
    hook.post(document())
    assert eventually(lambda: problems)
    hook.close()
    assert "Connection refused" in problems[0]
    assert SECRET not in problems[0]
    assert "pw123456" not in problems[0]


def test_a_server_that_does_not_answer_in_time_is_reported(problems: Problems) -> None:
    with webhook_server(slow=True) as server:
        hook = Webhook(f"{server.url}/{SECRET}", 0.2, 1, problems.append)
        hook.post(document())
        assert eventually(lambda: problems)
        hook.close()
    assert f"{server.url}: no answer after 0.2 s" in problems[0]
    assert SECRET not in problems[0]


def test_posting_to_a_server_that_hangs_takes_no_time_and_drops_the_oldest(problems: Problems) -> None:
    with webhook_server(slow=True) as server:
        hook = Webhook(server.url, 30, 1, problems.append)
        hook.post(document(0))
        assert eventually(lambda: server.documents)
        cpu = time.thread_time()
        for number in range(1, WAITING + 11):
            hook.post(document(number, "bob" if number % 2 else "alice"))
        assert time.thread_time() - cpu < 1.0
        hook.erase("alice")
        server.release.set()
        assert eventually(lambda: len(server.documents) == 1 + WAITING // 2)
        hook.close()
    assert [one["number"] for one in server.documents] == [0, *range(11, WAITING + 11, 2)]


def test_it_is_closed_while_the_server_hangs(problems: Problems) -> None:
    with webhook_server(slow=True) as server:
        hook = Webhook(server.url, 0.2, 3, problems.append)
        hook.post(document())
        hook.post(document())
        assert eventually(lambda: server.documents)
        hook.close()
        assert len(server.documents) == 1


def test_a_proxy_of_the_environment_is_used(
    server: Received, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://p:q@127.0.0.1:{server.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    hook = Webhook("http://hooks.example.org/edge", 5, 1, problems.append)
    hook.post(document())
    assert eventually(lambda: problems == [""])
    hook.close()
    assert server.paths == ["http://hooks.example.org/edge"]
    assert server.headers[0]["proxy-authorization"] == "Basic " + base64.b64encode(b"p:q").decode()
