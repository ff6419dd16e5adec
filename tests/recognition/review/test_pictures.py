"""Corrected boxes become examples of the next version, as in training, and pictures are deleted when they should be."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rigs.fakes import SPACE

from edge.core.errors import InputError, NotFoundError, SpaceError
from edge.core.imaging import image
from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings
from edge.core.types import Box, Detection, Embedding, Picture, Quality
from edge.labels.examples import Annotation, Example
from edge.labels.refit import answers_of, refit
from edge.labels.store import Labels
from edge.labels.trainer import LabelTrainer
from edge.labels.version import Version
from edge.recognition.review.answers import ReviewService, export
from edge.recognition.review.label_questions import LabelQuestions
from edge.recognition.review.pictures import SIDE, stored_jpeg
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collections import Collections

RED, BLUE, GREEN, GRAY = (250, 20, 20), (20, 20, 250), (20, 200, 60), (128, 100, 128)
LEFT, RIGHT = Box(0.1, 0.3, 0.4, 0.9), Box(0.6, 0.3, 0.9, 0.9)
ON = ReviewSettings(enabled=True, crops=True)


class Colors:
    """An embedder whose embedding is the mean color of a region, and one."""

    space = SPACE
    card = SimpleNamespace(name="colors")

    def crop(self, picture: Picture, detection: Detection) -> np.ndarray:
        box, rgb = detection.box, image.to_rgb(picture)
        rows = slice(int(box.top * picture.height), int(box.bottom * picture.height))
        return cv2.resize(rgb[rows, int(box.left * picture.width) : int(box.right * picture.width)], (16, 16))

    def embed(self, picture: Picture, detections: Sequence[Detection]) -> list[Embedding]:
        vectors = [
            np.array([*self.crop(picture, one).reshape(-1, 3).mean(axis=0) / 255, 0.2], np.float32)
            for one in detections
        ]
        return [Embedding(vector / np.linalg.norm(vector), SPACE, Quality(1.0)) for vector in vectors]


class Regions:
    """A detector that finds the same two regions in every picture."""

    labels = ("thing",)
    card = SimpleNamespace(name="regions")

    def detect(self, picture: Picture, scores: object = None) -> list[Detection]:
        return [Detection("thing", 0.9, LEFT), Detection("thing", 0.8, RIGHT)]


TRAINER = LabelTrainer(Colors(), [Regions()])  # type: ignore[arg-type,list-item]


def painted(left: tuple[int, int, int], right: tuple[int, int, int]) -> Picture:
    rgb = np.full((100, 100, 3), 90, np.uint8)
    rgb[30:90, 10:40], rgb[30:90, 60:90] = left, right
    return Picture(rgb, "rgb", 100, 100)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """'paint' tells red from blue regions, and has never seen green."""
    examples = []
    for number in range(6):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(image.encode_jpeg(painted(RED, BLUE).data, 95))
        examples.append(Example(path, (Annotation("red", LEFT), Annotation("blue", RIGHT))))
    store = Labels(tmp_path)
    store.use(store.save("paint", TRAINER.train(examples[:4], examples[4:], variants=0)[0]))
    return store.version("paint")


@pytest.fixture
def service(tmp_path: Path, version: Version) -> Iterator[ReviewService]:
    """Two pictures are asked about: a gray region that may be red, and a green one that was taken for blue."""
    questions = LabelQuestions(version, Labels(tmp_path).head(version), TRAINER.embedder, TRAINER.detectors)
    with ReviewQueue(tmp_path, ON) as queue, Collections(tmp_path, Settings().collection) as collections:
        for number in range(2):
            asked = questions.of(painted(GRAY, GREEN), f"{number}.jpg", time.time())
            assert asked.picture is not None
            assert [one.label for one in asked.picture.proposed] == ["red", "blue"]
            queue.put_picture(asked.picture, asked.questions)
        yield ReviewService(queue, collections, {})


def queue_of(service: ReviewService) -> ReviewQueue:
    return service._queue


def corrected(service: ReviewService) -> ReviewQueue:
    """Both pictures show green on the right, and nothing else."""
    queue = queue_of(service)
    for one in queue.doubts():
        service.correct(one.id, [Annotation("green", RIGHT)])
    return queue


def test_the_next_version_learns_from_corrected_boxes(service: ReviewService, version: Version, tmp_path: Path) -> None:
    queue = corrected(service)
    assert queue.examples.counts() == {"paint": 2}, "a picture is one answer before it is embedded"
    queue.pictures.embed(version, TRAINER)
    assert queue.examples.counts() == {"paint": 2}, "and after"
    examples = queue.examples.of("paint", version.space)
    assert [one.label for one in examples] == ["green", None, "green"] * 2, "a box, and the regions of the detector"
    assert answers_of(examples) == 2
    store = Labels(tmp_path)
    done = refit(store, "paint", examples)
    assert (done.used, done.answers, done.version.confirmed) == (True, 2, 2)
    assert done.after.f1 >= done.before.f1
    now = store.version("paint")
    told = {(one.label, one.box) for one in TRAINER.predict(now, store.head(now), painted(RED, GREEN))}
    assert told == {("red", LEFT), ("green", RIGHT)}


def test_pictures_are_embedded_once_and_taken_back_whole(service: ReviewService, version: Version) -> None:
    queue = corrected(service)
    queue.pictures.embed(version, TRAINER)
    assert queue.pictures.pending("paint") == []
    service.undo()
    assert queue.examples.counts() == {"paint": 1}
    assert [one.picture for one in queue.doubts()] == [2]
    service.correct(queue.doubts()[0].id, [])
    with pytest.raises(SpaceError, match="expected embeddings"):
        queue.pictures.embed(replace(version, space="another"), TRAINER)
    assert queue.pictures.pending("paint") == [2], "it waits for the right embedder"


def test_corrected_pictures_are_exported_with_their_boxes(service: ReviewService, tmp_path: Path) -> None:
    queue = corrected(service)
    assert export(tmp_path / "out", queue.answers(), queue.pictures.corrected()) == 2
    line = json.loads((tmp_path / "out/output.manifest").read_text().splitlines()[0])
    assert line["boxes"]["annotations"] == [{"class_id": 0, "left": 60, "top": 30, "width": 30, "height": 60}]
    assert image.read(tmp_path / "out" / line["source-ref"]).width == 100


def test_a_picture_is_deleted_with_its_questions(service: ReviewService, version: Version) -> None:
    queue = queue_of(service)
    first = queue.doubts()[0]
    service.correct(first.id, [Annotation("green", RIGHT)])
    queue.clear()
    with pytest.raises(NotFoundError, match="was deleted"):
        queue.pictures.get(2)
    assert queue.pictures.pending("paint") == [1], "what was said is learned"
    queue.pictures.embed(version, TRAINER)
    queue.clear(answers=True)
    with pytest.raises(NotFoundError, match="was deleted"):
        queue.pictures.get(1)
    assert queue.examples.counts() == {"paint": 1}, "what was learned stays"


def test_a_question_without_a_picture_has_no_boxes(service: ReviewService) -> None:
    queue = queue_of(service)
    queue.put([replace(queue.doubts()[0], picture=0)])
    with pytest.raises(InputError, match="no picture with boxes"):
        service.correct(queue.doubts()[-1].id, [])


def test_a_stored_picture_is_bounded() -> None:
    large = image.decode(stored_jpeg(Picture(np.zeros((1000, 4 * SIDE, 3), np.uint8), "rgb", 4 * SIDE, 1000)))
    assert (large.width, large.height) == (SIDE, 250)
