"""Notifications to an SNS endpoint: one for each job, signed, and again after the endpoint was away."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import av
import numpy as np
import pytest
import service_model
from rigs.waiting import eventually

from edge.api.http import sigv4
from edge.api.rekognition.endpoint import ApiServer
from edge.api.rekognition.notifications import TopicPublisher
from edge.api.rekognition.videos import jobs
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings

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


CHANNEL = {"SNSTopicArn": TOPIC, "RoleArn": "arn:aws:iam::000000000000:role/r"}


def test_the_end_of_a_job_is_told_once_when_the_endpoint_is_back(
    topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TELL_SECONDS", 0.2)
    (tmp_path / "videos").mkdir()
    with av.open(str(tmp_path / "videos/clip.mp4"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 64, 48
        for shade in range(0, 200, 40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    topics.away = True
    api = ApiSettings(port=0, buckets={"videos": tmp_path / "videos"})
    server = ApiServer(Settings(api=api), tmp_path / "state")
    server.start()
    try:
        client = service_model.client(server.port)
        video = {"S3Object": {"Bucket": "videos", "Name": "clip.mp4"}}
        job = client.start_segment_detection(Video=video, SegmentTypes=["SHOT"], NotificationChannel=CHANNEL)["JobId"]
        assert eventually(lambda: client.get_segment_detection(JobId=job)["JobStatus"] == "SUCCEEDED", 60)
        assert topics.told == []
        topics.away = False
        assert eventually(lambda: len(topics.told) == 1, 20)
        message = json.loads(parse_qs(topics.told[0][1].decode())["Message"][0])
        assert (message["JobId"], message["Status"], message["API"]) == (job, "SUCCEEDED", "StartSegmentDetection")
        server.stop()
        assert len(topics.told) == 1
    finally:
        server.stop()
