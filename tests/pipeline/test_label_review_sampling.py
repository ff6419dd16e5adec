"""Which looks of custom labels become questions, and what becomes of the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rigs.fakes import SPACE, SeesOneFace, a_frame, a_model_set, ids
from rigs.shown_labels import HEAD, Shows

from edge.core.errors import InputError
from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings
from edge.core.settings.vision import CameraSettings, CollectionSettings
from edge.labels.classifier import LabelClassifier
from edge.labels.examples import ConfirmedExample
from edge.labels.head import Head
from edge.pipeline.pipeline import Pipeline
from edge.pipeline.review_sampling import ReviewSampler
from edge.recognition.review.answers import ReviewService, document
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collections import Collections

UNSURE = dataclasses.replace(HEAD, weights=HEAD.weights / 9, thresholds=np.array([0.5, 0.5], np.float32))
"""says .58 of what it knows best: near its thresholds"""


def asked(state: Path, head: Head, frames: int, shown: str = "helmet", crops: bool = False) -> list[ReviewQuestion]:
    """The questions about whole pictures, of a camera that sees ``shown`` at five frames a second."""
    camera = CameraSettings(name="door", detectors=("fake",), custom_labels=("helmets",))
    settings = Settings(cameras=(camera,), review=ReviewSettings(enabled=True, crops=crops))
    classifier = LabelClassifier("helmets/1", Shows(shown), head)
    model_set = dataclasses.replace(a_model_set(SeesOneFace(range(0))), classifiers={"helmets": classifier})
    pipeline = Pipeline(camera, settings, model_set, ids())
    with ReviewQueue(state, settings.review) as queue:
        doubts = ReviewSampler(queue, settings)
        for number in range(frames):
            frame = dataclasses.replace(a_frame(number), time=1.0e10 + number)
            result = pipeline.process(frame)
            doubts.ended(result.events)
            doubts.look(result)
            doubts.flush()
        return queue.doubts()


def test_a_picture_near_a_threshold_is_one_question_in_a_while(tmp_path: Path) -> None:
    (one,) = asked(tmp_path, UNSURE, 100)
    assert (one.reason, one.subject, one.version, one.camera) == ("threshold", "helmet", "helmets/1", "door")
    assert [near.subject for near in one.nearest] == ["helmet"]
    assert 0.5 <= one.nearest[0].similarity <= 0.65
    assert one.crop == b""
    assert document(one)["version"] == "helmets/1"
    assert len(asked(tmp_path / "long", UNSURE, 400)) == 3, "80 seconds"


def test_what_is_sure_is_no_question(tmp_path: Path) -> None:
    assert asked(tmp_path, HEAD, 50) == []
    assert asked(tmp_path, HEAD, 50, shown="") == []


def test_a_picture_is_kept_where_the_settings_say_so(tmp_path: Path) -> None:
    (one,) = asked(tmp_path, UNSURE, 20, crops=True)
    assert one.crop[:2] == b"\xff\xd8"


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[tuple[ReviewService, ReviewQueue, ReviewQuestion]]:
    (one,) = asked(tmp_path, UNSURE, 20)
    with (
        ReviewQueue(tmp_path, ReviewSettings(enabled=True)) as queue,
        Collections(tmp_path, CollectionSettings()) as faces,
    ):
        yield ReviewService(queue, faces), queue, one


def examples(queue: ReviewQueue) -> list[tuple[int, str | None]]:
    found: list[ConfirmedExample] = queue.examples.of("helmets", SPACE.fingerprint)
    assert all(one.vector.shape == (4,) for one in found)
    return [(one.question, one.label) for one in found]


def test_a_confirmed_label_is_an_example_of_it_and_can_be_taken_back(
    reviewed: tuple[ReviewService, ReviewQueue, ReviewQuestion],
) -> None:
    answers, queue, one = reviewed
    assert answers.confirm(one.id) == "helmet"
    assert examples(queue) == [(one.id, "helmet")]
    assert queue.count() == 0
    answers.undo()
    assert examples(queue) == []
    assert queue.count() == 1


@pytest.mark.parametrize("how", ["rename", "new"])
def test_another_label_is_an_example_of_that(
    reviewed: tuple[ReviewService, ReviewQueue, ReviewQuestion], how: str
) -> None:
    answers, queue, one = reviewed
    getattr(answers, how)(one.id, "cap")
    assert examples(queue) == [(one.id, "cap")]
    assert queue.answers()[0].subject == "cap"


def test_what_it_is_not_is_an_example_of_none_and_no_anchor(
    reviewed: tuple[ReviewService, ReviewQueue, ReviewQuestion],
) -> None:
    answers, queue, one = reviewed
    assert answers.reject(one.id) == "helmet"
    assert examples(queue) == [(one.id, None)]
    with queue._db.reading() as db:
        assert db.execute("SELECT count(*) FROM anchors").fetchone()[0] == 0


def test_a_discarded_question_teaches_nothing(reviewed: tuple[ReviewService, ReviewQueue, ReviewQuestion]) -> None:
    answers, queue, one = reviewed
    answers.discard(one.id)
    assert examples(queue) == []
    assert queue.examples.counts() == {}


def test_what_is_no_name_of_a_label_is_refused_and_the_question_stays(
    reviewed: tuple[ReviewService, ReviewQueue, ReviewQuestion],
) -> None:
    answers, queue, one = reviewed
    with pytest.raises(InputError, match="expected a label"):
        answers.new(one.id, "a\nb")
    assert queue.count() == 1
    assert examples(queue) == []
