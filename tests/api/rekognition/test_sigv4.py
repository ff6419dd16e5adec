"""Signatures: botocore signs, we verify."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from edge.api.rekognition import sigv4
from edge.api.rekognition.endpoint import ApiServer
from edge.api.rekognition.errors import ApiError
from edge.core.settings import loader as config
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BODY = b'{"CollectionId": "staff"}'


def signed(url: str = "http://device.local:8480/", body: bytes = BODY, key: str = KEY, secret: str = SECRET) -> Any:
    request = AWSRequest(
        "POST",
        url,
        {"X-Amz-Target": "RekognitionService.DescribeCollection", "Content-Type": "application/x-amz-json-1.1"},
        body,
    )
    SigV4Auth(Credentials(key, secret), "rekognition", "eu-west-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers.setdefault("host", url.split("/")[2])
    path, _, query = ("/" + url.split("/", 3)[3]).partition("?")
    return sigv4.RequestParts("POST", path, query, headers, body)


@pytest.mark.parametrize(
    "url", ["http://device.local:8480/", "http://device.local/rek/", "http://device.local/a?b=c%20d&a=1&empty="]
)
def test_what_botocore_signs_is_verified(url: str) -> None:
    who = sigv4.verify(signed(url), {KEY: SECRET}, time.time(), 900)

    assert (who.key, who.region) == (KEY, "eu-west-1")


@given(st.binary(max_size=200))
def test_any_body_is_covered(body: bytes) -> None:
    message = signed(body=body)
    sigv4.verify(message, {KEY: SECRET}, time.time(), 900)

    changed = sigv4.RequestParts(message.method, message.path, message.query, message.headers, body + b" ")
    with pytest.raises(ApiError):
        sigv4.verify(changed, {KEY: SECRET}, time.time(), 900)


def altered(message: sigv4.RequestParts, **headers: str) -> sigv4.RequestParts:
    return sigv4.RequestParts(message.method, message.path, message.query, {**message.headers, **headers}, message.body)


def test_what_is_not_rightly_signed_is_denied() -> None:
    good = signed()
    authorization = good.headers["authorization"]
    wrong = {
        "not signed": altered(good, authorization=""),
        "another scheme": altered(good, authorization="Bearer x"),
        "another secret": signed(secret="other"),
        "an unknown key": signed(key="OTHER"),
        "an unknown key without secret": signed(key="OTHER", secret=""),
        "another operation": altered(good, **{"x-amz-target": "RekognitionService.DeleteCollection"}),
        "another host": altered(good, host="elsewhere"),
        "another path": sigv4.RequestParts("POST", "/x", "", good.headers, good.body),
        "a bad date": altered(good, **{"x-amz-date": "yesterday"}),
        "another service": altered(good, authorization=authorization.replace("/rekognition/", "/s3/")),
        "too few headers": altered(good, authorization=authorization.replace(";x-amz-target", "")),
        "a changed signature": altered(good, authorization=authorization[:-4] + "0000"),
    }
    for what, message in wrong.items():
        with pytest.raises(ApiError) as caught:
            sigv4.verify(message, {KEY: SECRET}, time.time(), 900)
        assert caught.value.name == "AccessDeniedException", what
        assert SECRET not in caught.value.message


def test_the_clock_may_be_off_by_the_skew_and_no_more() -> None:
    message = signed()

    sigv4.verify(message, {KEY: SECRET}, time.time() + 800, 900)
    with pytest.raises(ApiError, match="s off this device's clock"):
        sigv4.verify(message, {KEY: SECRET}, time.time() + 1000, 900)
    sigv4.verify(message, {KEY: SECRET}, time.time() + 1000, 10_000)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    settings = Settings(api=ApiSettings(port=0, keys={KEY: SecretStr(SECRET)}))
    made = ApiServer(settings, tmp_path_factory.mktemp("state"))
    made.start()
    yield made
    made.stop()


def test_a_client_with_the_secret_gets_in_and_others_do_not(guarded: ApiServer) -> None:
    import service_model

    good = service_model.client(guarded.port)
    assert good.list_collections()["CollectionIds"] == []
    for options in ({"aws_secret_access_key": "other"}, {"config": {"signature_version": UNSIGNED}}):
        with pytest.raises(good.exceptions.AccessDeniedException) as caught:
            service_model.client(guarded.port, **options).list_collections()
        assert isinstance(caught.value, ClientError) or caught.value is not None


def test_keys_come_from_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "api-keys").write_text(f"{KEY} {SECRET}\nSECOND other\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    keys = config.read().api.keys

    assert {key: secret.get_secret_value() for key, secret in keys.items()} == {KEY: SECRET, "SECOND": "other"}
    assert SECRET not in repr(keys)
