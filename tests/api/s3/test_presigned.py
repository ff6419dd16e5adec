"""URLs that boto3 presigns, in both forms, opened without credentials; whatever is changed in one is refused."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from pydantic import SecretStr

from edge.api.http import presigned
from edge.api.http.sigv4 import RequestHead, SignatureError
from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
FORMS = ("s3", "s3v4")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    api = ApiSettings(port=0, keys={KEY: SecretStr(SECRET)}, buckets={"*": tmp_path_factory.mktemp("s3")})
    made = ApiServer(Settings(api=api), tmp_path_factory.mktemp("state"))
    made.start()
    client(made.port).create_bucket(Bucket="photos")
    client(made.port).put_object(Bucket="photos", Key="a b+ü.jpg", Body=b"picture")
    yield made
    made.stop()


def client(port: int, form: str | None = None) -> Any:
    return boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id=KEY,
        aws_secret_access_key=SECRET, config=Config(signature_version=form, proxies={}, retries={"max_attempts": 1}),
    )  # fmt: skip


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """What a program without credentials gets."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"{parts.path}?{parts.query}", body, sent)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def url_of(port: int, form: str | None, operation: str = "get_object", seconds: int = 600, **more: Any) -> str:
    members = {"Bucket": "photos", "Key": "a b+ü.jpg", **more}
    found: str = client(port, form).generate_presigned_url(operation, Params=members, ExpiresIn=seconds)
    return found


@pytest.mark.parametrize("form", [None, *FORMS])
def test_an_object_is_read_by_its_url(server: ApiServer, form: str | None) -> None:
    url = url_of(server.port, form)
    assert ask(url) == (200, b"picture")
    assert ask(url, Range="bytes=1-3") == (206, b"ict")
    assert ask(url_of(server.port, form, "head_object"), "HEAD") == (200, b"")


@pytest.mark.parametrize("form", FORMS)
def test_an_object_is_written_by_its_url(server: ApiServer, form: str) -> None:
    url = url_of(
        server.port, form, "put_object", Key=f"new-{form}.bin", ContentType="image/own", Metadata={"who": "ada"}
    )
    assert ask(url, "PUT", b"sent", Content_Type="image/own", x_amz_meta_who="ada")[0] == 200
    got = client(server.port).get_object(Bucket="photos", Key=f"new-{form}.bin")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"sent", "image/own", {"who": "ada"})
    status, body = ask(url, "PUT", b"sent", Content_Type="text/html", x_amz_meta_who="ada")
    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_a_url_can_be_changed(server: ApiServer, form: str) -> None:
    url = url_of(server.port, form)
    expires = "X-Amz-Expires=600" if form == "s3v4" else url.partition("Expires=")[2].partition("&")[0]
    later = "X-Amz-Expires=601" if form == "s3v4" else str(int(expires) + 1)
    for changed, method in (
        (url.replace("a%20b", "other"), "GET"),
        (url.replace(expires, later), "GET"),
        (url, "PUT"),
        (url, "DELETE"),
        (url + "&uploads", "POST"),
        (url.replace(KEY, "AKIDOTHER"), "GET"),
        (url.partition("?")[0], "GET"),
    ):
        assert ask(changed, method, b"" if method != "GET" else None)[0] in (403, 404, 405), (changed, method)
    assert ask(url) == (200, b"picture")


@pytest.mark.parametrize("form", FORMS)
def test_a_url_is_valid_for_its_time(server: ApiServer, form: str) -> None:
    parts = urlsplit(url_of(server.port, form, seconds=60))
    head = RequestHead("GET", parts.path, parts.query, {"host": parts.netloc})
    now = time.time()
    assert presigned.verified(head, {KEY: SECRET}, now, 300).key == KEY
    for moment in (now + 70, now - 8 * 86400):
        with pytest.raises(SignatureError, match="expired"):
            presigned.verified(head, {KEY: SECRET}, moment, 300)


def test_without_keys_a_url_is_answered_as_other_requests_are(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a b+ü.jpg").write_bytes(b"picture")
    made = ApiServer(Settings(api=ApiSettings(port=0, buckets={"*": tmp_path})), tmp_path)
    made.start()
    try:
        assert ask(url_of(made.port, None)) == (200, b"picture")
        assert ask(url_of(made.port, None), Sec_Fetch_Site="cross-site")[0] == 403
    finally:
        made.stop()
