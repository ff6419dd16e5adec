"""The end of a video job reaches a subscriber over a real broker, however long the link or the endpoint was away."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.waiting import eventually

from edge.api.rekognition.endpoint import ApiServer
from edge.api.rekognition.videos import jobs
from edge.api.rekognition.videos.store import Job, JobStore, VideoFinding
from edge.core.errors import StoreError
from edge.core.settings.messaging import MqttSettings
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings
from edge.core.settings.vision import ModelSettings
from edge.mqtt.client import MqttClient
from edge.mqtt.topics import Topics

sys.path.insert(0, str(Path(__file__).parent))

import service_model

VIDEO = {"S3Object": {"Bucket": "videos", "Name": "clip.mp4"}}
CHANNEL = {"SNSTopicArn": "arn:aws:sns:eu-west-1:000000000000:done", "RoleArn": "arn:aws:iam::000000000000:role/r"}
TOPIC = "edge/v1/porch/up/rekognition/done"


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[MqttClient], ApiServer]:
    """Starts an endpoint that publishes by a client, on the same state folder each time."""
    monkeypatch.setattr(jobs, "TELL_SECONDS", 0.2)
    folder = tmp_path / "videos"
    folder.mkdir()
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 64, 48  # type: ignore[attr-defined]
        for shade in range(0, 200, 40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))  # type: ignore[attr-defined]
        container.mux(stream.encode())  # type: ignore[attr-defined]
    chosen = Settings(models=ModelSettings(check=False, threads=1), api=ApiSettings(port=0, buckets={"videos": folder}))

    def start(client: MqttClient) -> ApiServer:
        def publish(processor: str, payload: bytes) -> bool:
            return client.publish(Topics("porch").rekognition(processor), payload)

        made = ApiServer(chosen, tmp_path / "state", publish=publish)
        made.start()
        return made

    return start


def started(server: ApiServer, tag: str) -> str:
    client: Any = service_model.client(server.port)
    job = client.start_face_detection(Video=VIDEO, NotificationChannel=CHANNEL, JobTag=tag)["JobId"]
    assert eventually(lambda: client.get_face_detection(JobId=job)["JobStatus"] == "SUCCEEDED", 60)
    return str(job)


def tags(subscriber: Subscriber) -> list[str]:
    return [json.loads(payload)["JobTag"] for payload in subscriber.on(TOPIC)]


def test_each_end_is_told_once_also_after_the_broker_or_the_endpoint_was_away(
    endpoint: Callable[[MqttClient], ApiServer], tmp_path: Path
) -> None:
    with Mosquitto(tmp_path / "broker", persistence=True) as broker:
        client = MqttClient(MqttSettings(host="127.0.0.1", port=broker.port, reconnect_seconds=0.3), "edge-porch")
        client.start()
        other = Subscriber(broker.port, TOPIC)
        assert eventually(lambda: client.online)
        server = endpoint(client)
        started(server, "at-once")
        assert eventually(lambda: tags(other) == ["at-once"])

        broker.stop()
        assert eventually(lambda: not client.online)
        started(server, "no-link")
        broker.start()
        assert eventually(lambda: tags(other) == ["at-once", "no-link"], 30)

        broker.stop()
        assert eventually(lambda: not client.online)
        started(server, "stopped")
        server.stop()
        broker.start()
        assert eventually(lambda: client.online, 30)
        again = endpoint(client)
        assert eventually(lambda: tags(other) == ["at-once", "no-link", "stopped"], 30)
        time.sleep(1.0)
        assert len(tags(other)) == 3, "none is told twice"
        again.stop()
        other.stop()
        client.stop()


def test_a_disk_that_is_full_for_a_while_delays_jobs_and_ends_none(
    endpoint: Callable[[MqttClient], ApiServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        client = MqttClient(MqttSettings(host="127.0.0.1", port=broker.port), "edge-porch")
        server = endpoint(client)
        refused = []

        def save(store: JobStore, job: Job, findings: Sequence[VideoFinding] = ()) -> None:
            if len(refused) < 4:  # what was found, and that the job failed; twice
                refused.append(job.id)
                raise StoreError("videos.sqlite: database or disk is full")
            stored(store, job, findings)

        stored = JobStore.save
        monkeypatch.setattr(JobStore, "save", save)
        job = started(server, "later")
        assert set(refused) == {job}
        started(server, "after-it")
        server.stop()
