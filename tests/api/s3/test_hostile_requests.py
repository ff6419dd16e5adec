"""Requests that no SDK makes: each is answered with an error that has a name, and nothing appears outside."""

from __future__ import annotations

import http.client
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from edge.api.rekognition.endpoint import ApiServer
from edge.api.s3.errors import STATUS
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings

SCOPE = "AWS4-HMAC-SHA256 Credential=K/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
NAMES = ("photos", "..", ".", "", "a b", "%", "%00", "\u202e", "x" * 300, "photos/../..", "*", "no-such-bucket")
KEYS = (
    "a",
    "../../x",
    "..%2fx",
    "%2e%2e/x",
    "/etc/passwd",
    "a//b",
    "a/",
    "\0",
    "é💥",
    "x" * 2000,
    ".edge-partial-1",
    "",
)
QUERIES = (
    "", "list-type=2", "list-type=2&max-keys=-1", "list-type=2&max-keys=9999999999", "list-type=2&prefix=%00",
    "list-type=2&delimiter=/&continuation-token=%f0", "delete", "uploads", "uploadId=../x&partNumber=1", "acl",
    "uploadId=" + "0" * 32 + "&partNumber=0", "list-type=2&encoding-type=url&start-after=%ff", "a=" + "b" * 4000,
)  # fmt: skip
HEADERS: tuple[dict[str, str], ...] = (
    {}, {"Range": "bytes=5-1"}, {"Range": "bytes=-"}, {"Range": "bytes=" + "9" * 30 + "-"}, {"Content-MD5": "="},
    {"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, {"X-Amz-Content-Sha256": "0" * 64},
    {"If-Match": "x"}, {"If-None-Match": "*"}, {"X-Amz-Copy-Source": "/photos/a"}, {"X-Amz-Checksum-Crc32": "AAAA"},
)  # fmt: skip
BODIES = (
    b"", b"x", b"zz\r\n", b"5\r\nabc", b"ffffffff\r\n", b"<Delete><Object><Key>../../secret</Key></Object></Delete>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]><Delete/>", b"<" * 5000, b"<CompleteMultipartUpload/>",
)  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "buckets/photos").mkdir(parents=True)
    (tmp_path / "buckets/photos/a").write_text("a")
    made = ApiServer(Settings(api=ApiSettings(port=0, buckets={"*": tmp_path / "buckets"})), tmp_path / "state")
    made.start()
    yield made
    made.stop()


def test_whatever_is_asked_is_answered_and_stays_inside(server: ApiServer, tmp_path: Path) -> None:
    dice = random.Random(7)
    for _ in range(600):
        path = "/" + quote(dice.choice(NAMES), safe="/%.") + "/" + quote(dice.choice(KEYS), safe="/%.")
        method = dice.choice(("GET", "PUT", "HEAD", "DELETE", "POST", "PATCH"))
        query, headers, body = dice.choice(QUERIES), dice.choice(HEADERS), dice.choice(BODIES)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request(method, f"{path}?{query}" if query else path, body, {"Authorization": SCOPE, **headers})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status in {200, 204, 206, 304, *STATUS.values()} - {500}, (method, path, query, headers, body)

    assert (tmp_path / "secret").read_text() == "secret"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["buckets", "secret", "state"]
    assert {one.name for one in (tmp_path / "buckets").iterdir()} <= {"photos", "no-such-bucket", "a b"}
