"""Objects with an unmodified boto3: what is put is got, what is outside is not there, what is wrong has S3's name."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.client
import io
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from pydantic import SecretStr

from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings
from edge.core.storage.buckets import PARTIAL

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s3")
    (folder / "secret").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    api = ApiSettings(port=0, keys={KEY: SecretStr(SECRET)}, buckets={"*": root / "buckets"})
    made = ApiServer(Settings(api=api), tmp_path_factory.mktemp("state"))
    made.start()
    yield made
    made.stop()


def client(port: int, **options: Any) -> Any:
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    config = Config(retries={"max_attempts": 1}, proxies={}, **options.pop("config", {}))
    url = f"http://127.0.0.1:{port}"
    return boto3.client("s3", endpoint_url=url, region_name="eu-west-1", config=config, **{**keys, **options})


@pytest.fixture
def s3(server: ApiServer) -> Any:
    return client(server.port)


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = f"b-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


KEYS = ["a.jpg", "folder/b.jpg", "ü é 💥/+&?#%.txt", "deep/" * 20 + "x", "with space", "_.-!*'()"]


@pytest.mark.parametrize("key", KEYS)
def test_what_is_put_is_got(s3: Any, bucket: str, key: str) -> None:
    data = os.urandom(100_000)
    put = s3.put_object(Bucket=bucket, Key=key, Body=data)
    got = s3.get_object(Bucket=bucket, Key=key)
    head = s3.head_object(Bucket=bucket, Key=key)
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]

    assert got["Body"].read() == data
    assert put["ETag"] == got["ETag"] == head["ETag"] == listed[0]["ETag"]
    assert head["ContentLength"] == listed[0]["Size"] == len(data)
    assert [one["Key"] for one in listed] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)


def test_an_object_is_replaced_whole(s3: Any, bucket: str, root: Path) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 3_000_000)
    s3.put_object(Bucket=bucket, Key="a", Body=b"short")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"short"
    assert [one.name for one in (root / "buckets" / bucket).iterdir()] == ["a"]


def test_part_of_an_object_is_got(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(range(100)))
    for asked, expected in (
        ("bytes=10-19", range(10, 20)),
        ("bytes=90-", range(90, 100)),
        ("bytes=-5", range(95, 100)),
    ):
        got = s3.get_object(Bucket=bucket, Key="a", Range=asked)
        assert got["Body"].read() == bytes(expected)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="a", Range="bytes=100-")
    assert code(error) == "InvalidRange"


def test_files_go_there_and_back_by_the_transfer_manager(s3: Any, bucket: str, tmp_path: Path) -> None:
    data = os.urandom(7_000_000)
    (tmp_path / "a").write_bytes(data)
    s3.upload_file(str(tmp_path / "a"), bucket, "clip.mp4")
    s3.upload_fileobj(io.BytesIO(data), bucket, "b")
    s3.download_file(bucket, "clip.mp4", str(tmp_path / "c"))
    assert (tmp_path / "c").read_bytes() == data
    assert s3.head_object(Bucket=bucket, Key="clip.mp4")["ContentType"] == "video/mp4"


def test_large_files_come_in_parts(s3: Any, bucket: str, server: ApiServer, tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    (tmp_path / "large").write_bytes(data)
    s3.upload_file(str(tmp_path / "large"), bucket, "videos/large.mp4")
    s3.download_file(bucket, "videos/large.mp4", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    uploads = server.service.state / "uploads"
    assert list(uploads.iterdir()) == []

    started = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    place = {"Bucket": bucket, "Key": "a", "UploadId": started}
    for number in (2, 1, 3):
        s3.upload_part(**place, PartNumber=number, Body=b"%d" % number * 10)
    parts = [{"PartNumber": number, "ETag": "x"} for number in (1, 2)]
    for wrong, expected in (
        ({**place, "Key": "b"}, "NoSuchUpload"),
        ({**place, "UploadId": "../../x"}, "NoSuchUpload"),
        ({**place, "MultipartUpload": {"Parts": [{"PartNumber": 9, "ETag": "x"}]}}, "InvalidPart"),
    ):
        with pytest.raises(ClientError) as error:
            s3.complete_multipart_upload(**{"MultipartUpload": {"Parts": parts}, **wrong})
        assert code(error) == expected
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1" * 10 + b"2" * 10
    other = {"Bucket": bucket, "Key": "c"}
    s3.abort_multipart_upload(**other, UploadId=s3.create_multipart_upload(**other)["UploadId"])
    assert list(uploads.iterdir()) == []


def test_a_listing_has_pages_prefixes_and_groups(s3: Any, bucket: str) -> None:
    keys = sorted(["a", "b/1", "b/2", "b/c/3", "b.txt", "c/1", "d", "é/1"])
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3}))
    assert [one["Key"] for page in pages for one in page["Contents"]] == keys
    assert [page["KeyCount"] for page in pages] == [3, 3, 2]
    for size in (1, 2, 1000):
        config = {"PageSize": size}
        pages = list(
            s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/", PaginationConfig=config)
        )
        assert [one["Key"] for page in pages for one in page.get("Contents", [])] == ["a", "b.txt", "d"]
        groups = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
        assert groups == ["b/", "c/", "é/"]
    below = s3.list_objects_v2(Bucket=bucket, Prefix="b/", Delimiter="/")
    assert [one["Key"] for one in below["Contents"]] == ["b/1", "b/2"]
    assert [one["Prefix"] for one in below["CommonPrefixes"]] == ["b/c/"]
    assert [one["Key"] for one in s3.list_objects(Bucket=bucket, Marker="c/1")["Contents"]] == ["d", "é/1"]


def test_a_bucket_is_emptied_and_deleted_as_the_samples_do(server: ApiServer, s3: Any, bucket: str) -> None:
    made = boto3.resource(
        "s3", endpoint_url=f"http://127.0.0.1:{server.port}", region_name="eu-west-1", aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    ).Bucket(bucket)  # fmt: skip
    for number in range(5):
        made.put_object(Key=f"{number}", Body=b"x")
    with pytest.raises(ClientError) as error:
        made.delete()
    assert code(error) == "BucketNotEmpty"
    made.objects.delete()
    made.delete()
    assert bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


MD5 = "1B2M2Y8AsgTpgAmY7PhCfg=="
"""of nothing"""
LONG = {"a": "b" * 2100}
WRONG: list[tuple[str, Callable[[Any, str], Any]]] = [
    ("NoSuchKey", lambda s3, bucket: s3.get_object(Bucket=bucket, Key="nothing")),
    ("NoSuchBucket", lambda s3, _: s3.get_object(Bucket="no-such-bucket", Key="a")),
    ("NoSuchBucket", lambda s3, _: s3.put_object(Bucket="no-such-bucket", Key="a", Body=b"x")),
    ("NoSuchBucket", lambda s3, _: s3.list_objects_v2(Bucket="no-such-bucket")),
    ("404", lambda s3, bucket: s3.head_object(Bucket=bucket, Key="nothing")),
    ("404", lambda s3, _: s3.head_bucket(Bucket="no-such-bucket")),
    ("BucketAlreadyOwnedByYou", lambda s3, bucket: s3.create_bucket(Bucket=bucket)),
    ("InvalidArgument", lambda s3, bucket: s3.put_object(Bucket=bucket, Key="../x", Body=b"x")),
    ("InvalidArgument", lambda s3, bucket: s3.put_object(Bucket=bucket, Key="a//x", Body=b"x")),
    ("NoSuchKey", lambda s3, bucket: s3.get_object(Bucket=bucket, Key="../../secret")),
    ("NotImplemented", lambda s3, bucket: s3.get_bucket_acl(Bucket=bucket)),
    ("NoSuchKey", lambda s3, bucket: s3.copy_object(Bucket=bucket, Key="a", CopySource=f"{bucket}/b")),
    ("NoSuchKey", lambda s3, bucket: s3.copy_object(Bucket=bucket, Key="a", CopySource=f"{bucket}/../../secret")),
    ("NoSuchBucket", lambda s3, bucket: s3.copy_object(Bucket=bucket, Key="a", CopySource="nowhere/b")),
    ("MetadataTooLarge", lambda s3, bucket: s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata=LONG)),
    ("NotImplemented", lambda s3, bucket: s3.get_object_attributes(Bucket=bucket, Key="a", ObjectAttributes=["ETag"])),
    ("BadDigest", lambda s3, bucket: s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentMD5=MD5)),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "ask"), WRONG)
def test_what_is_wrong_has_the_name_that_s3_gives_it(s3: Any, bucket: str, expected: str, ask: Any) -> None:
    with pytest.raises(ClientError) as error:
        ask(s3, bucket)
    assert code(error) == expected


def test_who_has_no_key_gets_nothing(server: ApiServer, bucket: str) -> None:
    for options, expected in (
        ({"aws_secret_access_key": "other"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "other"}, "InvalidAccessKeyId"),
    ):
        with pytest.raises(ClientError) as error:
            client(server.port, **options).list_objects_v2(Bucket=bucket)
        assert code(error) == expected
    with pytest.raises(ClientError):
        client(server.port, config={"signature_version": UNSIGNED}).list_objects_v2(Bucket=bucket)


def put(
    port: int,
    bucket: str,
    key: str,
    signed: bytes,
    sent: bytes,
    *headers: tuple[str, str],
    signer: type[S3SigV4Auth] = S3SigV4Auth,
) -> int:
    """The status of a PutObject that was signed for one body, and sends another."""
    url = f"http://127.0.0.1:{port}/{bucket}/{key}"
    request = AWSRequest("PUT", url, {"X-Amz-Content-SHA256": hashlib.sha256(signed).hexdigest()}, signed)
    signer(Credentials(KEY, SECRET), "s3", "eu-west-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("PUT", f"/{bucket}/{key}", skip_host=True)
    for name, value in (("Host", f"127.0.0.1:{port}"), *request.headers.items(), *headers):
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(sent)))
    connection.endheaders(sent)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_body_that_was_not_signed_is_not_kept(server: ApiServer, s3: Any, bucket: str, root: Path) -> None:
    assert put(server.port, bucket, "a", b"first", b"first") == 200
    assert put(server.port, bucket, "a", b"second", b"another") == 400
    assert put(server.port, bucket, "a", b"second", b"second", ("Host", "elsewhere")) in (400, 403)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"first"
    assert [one.name for one in (root / "buckets" / bucket).iterdir() if one.name.startswith(PARTIAL)] == []


def test_a_recorded_request_does_not_bring_an_older_object_back(
    server: ApiServer, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=30)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: before)
    url = f"http://127.0.0.1:{server.port}/{bucket}/a"
    request = AWSRequest("PUT", url, {"X-Amz-Content-SHA256": hashlib.sha256(b"old").hexdigest()}, b"old")
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "eu-west-1").add_auth(request)
    monkeypatch.undo()
    answers = []
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("PUT", f"/{bucket}/a", b"old", dict(request.headers.items()))
        answer = connection.getresponse()
        answers.append((answer.status, answer.headers["ETag"]))
        connection.close()
        s3.put_object(Bucket=bucket, Key="a", Body=b"new")
    assert answers[0][0] == 200
    assert answers == [answers[0]] * 3
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"new"


def test_no_path_leads_out(server: ApiServer, bucket: str, root: Path) -> None:
    (root / "buckets" / bucket / "link").symlink_to(root / "secret")
    for key in (
        "../../secret",
        "%2e%2e/%2e%2e/secret",
        "..%2f..%2fsecret",
        "link",
        "link/x",
        "%00",
        "a/../../../secret",
    ):
        status = put(server.port, bucket, key, b"x", b"x")
        assert status in (200 if key == "link" else 400, 400, 403, 404)
    assert (root / "secret").read_text() == "secret"
    assert sorted(one.name for one in root.iterdir()) == ["buckets", "secret"]


class Streaming(S3SigV4Auth):
    """How SDKs sign a body whose checksum comes after it."""

    def payload(self, request: Any) -> str:
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def test_chunks_of_an_sdk_are_taken_apart(server: ApiServer, s3: Any, bucket: str) -> None:
    whole = b"first " + b"s" * 70_000 + b" last"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (whole[:6], whole[6:-5], whole[-5:])) + b"0\r\n"
    right = b"x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")) + b"\r\n\r\n"
    wrong = b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    sent = [chunks + right, chunks + wrong, chunks[:-3], b"zz\r\n", b"ffffffff\r\nx"]
    assert [put(server.port, bucket, "a", b"", body, signer=Streaming) for body in sent] == [200, 400, 400, 400, 400]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == whole


def test_metadata_and_content_type_come_back(s3: Any, bucket: str, tmp_path: Path) -> None:
    """A well-known sample keeps a person's name in the metadata of the picture, and reads it with HeadObject."""
    own = {"fullname": "Grace Hopper", "note": "a=b; c"}
    s3.put_object(
        Bucket=bucket, Key="a.jpg", Body=b"x", Metadata=own, ContentType="image/x-own", CacheControl="no-cache"
    )
    head = s3.head_object(Bucket=bucket, Key="a.jpg")
    assert (head["Metadata"], head["ContentType"], head["CacheControl"]) == (own, "image/x-own", "no-cache")
    (tmp_path / "large.mp4").write_bytes(os.urandom(9 << 20))
    s3.upload_file(str(tmp_path / "large.mp4"), bucket, "large.mp4", ExtraArgs={"Metadata": own})
    got = s3.get_object(Bucket=bucket, Key="large.mp4")
    assert (got["Metadata"], got["ContentType"], got["ContentLength"]) == (own, "video/mp4", 9 << 20)
    got["Body"].close()
    s3.put_object(Bucket=bucket, Key="a.jpg", Body=b"y")
    assert s3.head_object(Bucket=bucket, Key="a.jpg")["Metadata"] == {}, "a new object has none of the old one"


