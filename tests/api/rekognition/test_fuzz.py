"""Whatever is sent, the answer is right or a declared error; nothing is lost, and memory stays flat."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fuzzing
import pytest
import service_model
from rigs.waiting import eventually

People = Callable[[int], list[bytes]]
LEARNED = ("ProjectArn", "DatasetArn", "ProjectVersionArn", "JobId")
"""members of answers that later requests may use"""
MANIFESTS = (
    b'{"source-ref": "s3://pictures/stills/face.jpg", "l": 1, "l-metadata": '
    b'{"type": "groundtruth/image-classification", "class-name": "cat"}}',
    b'{"source-ref": "s3://nowhere/x.jpg"}\n{',
    b"\xff\xfe",
)
COLLECTIONS = ("fuzz-1", "fuzz-2", "never")


def pool_of(people: People, shared: Path) -> dict[str, list[Any]]:
    pictures = [people(number)[0] for number in range(3)]
    pictures += [(shared / "data" / "stills" / "parrot.jpg").read_bytes(), pictures[0][:500], b"x", b"\xff\xd8\xff\xe0"]
    return {
        "CollectionId": list(COLLECTIONS),
        "ImageBlob": [base64.b64encode(data).decode() for data in pictures],
        "S3Object": [
            {"Bucket": "pictures", "Name": name}
            for name in ("stills/face.jpg", "../x", "stills", "\0", "no.jpg", "video/short_hamilton_clip.mp4")
        ],
        "FaceId": ["00000000-0000-0000-0000-000000000000"],
        "UserId": ["ann", "bob"],
        "StreamProcessorName": ["p1", "p2"],
        "KinesisVideoArn": ["arn:aws:kinesisvideo:local:000000000000:stream/door/1"],
        "KinesisDataArn": ["arn:aws:kinesis:local:000000000000:stream/x"],
        "RoleArn": ["arn:aws:iam::000000000000:role/x"],
        "SNSTopicArn": ["arn:aws:sns:local:000000000000:x"],
        "S3Bucket": ["pictures", "nowhere"],
        "ConnectedHomeLabel": ["PERSON", "PET", "ALL", "PACKAGE", "WAT"],
        "ResourceArn": [f"arn:aws:rekognition:local:000000000000:collection/{name}" for name in COLLECTIONS],
        "ClientRequestToken": [f"token-{number}" for number in range(20)],
        "KmsKeyId": ["key"],
        "ProjectName": ["cats", "dogs"],
        "VersionName": ["v1", "v2"],
        "GroundTruthBlob": [base64.b64encode(text).decode() for text in MANIFESTS],
        "ProjectArn": ["arn:aws:rekognition:local:000000000000:project/cats/1"],
        "DatasetArn": ["arn:aws:rekognition:local:000000000000:project/cats/dataset/train/1"],
        "ProjectVersionArn": ["arn:aws:rekognition:local:000000000000:project/cats/version/v1/1"],
        "JobId": ["nothing"],
        "NextToken": ["x"],
    }


def fuzz(port: int, fuzzer: fuzzing.Fuzzer, going: Callable[[], bool]) -> list[str]:
    """What was wrong with the answers."""
    found = []
    while going() and len(found) < 5:
        operation, body = fuzzer.request()
        status, answer = fuzzing.post(port, operation, body)
        if wrong := fuzzing.complaint(operation, status, answer, service_model.problems):
            found.append(f"{wrong} <- {body[:300]!r}")
        records = answer.get("FaceRecords") if isinstance(answer, dict) else None
        for name in LEARNED:
            if isinstance(answer, dict) and answer.get(name):
                fuzzer.pool[name] = [*fuzzer.pool[name], answer[name]][-5:]
        fuzzer.pool["FaceId"] = (fuzzer.pool["FaceId"] + [one["Face"]["FaceId"] for one in records or ()])[-20:]
    return found


def test_what_is_made_from_the_model_is_answered_rightly_or_with_a_declared_error(
    server: Any, rekognition: Any, people: People, shared: Path
) -> None:
    for name in COLLECTIONS[:2]:
        rekognition.create_collection(CollectionId=name)
    left = iter(range(400))
    until = time.monotonic() + 20

    found = fuzz(
        server.port,
        fuzzing.Fuzzer(4, pool_of(people, shared)),
        lambda: next(left, None) is not None and time.monotonic() < until,
    )

    assert found == []


CONFIG = """
state = "{state}"
[models]
path = ["{models}"]
check = false
[[cameras]]
name = "door"
detectors = ["ulffd-landmark-320", "yolov8n-224"]
[labels.face]
embedder = "mobilefacenet-112-int8"
collection = "faces"
[labels.person]
[api]
port = 0
queue = 64
[api.buckets]
pictures = "{data}"
"""


@contextmanager
def running(shared: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``edge api`` in a process of its own, and its port. It is killed, not asked."""
    config = folder / "edge.toml"
    config.write_text(CONFIG.format(state=folder / "state", models=shared / "models", data=shared / "data"))
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "--config", str(config), "api", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        yield process, int(json.loads(process.stdout.readline())["url"].rsplit(":", 1)[1])
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def resident(pid: int) -> float:
    """MiB"""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Worker(threading.Thread):
    """Indexes, searches and deletes in a shared collection, and knows what must be there."""

    def __init__(self, port: int, number: int, pictures: list[bytes], until: float) -> None:
        super().__init__(name=f"client-{number}")
        self._client = service_model.client(port)
        self._client.meta.config.retries["total_max_attempts"] = 3
        self._number = number
        self._pictures = pictures
        self._until = until
        self._random = random.Random(number)
        self.mine: dict[str, int] = {}
        self.busy = self.steps = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        steps = (self._index, self._index, self._search, self._search_image, self._remove, self._list)
        while time.monotonic() < self._until and len(self.wrong) < 3:
            try:
                self._random.choice(steps)()
                self.steps += 1
            except self._client.exceptions.ProvisionedThroughputExceededException:
                self.busy += 1
            except Exception as error:  # noqa: BLE001  the main thread tells
                self.wrong.append(f"{type(error).__name__}: {error}")

    def _index(self) -> None:
        number = self._random.randrange(len(self._pictures))
        answer = self._client.index_faces(
            CollectionId="together",
            Image={"Bytes": self._pictures[number]},
            ExternalImageId=f"{self._number}:{number}",
            MaxFaces=1,
        )
        for record in answer["FaceRecords"]:
            self.mine[record["Face"]["FaceId"]] = number

    def _search(self) -> None:
        if self.mine:
            face_id = self._random.choice(sorted(self.mine))
            self._client.search_faces(CollectionId="together", FaceId=face_id)

    def _search_image(self) -> None:
        if self.mine:
            face_id = self._random.choice(sorted(self.mine))
            found = self._client.search_faces_by_image(
                CollectionId="together", Image={"Bytes": self._pictures[self.mine[face_id]]}, MaxFaces=4096
            )
            if face_id not in [match["Face"]["FaceId"] for match in found["FaceMatches"]]:
                self.wrong.append(f"{face_id} was indexed and is not found")

    def _remove(self) -> None:
        if len(self.mine) > 3:
            face_id = self._random.choice(sorted(self.mine))
            del self.mine[face_id]
            if self._client.delete_faces(CollectionId="together", FaceIds=[face_id])["DeletedFaces"] != [face_id]:
                self.wrong.append(f"{face_id} could not be deleted")
            elif self._client.list_faces(CollectionId="together", FaceIds=[face_id])["Faces"]:
                self.wrong.append(f"{face_id} is there after it was deleted")

    def _list(self) -> None:
        if self.mine:
            listed = self._client.list_faces(CollectionId="together", FaceIds=sorted(self.mine))["Faces"]
            missing = set(self.mine) - {face["FaceId"] for face in listed}
            if missing:
                self.wrong.append(f"{len(missing)} faces are lost")


