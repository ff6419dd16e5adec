"""A daemon takes over custom labels that came into use, and learns from answers, while it looks."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rigs.fakes import SPACE, CountsEmbeddings, a_model_set
from rigs.heads import a_version

from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings
from edge.core.settings.vision import CameraSettings
from edge.daemon.label_updates import LOOK, LabelUpdater
from edge.labels import classifier as custom_labels
from edge.labels.classifier import LabelClassifier
from edge.labels.evaluation import evaluate
from edge.labels.store import Labels
from edge.labels.training_rows import StoredRows
from edge.labels.version import Made
from edge.pipeline.model_set import ModelSet
from edge.recognition.review.queue import ReviewQueue


class Watched:
    """What ``LabelUpdater`` needs of a watch."""

    def __init__(self, model_set: ModelSet) -> None:
        self.model_set = model_set


class Lesson:
    """A state folder with 'helmets' in use, a watch that tells them, and what learns."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch, refit: int = 4) -> None:
        self.state, self.changed, self.now = state, list[ModelSet](), 0.0
        space = SPACE.fingerprint
        first = a_version(state, space=space)
        self.labels = Labels(state)
        head = self.labels.head(first)
        vectors = np.eye(2, 4, dtype=np.float32)
        taught = StoredRows(vectors, np.eye(2, dtype=bool), np.arange(2), vectors, np.eye(2, dtype=bool))
        result = evaluate(head.labels, head.thresholds, np.eye(2, dtype=np.float32), np.eye(2, dtype=bool))
        made = Made(head, result, "base", space, (), [], [], (), taught)
        self.labels.use(self.labels.save("helmets", made))
        classifier = LabelClassifier("helmets/2", CountsEmbeddings(), head)
        self.watch = Watched(dataclasses.replace(a_model_set(), classifiers={"helmets": classifier}))
        self.settings = Settings(
            cameras=(CameraSettings(name="door", custom_labels=("helmets",)),),
            review=ReviewSettings(enabled=True, refit=refit),
        )
        # the backbone is a stand-in: nothing is loaded
        monkeypatch.setattr("edge.inference.load.load_embedder", lambda *_: CountsEmbeddings())
        self.learning = LabelUpdater(self.settings, state, self.watch, self.switch)  # type: ignore[arg-type]

    def switch(self, model_set: ModelSet) -> None:
        self.watch.model_set = model_set
        self.changed.append(model_set)

    def pass_time(self) -> None:
        """Rounds until nothing is left to do."""
        for _ in range(3):
            self.now += LOOK + 1
            self.learning.tick(self.now)
            until = time.monotonic() + 20
            while self.learning._thread is not None and time.monotonic() < until:
                self.learning.tick(self.now)
                time.sleep(0.01)

    @property
    def told(self) -> str:
        return self.watch.model_set.classifiers["helmets"].version


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lesson]:
    one = Lesson(tmp_path, monkeypatch)
    yield one
    one.learning.close()


def test_a_version_that_comes_into_use_takes_over(lesson: Lesson) -> None:
    lesson.pass_time()
    assert (lesson.told, lesson.changed) == ("helmets/2", []), "it looks already"
    a_version(lesson.state, space=SPACE.fingerprint)
    lesson.pass_time()
    assert lesson.told == "helmets/3"
    assert len(lesson.changed) == 1


def test_a_version_of_another_backbone_is_refused_and_the_old_one_goes_on(
    lesson: Lesson, caplog: pytest.LogCaptureFixture
) -> None:
    a_version(lesson.state, space="elsewhere")
    lesson.pass_time()
    lesson.pass_time()
    assert lesson.told == "helmets/2"
    assert caplog.text.count("expected embeddings of elsewhere") == 1, "told once"


def test_a_version_of_a_detector_that_the_release_replaces_takes_over(lesson: Lesson) -> None:
    door = CameraSettings(name="door", detectors=("newer",), custom_labels=("helmets",))
    settings = lesson.settings.model_copy(update={"cameras": (door,)})
    lesson.learning.close()
    lesson.learning = LabelUpdater(
        settings, lesson.state, lesson.watch, lesson.switch, {"older": "newer"}  # type: ignore[arg-type]
    )  # fmt: skip
    a_version(lesson.state, space=SPACE.fingerprint, detectors=("older",))
    lesson.pass_time()
    assert lesson.told == "helmets/3"


def test_enough_answers_are_learned_and_what_was_learned_takes_over(lesson: Lesson) -> None:
    with ReviewQueue(lesson.state, lesson.settings.review) as queue:
        for number in range(1, 4):
            queue.examples.put(number, "helmets", "cat", SPACE.fingerprint, np.array([0, 0, 1, 0], np.float32))
        lesson.pass_time()
        assert lesson.told == "helmets/2", "not enough yet"
        queue.examples.put(4, "helmets", "cat", SPACE.fingerprint, np.array([0, 0, 1, 0], np.float32))
        lesson.pass_time()
    assert lesson.told == "helmets/3"
    head = lesson.watch.model_set.classifiers["helmets"].head
    answers = head.answers(np.array([[0, 0, 1, 0]], np.float32))[0]
    assert head.labels[int(answers.argmax())] == "cat"
    assert lesson.labels.version("helmets").confirmed == 4
    before = len(lesson.labels.versions("helmets"))
    lesson.pass_time()
    assert len(lesson.labels.versions("helmets")) == before, "the same answers are not learned twice"


def test_answers_about_labels_that_no_camera_tells_wait_for_a_command(lesson: Lesson) -> None:
    with ReviewQueue(lesson.state, lesson.settings.review) as queue:
        for number in range(9):
            queue.examples.put(number, "others", "cat", SPACE.fingerprint, np.array([0, 0, 1, 0], np.float32))
    lesson.pass_time()
    assert lesson.labels.names() == ["helmets"]
    assert custom_labels.named(lesson.settings) == ["helmets"]
