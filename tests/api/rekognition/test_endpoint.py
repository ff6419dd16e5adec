"""The wire: targets, bodies, errors, health, back-pressure, addresses."""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import service_model
from botocore.exceptions import ClientError

from edge.api.http import bodies
from edge.api.http.work_queue import WorkQueue
from edge.api.rekognition.endpoint import ApiServer
from edge.api.rekognition.errors import ApiError, translated
from edge.api.rekognition.operations.table import NOT_HERE
from edge.core.errors import BusyError, InputError, ModelError, NotFoundError, SettingsError, SpaceError, StoreError
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings
from edge.core.settings.vision import LabelSettings


def post(server: ApiServer, target: str, body: bytes, path: str = "/") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


@pytest.mark.parametrize("path", ["/", "/rek", "/rek/", "/a/b"])
def test_the_path_does_not_matter(server: ApiServer, path: str) -> None:
    status, body = post(server, "RekognitionService.ListCollections", b"{}", path)

    assert status == 200
    assert body == {"CollectionIds": [], "FaceModelVersions": []}


@pytest.mark.parametrize(
    ("target", "body", "status", "name"),
    [
        ("RekognitionService.ListCollections", b"{", 400, "SerializationException"),
        ("RekognitionService.ListCollections", b"\xff\xfe", 400, "SerializationException"),
        ("RekognitionService.ListCollections", b"[" * 100_000, 400, "SerializationException"),
        ("RekognitionService.ListCollections", b'{"MaxResults": NaN}', 400, "SerializationException"),
        ("RekognitionService.ListCollections", b'{"MaxResults": ' + b"9" * 5000 + b"}", 400, "SerializationException"),
        ("RekognitionService.ListCollections", b"[]", 400, "SerializationException"),
        ("RekognitionService.ListCollections", b'"x"', 400, "SerializationException"),
        ("RekognitionService.NoSuchThing", b"{}", 400, "UnknownOperationException"),
        ("Other.ListCollections", b"{}", 400, "UnknownOperationException"),
        ("", b"{}", 400, "UnknownOperationException"),
        ("RekognitionService.CreateFaceLivenessSession", b"{}", 501, "NotImplementedException"),
        ("RekognitionService.DescribeCollection", b"{}", 400, "ValidationException"),
    ],
)
def test_what_is_wrong_has_a_name(server: ApiServer, target: str, body: bytes, status: int, name: str) -> None:
    answer = post(server, target, body)

    assert (answer[0], answer[1]["__type"]) == (status, name)


def test_a_body_past_the_limit_is_read_to_its_end_and_then_refused(server: ApiServer) -> None:
    status, body = post(server, "RekognitionService.DetectFaces", b" " * ((16 << 20) + 1))

    assert (status, body["__type"]) == (400, "ImageTooLargeException")


def test_a_body_that_does_not_arrive_is_not_waited_for_without_end(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SECONDS", 0.05)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/")
    for name, value in (("X-Amz-Target", "RekognitionService.ListCollections"), ("Content-Length", "9")):
        connection.putheader(name, value)
    connection.endheaders(b"{")
    answer = connection.getresponse()

    assert (answer.status, json.loads(answer.read())["__type"]) == (400, "RequestTimeoutException")
    connection.close()


def test_operations_that_are_not_here_are_not_tried_again(rekognition: Any) -> None:
    assert "CreateFaceLivenessSession" in NOT_HERE
    with pytest.raises(ClientError) as caught:
        rekognition.create_face_liveness_session()

    assert caught.value.response["Error"]["Code"] == "NotImplementedException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_health_is_for_anybody_and_posting_is_the_only_other_door(server: ApiServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["status"] == "ok"
    connection.request("GET", "/other")
    assert connection.getresponse().status == 405
    connection.close()


