"""Signed requests: what is verified is what runs, and what changes something is done once."""

from __future__ import annotations

import datetime
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import service_model
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from pydantic import SecretStr

from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
Headers = list[tuple[str, str]]


@pytest.fixture(scope="module")
def guarded(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    import conftest

    settings = conftest.settings_for(shared / "models", keys={KEY: SecretStr(SECRET)})
    made = ApiServer(settings, tmp_path_factory.mktemp("state"))
    made.start()
    yield made
    made.stop()


def signed(port: int, operation: str, body: bytes, monkeypatch: pytest.MonkeyPatch | None = None) -> Headers:
    """Signed now, or half a minute ago where ``monkeypatch`` is given."""
    if monkeypatch is not None:
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=30)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: before)
    request = AWSRequest(
        "POST",
        f"http://127.0.0.1:{port}/",
        {"X-Amz-Target": f"RekognitionService.{operation}", "Content-Type": "application/x-amz-json-1.1"},
        body,
    )
    SigV4Auth(Credentials(KEY, SECRET), "rekognition", "eu-west-1").add_auth(request)
    if monkeypatch is not None:
        monkeypatch.undo()
    return [("Host", f"127.0.0.1:{port}"), *request.headers.items()]


def send(port: int, headers: Headers, body: bytes) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
    for name, value in (*headers, ("Content-Length", str(len(body)))):
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


def test_a_client_with_the_secret_gets_in_and_others_hear_why_not(guarded: ApiServer) -> None:
    assert service_model.client(guarded.port).list_collections()["CollectionIds"] == []
    for options, code in (
        ({"aws_secret_access_key": "other"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "other"}, "UnrecognizedClientException"),
        ({"config": {"signature_version": UNSIGNED}}, "MissingAuthenticationTokenException"),
    ):
        with pytest.raises(ClientError) as caught:
            service_model.client(guarded.port, **options).list_collections()
        assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("first", [True, False])
def test_a_recorded_request_cannot_be_made_another_one(guarded: ApiServer, first: bool) -> None:
    asked = service_model.client(guarded.port)
    asked.create_collection(CollectionId=f"staff-{first}")
    body = json.dumps({"CollectionId": f"staff-{first}"}).encode()
    headers = signed(guarded.port, "DescribeCollection", body)
    other = ("X-Amz-Target", "RekognitionService.DeleteCollection")

    status, answer = send(guarded.port, [other, *headers] if first else [*headers, other], body)

    assert (status, answer["__type"]) == (400, "InvalidSignatureException")
    assert f"staff-{first}" in asked.list_collections()["CollectionIds"]


def test_what_changes_something_is_done_once_and_answered_again(
    guarded: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = b'{"CollectionId": "once"}'
    headers = signed(guarded.port, "CreateCollection", create, monkeypatch)
    answers = [send(guarded.port, headers, create) for _ in range(3)]
    service_model.client(guarded.port).delete_collection(CollectionId="once")
    answers.append(send(guarded.port, headers, create))

    assert [status for status, _ in answers] == [200] * 4
    assert answers.count(answers[0]) == 4
    assert "once" not in service_model.client(guarded.port).list_collections()["CollectionIds"]


def test_a_recorded_request_is_not_done_again_after_a_restart(shared: Path, tmp_path: Path) -> None:
    import conftest

    settings = conftest.settings_for(shared / "models", keys={KEY: SecretStr(SECRET)})
    create = b'{"CollectionId": "recorded"}'
    first = ApiServer(settings, tmp_path)
    first.start()
    headers = signed(first.port, "CreateCollection", create)
    assert send(first.port, headers, create)[0] == 200
    service_model.client(first.port).delete_collection(CollectionId="recorded")
    first.stop()
    again = ApiServer(
        settings.model_copy(update={"api": settings.api.model_copy(update={"port": first.port})}), tmp_path
    )
    again.start()
    try:
        status, content = send(again.port, headers, create)
        assert (status, content["__type"]) == (400, "InvalidSignatureException")
        assert service_model.client(again.port).list_collections()["CollectionIds"] == []
        fresh = signed(again.port, "CreateCollection", b'{"CollectionId": "fresh"}')
        assert send(again.port, fresh, b'{"CollectionId": "fresh"}')[0] == 200
    finally:
        again.stop()


def test_copies_that_come_at_once_are_done_once(guarded: ApiServer) -> None:
    create = b'{"CollectionId": "together"}'
    headers = signed(guarded.port, "CreateCollection", create)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(guarded.port, headers, create), range(8)))

    assert answers == [answers[0]] * 8
    assert answers[0][0] == 200


def test_what_reads_may_be_asked_again(guarded: ApiServer) -> None:
    headers = signed(guarded.port, "ListCollections", b"{}")
    before = send(guarded.port, headers, b"{}")[1]["CollectionIds"]
    service_model.client(guarded.port).create_collection(CollectionId="later")
    after = send(guarded.port, headers, b"{}")[1]["CollectionIds"]

    assert "later" not in list(before)  # type: ignore[call-overload]
    assert "later" in list(after)  # type: ignore[call-overload]


def test_an_unsigned_endpoint_answers_neither_browsers_nor_proxies(tmp_path: Path) -> None:
    made = ApiServer(Settings(api=ApiSettings(port=0)), tmp_path)
    made.start()
    try:
        for header in ("Origin", "Sec-Fetch-Site", "X-Forwarded-For", "Forwarded"):
            target = ("X-Amz-Target", "RekognitionService.ListCollections")
            status, answer = send(made.port, [("Host", "127.0.0.1"), target, (header, "192.0.2.1")], b"{}")
            assert (status, answer["__type"]) == (400, "AccessDeniedException")
    finally:
        made.stop()
