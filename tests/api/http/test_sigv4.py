"""Signatures: botocore signs, we verify."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from edge.api.http import sigv4
from edge.core.settings import loader as config

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
    return Message(sigv4.RequestHead("POST", path, query, headers), body)


@dataclass(frozen=True)
class Message:
    """A request as it arrives."""

    head: sigv4.RequestHead
    body: bytes


def verify(message: Message, secrets: dict[str, str], now: float, skew: float) -> sigv4.Verified:
    """As the endpoint does it: headers first, then the body's digest."""
    signature = sigv4.opened(message.head, secrets, now, skew, ("rekognition",))
    return signature.check(hashlib.sha256(message.body).hexdigest())


@pytest.mark.parametrize(
    "url", ["http://device.local:8480/", "http://device.local/rek/", "http://device.local/a?b=c%20d&a=1&empty="]
)
def test_what_botocore_signs_is_verified(url: str) -> None:
    who = verify(signed(url), {KEY: SECRET}, time.time(), 900)

    assert (who.key, who.region) == (KEY, "eu-west-1")


@given(st.binary(max_size=200))
def test_any_body_is_covered(body: bytes) -> None:
    message = signed(body=body)
    verify(message, {KEY: SECRET}, time.time(), 900)

    changed = replace(message, body=body + b" ")
    with pytest.raises(sigv4.SignatureError):
        verify(changed, {KEY: SECRET}, time.time(), 900)


def altered(message: Message, **headers: str) -> Message:
    return replace(message, head=replace(message.head, headers={**message.head.headers, **headers}))


def test_what_is_not_rightly_signed_is_denied() -> None:
    good = signed()
    authorization = good.head.headers["authorization"]
    wrong = {
        "not signed": (altered(good, authorization=""), "missing"),
        "another scheme": (altered(good, authorization="Bearer x"), "incomplete"),
        "another secret": (signed(secret="other"), "mismatch"),
        "an unknown key": (signed(key="OTHER"), "unknown_key"),
        "an unknown key without secret": (signed(key="OTHER", secret=""), "unknown_key"),
        "another operation": (altered(good, **{"x-amz-target": "RekognitionService.DeleteCollection"}), "mismatch"),
        "another host": (altered(good, host="elsewhere"), "mismatch"),
        "another path": (replace(good, head=replace(good.head, path="/x")), "mismatch"),
        "a bad date": (altered(good, **{"x-amz-date": "yesterday"}), "incomplete"),
        "another service": (altered(good, authorization=authorization.replace("/rekognition/", "/s3/")), "mismatch"),
        "too few headers": (altered(good, authorization=authorization.replace(";x-amz-target", "")), "mismatch"),
        "a header twice": (
            altered(good, authorization=authorization.replace("content-type;", "content-type;content-type;")),
            "repeated",
        ),
        "a changed signature": (altered(good, authorization=authorization[:-4] + "0000"), "mismatch"),
    }
    for what, (message, reason) in wrong.items():
        with pytest.raises(sigv4.SignatureError) as caught:
            verify(message, {KEY: SECRET}, time.time(), 900)
        assert caught.value.reason == reason, what
        assert SECRET not in caught.value.message


@pytest.mark.parametrize("name", ["X-Amz-Target", "host", "AUTHORIZATION", "x-amz-date", "Content-Length"])
def test_a_header_that_decides_anything_comes_once(name: str) -> None:
    raw = [(name.encode(), b"one"), (b"accept", b"a"), (b"accept", b"b"), (name.lower().encode(), b"two")]
    with pytest.raises(sigv4.SignatureError, match=name.lower()):
        sigv4.single(raw)
    assert sigv4.single(raw[:3])[name.lower()] == "one"


def test_the_clock_may_be_off_by_the_skew_and_no_more() -> None:
    message = signed()

    verify(message, {KEY: SECRET}, time.time() + 800, 900)
    with pytest.raises(sigv4.SignatureError, match="s off this device's clock"):
        verify(message, {KEY: SECRET}, time.time() + 1000, 900)
    verify(message, {KEY: SECRET}, time.time() + 1000, 10_000)


def test_keys_come_from_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "api-keys").write_text(f"{KEY} {SECRET}\nSECOND another-long-secret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    keys = config.read().api.keys

    assert {key: secret.get_secret_value() for key, secret in keys.items()} == {
        KEY: SECRET,
        "SECOND": "another-long-secret",
    }
    assert SECRET not in repr(keys)