def load_models(client: Any, picture: bytes) -> None:
    """Make the server load what it loads on first use: detectors, embedder, attributes, text; for stills and videos."""
    image = {"Bytes": picture}
    video = {"S3Object": {"Bucket": "pictures", "Name": "video/short_hamilton_clip.mp4"}}
    client.search_faces_by_image(CollectionId=COLLECTIONS[0], Image=image)
    client.detect_faces(Image=image, Attributes=["ALL"])
    client.detect_labels(Image=image, Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"])
    client.detect_text(Image=image)
    faces = client.start_face_detection(Video=video, FaceAttributes="ALL")["JobId"]
    search = client.start_face_search(Video=video, CollectionId=COLLECTIONS[0])["JobId"]
    labels = client.start_label_detection(Video=video)["JobId"]
    text = client.start_text_detection(Video=video)["JobId"]
    for get, job in (
        (client.get_text_detection, text),
        (client.get_face_detection, faces),
        (client.get_face_search, search),
        (client.get_label_detection, labels),
    ):
        assert eventually(lambda: get(JobId=job)["JobStatus"] == "SUCCEEDED", 60)  # noqa: B023  awaited in this round


@pytest.mark.long
@pytest.mark.timeout(300)
def test_eight_clients_and_a_fuzzer_for_a_minute_lose_nothing_and_memory_stays_flat(
    shared: Path, people: People, tmp_path: Path
) -> None:
    with running(shared, tmp_path) as (process, port):
        client = service_model.client(port)
        for name in (*COLLECTIONS[:2], "together"):
            client.create_collection(CollectionId=name)
        load_models(client, people(0)[0])
        marks = [resident(process.pid)]
        until = time.monotonic() + 60
        workers = [Worker(port, number, people(number)[:4], until) for number in range(8)]
        for worker in workers:
            worker.start()

        def going() -> bool:
            if time.monotonic() - until > -60 + 20 * len(marks):
                marks.append(resident(process.pid))
            return time.monotonic() < until

        found = fuzz(port, fuzzing.Fuzzer(8, pool_of(people, shared)), going)
        for worker in workers:
            worker.join()
        marks.append(resident(process.pid))
        print({"steps": sum(one.steps for one in workers), "busy": sum(one.busy for one in workers), "MiB": marks})

        assert found == []
        assert [text for worker in workers for text in worker.wrong] == []
        kept = {face_id for worker in workers for face_id in worker.mine}
        listed = [
            face["FaceId"]
            for page in client.get_paginator("list_faces").paginate(CollectionId="together")
            for face in page["Faces"]
        ]
        assert set(listed) == kept
        assert len(listed) == len(set(listed))
        assert marks[-1] - marks[0] < 20
