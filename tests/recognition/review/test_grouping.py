"""Looks of one face are one question, however often the face appears."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from rigs.review_faces import BOX, SPACE, look

from edge.core.settings.services import ReviewSettings
from edge.recognition.review.grouping import MAX_LOOKS
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue

ON = ReviewSettings(enabled=True)


def question(person: int, number: int, **more: object) -> ReviewQuestion:
    found = ReviewQuestion(
        "unmatched", 1e10 + number, "door", f"1-{number}", "face", "faces", SPACE, BOX, 0.9, 0.5, None, (),
        look(person, number), match=0.46,
    )  # fmt: skip
    return replace(found, **more)  # type: ignore[arg-type]


def test_three_people_on_a_looped_clip_are_three_questions(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    with ReviewQueue(tmp_path, ON) as queue:
        for number in range(120):
            queue.put([question(person, int(chance.integers(8))) for person in (2, 3, 4)])
            assert queue.kept().waiting == 3, f"after {number + 1} rounds"
        assert queue.count() <= 3 * MAX_LOOKS


def test_the_best_looks_are_kept_and_come_best_first(tmp_path: Path) -> None:
    with ReviewQueue(tmp_path, ON) as queue:
        queue.put([question(2, number, quality=number / 10) for number in range(9)])
        (first, *_) = queue.doubts()
        looks = queue.looks(first)
    assert [one.quality for one in looks] == [0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    assert {one.group for one in looks} == {1}


def test_questions_without_a_match_threshold_and_of_custom_labels_stay_by_themselves(tmp_path: Path) -> None:
    with ReviewQueue(tmp_path, ON) as queue:
        queue.put([question(2, 1, match=0.0), question(2, 1, match=0.0)])
        queue.put([question(2, 1, version="helmets/1"), question(2, 1, version="helmets/1")])
        assert queue.kept().waiting == 4


def test_another_collection_or_embedding_space_is_another_question(tmp_path: Path) -> None:
    other = replace(SPACE, model="ef" * 32)
    with ReviewQueue(tmp_path, ON) as queue:
        queue.put([question(2, 1), question(2, 1, collection="staff"), question(2, 1, space=other)])
        assert queue.kept().waiting == 3


def test_ignored_faces_are_dropped_until_the_queue_is_cleared(tmp_path: Path) -> None:
    with ReviewQueue(tmp_path, ON) as queue:
        queue.put([question(2, 1)])
        queue.answer(queue.get(1), "discarded", None)
        queue.put([question(2, 2), question(3, 2)])
        assert [one.vector.argmax() for one in queue.doubts()] == [3]
        queue.clear()
        queue.put([question(2, 3)])
        assert queue.count() == 1
