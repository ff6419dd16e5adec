"""Answers that come late: the subject, the collection or the embedder of the question is another one by now."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from rigs.review_faces import BOX, look

from edge.core.errors import NotFoundError, SpaceError
from edge.core.types import Space
from edge.recognition.enrollment import name_stranger
from edge.recognition.review.answers import ReviewService
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.subject_search import SubjectSearch

Ask = Callable[..., int]


@pytest.mark.parametrize("dimensions", [8, 16], ids=["other dimensions", "as many dimensions"])
@pytest.mark.parametrize("answer", ["confirm", "rename", "new"])
def test_a_question_of_another_embedder_is_refused_with_the_reason_and_can_still_be_answered_otherwise(
    answers: ReviewService, collections: Collections, queue: ReviewQueue, ask: Ask, dimensions: int, answer: str
) -> None:
    number, other = ask(look(0, 5)), ask(look(0, 6))
    collections.delete("staff")
    anew = collections.create("staff")
    vector = np.eye(1, dimensions, 3, dtype=np.float32)[0]
    space = Space("ef" * 32, "litert", 1, dimensions)
    anew.add([NewFace(vector, "alice", "1".ljust(64, "0"), BOX)], space)
    give = {
        "confirm": lambda: answers.confirm(number, force=True),
        "rename": lambda: answers.rename(number, "alice"),
        "new": lambda: answers.new(number, "carol"),
    }[answer]
    with pytest.raises(SpaceError) as caught:
        give()
    assert "discard" in caught.value.hint
    assert anew.count == 1
    assert queue.count() == 2
    answers.discard(number)
    answers.reject(other)
    assert queue.count() == 0


def test_a_subject_that_is_gone_is_enrolled_anew_by_a_person_who_says_so(
    answers: ReviewService, staff: Collection, ask: Ask
) -> None:
    number = ask(look(0, 5))
    staff.delete_subject("alice")
    answers.confirm(number)
    assert staff.subjects()["alice"] == 1


def test_a_question_of_a_collection_that_is_gone_can_be_discarded(
    answers: ReviewService, collections: Collections, queue: ReviewQueue, ask: Ask
) -> None:
    number = ask(look(0, 5))
    collections.delete("staff")
    with pytest.raises(NotFoundError, match="staff"):
        answers.confirm(number)
    answers.discard(number)
    assert queue.count() == 0


def test_a_stranger_of_another_embedder_is_told_to_be_one(collections: Collections, staff: Collection) -> None:
    now, looks = time.time(), np.eye(1, 8, dtype=np.float32)
    stranger = Stranger(0, 7, "staff", "face", Space("ef" * 32, "litert", 1, 8), now, now, 2, 0.9, looks)
    with pytest.raises(SpaceError, match="unknown-7 was seen by another embedder") as caught:
        name_stranger(SubjectSearch(staff), stranger, "maria")
    assert "strangers forget" in caught.value.hint
    assert "maria" not in staff.subjects()


@pytest.mark.parametrize("number", [-1, 0, 1, 2**63, -(2**64), 10**30])
def test_a_question_that_never_was_is_told_to_be_none(answers: ReviewService, number: int) -> None:
    with pytest.raises(NotFoundError, match=f"there is no question {number}"):
        answers.discard(number)