def test_an_inside_error_says_nothing_of_the_inside(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise RuntimeError("a secret place")

    monkeypatch.setattr(server.service.collections, "names", broken)

    status, body = post(server, "RekognitionService.ListCollections", b"{}")

    assert (status, body["__type"], body["Message"]) == (500, "InternalServerError", "Internal server error")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (InputError("x", code="too_large"), "ImageTooLargeException"),
        (InputError("x", code="truncated"), "InvalidImageFormatException"),
        (InputError("x"), "InvalidParameterException"),
        (SpaceError("x"), "InvalidParameterException"),
        (NotFoundError("x"), "ResourceNotFoundException"),
        (BusyError("x"), "ProvisionedThroughputExceededException"),
        (SettingsError("x"), "NotImplementedException"),
        (StoreError("x"), "InternalServerError"),
        (ModelError("x"), "InternalServerError"),
    ],
)
def test_our_errors_have_rekognitions_names(error: Any, name: str) -> None:
    answer = translated(error)

    assert answer.name == name
    assert answer.status == {"InternalServerError": 500, "NotImplementedException": 501}.get(name, 400)


def test_more_pictures_than_fit_the_queue_are_told_to_come_back(server: ApiServer, rekognition: Any) -> None:
    queue = server.service.queues["models"]
    release, started = threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        release.wait(30)

    queue.submit(hold)
    assert started.wait(10)
    for _ in range(server.settings.api.queue):
        queue.submit(release.wait)
    try:
        with pytest.raises(rekognition.exceptions.ProvisionedThroughputExceededException):
            rekognition.detect_faces(Image={"S3Object": {"Bucket": "pictures", "Name": "stills/face.jpg"}})
        assert rekognition.list_collections()["CollectionIds"] == []
    finally:
        release.set()


def test_a_lane_keeps_to_its_share() -> None:
    import time

    queue = WorkQueue("test", 100, share=0.25)
    queue.start()

    def burn() -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass

    began = time.monotonic()
    jobs = [queue.submit(burn) for _ in range(5)]
    for job in jobs:
        job.result(30)
    queue.stop()

    # five jobs and the four pauses between them, each three times as long as a job
    assert time.monotonic() - began >= 5 * 0.02 + 4 * 0.06


def test_what_waits_when_the_endpoint_stops_is_refused() -> None:
    queue = WorkQueue("test", 10)
    release = threading.Event()
    first = queue.submit(lambda: release.wait(30))
    second = queue.submit(lambda: None)
    queue.start()
    while queue.waiting > 1:
        pass
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(queue.stop)
        assert isinstance(second.exception(30), BusyError)
        release.set()
        stopped.result(30)

    assert first.result(1) is True


def test_a_device_that_is_not_set_up_for_faces_says_so_and_is_not_asked_again(tmp_path: Path) -> None:
    server = ApiServer(Settings(labels={"car": LabelSettings()}, api=ApiSettings(port=0, label="car")), tmp_path)
    server.start()
    try:
        asked = service_model.client(server.port)
        with pytest.raises(ClientError, match=r"has no embedder \(try: set api.embedder") as error:
            asked.create_collection(CollectionId="staff")
    finally:
        server.stop()
    assert error.value.response["Error"]["Code"] == "NotImplementedException"
    assert error.value.response["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_an_open_address_without_keys_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="any client"):
        ApiServer(Settings(api=ApiSettings(host=host)), tmp_path)


def test_the_owner_may_say_so(tmp_path: Path) -> None:
    server = ApiServer(Settings(api=ApiSettings(host="0.0.0.0", unsigned_anywhere=True)), tmp_path)
    server.service.start()
    server.stop()


def test_a_port_that_is_taken_says_what_to_do(server: ApiServer, tmp_path: Path) -> None:
    other = ApiServer(Settings(api=ApiSettings(port=server.port)), tmp_path)
    with pytest.raises(SettingsError, match="cannot listen") as caught:
        other.start()
    assert "api.port" in caught.value.hint


def test_errors_carry_their_status() -> None:
    assert ApiError("InternalServerError", "x").status == 500
    assert ApiError("NotImplementedException", "x").status == 501
    assert ApiError("ConflictException", "x").status == 400
