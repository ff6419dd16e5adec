"""Fixtures: review questions about faces of a collection of made-up people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rigs.review_faces import BOX, CROP, SPACE, look

from edge.core.settings.services import ReviewSettings
from edge.core.settings.vision import CollectionSettings
from edge.recognition.review.answers import ReviewService
from edge.recognition.review.question import Nearest, ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace


@pytest.fixture
def collections(tmp_path: Path) -> Iterator[Collections]:
    with Collections(tmp_path, CollectionSettings(), maintain=False) as made:
        made.create("staff")
        yield made


@pytest.fixture
def staff(collections: Collections) -> Collection:
    collection = collections.get("staff")
    people = [("alice", 0), ("bob", 1)]
    collection.add(
        [NewFace(look(person, n), name, f"{person}{n}".ljust(64, "0"), BOX) for name, person in people for n in (0, 1)],
        SPACE,
    )
    return collection


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[ReviewQueue]:
    with ReviewQueue(tmp_path, ReviewSettings(enabled=True, crops=True)) as made:
        yield made


@pytest.fixture
def answers(queue: ReviewQueue, collections: Collections, staff: Collection) -> ReviewService:
    return ReviewService(queue, collections)


@pytest.fixture
def ask(queue: ReviewQueue, staff: Collection) -> Callable[..., int]:
    def asked(vector: np.ndarray, subject: str | None = "alice") -> int:
        found = staff.search(vector[np.newaxis], 5)[0]
        nearest = tuple(Nearest(match.name, match.face_id, match.similarity) for match in found)
        where = ("door", "1-1", "face", "staff", SPACE, BOX)
        queue.put([ReviewQuestion("uncertain", time.time(), *where, 0.9, 0.8, subject, nearest, vector, CROP)])
        return queue.doubts(limit=1000)[-1].id

    return asked
