"""kill -9 in the middle of IndexFaces and DeleteFaces: what was answered holds, and no half face is left."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import service_model
from botocore.exceptions import BotoCoreError, ClientError
from test_fuzz import running

People = Callable[[int], list[bytes]]


class Client(threading.Thread):
    """Indexes and deletes until the server dies. Notes what was answered, and what was under way."""

    def __init__(self, port: int, pictures: list[bytes], there: set[str], seed: int) -> None:
        super().__init__(name="client")
        self._client = service_model.client(port)
        self._pictures = pictures
        self._random = random.Random(seed)
        self.there = there
        self.gone: set[str] = set()
        self.asked_to_go: str | None = None
        self.answers = 0
        self._counted = threading.Condition()

    def answered(self, count: int) -> None:
        """Wait until it has had so many answers."""
        with self._counted:
            assert self._counted.wait_for(lambda: self.answers >= count, 60)

    def run(self) -> None:
        try:
            while True:
                if len(self.there) > 20 or (self.there and self._random.random() < 0.4):
                    self._remove()
                else:
                    self._index()
                with self._counted:
                    self.answers += 1
                    self._counted.notify_all()
        except (BotoCoreError, ClientError, ConnectionError):
            return

    def _index(self) -> None:
        name = f"{self._random.randrange(10**9)}"
        picture = self._random.choice(self._pictures)
        answer = self._client.index_faces(
            CollectionId="killed", Image={"Bytes": picture}, ExternalImageId=name, MaxFaces=1
        )
        self.there.update(record["Face"]["FaceId"] for record in answer["FaceRecords"])

    def _remove(self) -> None:
        self.asked_to_go = self._random.choice(sorted(self.there))
        self._client.delete_faces(CollectionId="killed", FaceIds=[self.asked_to_go])
        self.there.discard(self.asked_to_go)
        self.gone.add(self.asked_to_go)
        self.asked_to_go = None


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_fifty_kills_lose_no_answered_face_and_bring_no_deleted_one_back(
    shared: Path, people: People, tmp_path: Path
) -> None:
    chance = random.Random(50)
    pictures = [picture for number in range(6) for picture in people(number)[:2]]
    there: set[str] = set()
    gone: set[str] = set()
    unsure: set[str] = set()
    answers = 0
    for kill in range(50):
        with running(shared, tmp_path) as (_, port):
            client = service_model.client(port)
            if kill == 0:
                client.create_collection(CollectionId="killed")
            else:
                listed = check(client, there, gone, unsure)
                there = set(listed)
            worker = Client(port, pictures, set(there), kill)
            worker.start()
            worker.answered(chance.randrange(1, 9))
            time.sleep(chance.uniform(0, 0.2))
        worker.join()
        answers += worker.answers
        there, unsure = worker.there, {worker.asked_to_go} - {None}
        gone |= worker.gone
    with running(shared, tmp_path) as (_, port):
        check(service_model.client(port), there, gone, unsure)
    print({"answers": answers, "kept": len(there), "deleted": len(gone)})
    assert answers > 100
    assert gone


def check(client: Any, there: set[str], gone: set[str], unsure: set[str]) -> list[str]:
    """The faces that are there after a restart: all that were answered, none that was deleted, each of them whole."""
    listed = [
        face["FaceId"]
        for page in client.get_paginator("list_faces").paginate(CollectionId="killed")
        for face in page["Faces"]
    ]
    assert there - unsure <= set(listed)
    assert not gone & set(listed)
    assert len(listed) == len(set(listed)) == client.describe_collection(CollectionId="killed")["FaceCount"]
    for face_id in listed[-5:]:
        client.search_faces(CollectionId="killed", FaceId=face_id, FaceMatchThreshold=0)
    return listed