def test_objects_are_copied_within_the_device(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b/1.jpg", Body=b"picture", Metadata={"who": "grace"})
    done = s3.copy_object(Bucket=bucket, Key="done/1.jpg", CopySource={"Bucket": bucket, "Key": "a b/1.jpg"})
    assert done["CopyObjectResult"]["ETag"] == s3.head_object(Bucket=bucket, Key="done/1.jpg")["ETag"]
    got = s3.get_object(Bucket=bucket, Key="done/1.jpg")
    assert (got["Body"].read(), got["Metadata"]) == (b"picture", {"who": "grace"})
    s3.copy(CopySource={"Bucket": bucket, "Key": "done/1.jpg"}, Bucket=bucket, Key="again.jpg")
    assert s3.get_object(Bucket=bucket, Key="again.jpg")["Body"].read() == b"picture"
    same = {"Bucket": bucket, "Key": "again.jpg", "CopySource": f"{bucket}/again.jpg"}
    s3.copy_object(**same, MetadataDirective="REPLACE", Metadata={"who": "ada"})
    got = s3.get_object(Bucket=bucket, Key="again.jpg")
    assert (got["Body"].read(), got["Metadata"]) == (b"picture", {"who": "ada"})
    with pytest.raises(ClientError) as error:
        s3.copy_object(**same)
    assert code(error) == "InvalidRequest"


def test_an_empty_object_makes_a_folder(s3: Any, bucket: str, root: Path) -> None:
    s3.put_object(Bucket=bucket, Key="inbox/new/")
    assert (root / "buckets" / bucket / "inbox/new").is_dir()
    s3.put_object(Bucket=bucket, Key="inbox/new/a.jpg", Body=b"x")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["inbox/new/a.jpg"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="../out/")
    assert code(error) == "InvalidArgument"


def test_large_objects_are_copied_in_parts(s3: Any, bucket: str) -> None:
    data = os.urandom(17 << 20)
    s3.put_object(Bucket=bucket, Key="large", Body=data)
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copied", Config=TransferConfig(multipart_threshold=8 << 20))
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == data


def test_a_key_below_an_object_is_refused_and_the_connection_goes_on(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"file")
    s3.put_object(Bucket=bucket, Key="b/c", Body=b"file")
    for key in ("a/b", "b"):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 100_000)
        assert code(error) == "InvalidRequest"
        s3.put_object(Bucket=bucket, Key="next", Body=b"y" * 100_000)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"file"


def test_parts_uploads_and_versions_are_listed(s3: Any, bucket: str, server: ApiServer) -> None:
    asked = {"Bucket": bucket, "Key": "large"}
    upload = s3.create_multipart_upload(**asked)["UploadId"]
    sent = [s3.upload_part(**asked, UploadId=upload, PartNumber=n, Body=b"x" * 10 * n)["ETag"] for n in (2, 1)]
    parts = s3.list_parts(**asked, UploadId=upload)["Parts"]
    assert [(one["PartNumber"], one["Size"], one["ETag"]) for one in parts] == [(1, 10, sent[1]), (2, 20, sent[0])]
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    s3.abort_multipart_upload(**asked, UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"v/{number}", Body=b"x")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    assert [one["Key"] for page in pages for one in page["Versions"]] == [f"v/{number}" for number in range(5)]
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "eu-west-1"}
    boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{server.port}", **keys).Bucket(bucket).object_versions.delete()
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
