"""Examples with boxes as rows: what is learned from, what a test counts, and what a detector never proposes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rigs.fakes import SPACE

from edge.core.errors import InputError
from edge.core.imaging import image as pictures
from edge.core.types import Box, Detection, Embedding, Picture, Quality
from edge.labels.classifier import OPINION
from edge.labels.dataset import rows_of
from edge.labels.examples import Annotation, Example
from edge.labels.trainer import LabelTrainer

RED, BLUE = (250, 20, 20), (20, 20, 250)
LEFT, RIGHT, TOP = Box(0.1, 0.3, 0.4, 0.9), Box(0.6, 0.3, 0.9, 0.9), Box(0.4, 0.0, 0.6, 0.2)


class Colors:
    """An embedder whose embedding is the mean color, and one."""

    space = SPACE
    card = SimpleNamespace(name="colors")

    def crop(self, picture: Picture, detection: Detection) -> np.ndarray:
        box, rgb = detection.box, pictures.to_rgb(picture)
        rows = slice(int(box.top * picture.height), int(box.bottom * picture.height))
        return cv2.resize(rgb[rows, int(box.left * picture.width) : int(box.right * picture.width)], (16, 16))

    def embed(self, picture: Picture, detections: Sequence[Detection]) -> list[Embedding]:
        vector = np.array([*pictures.to_rgb(picture).reshape(-1, 3).mean(axis=0) / 255, 0.2], np.float32)
        return [Embedding(vector / np.linalg.norm(vector), SPACE, Quality(1.0)) for _ in detections]


class Proposes:
    """A detector that finds the same in every picture."""

    labels = ("car", "truck")
    card = SimpleNamespace(name="proposes")

    def __init__(self, *found: Detection) -> None:
        self._found = list(found)

    def detect(self, picture: Picture, scores: object = None) -> list[Detection]:
        return self._found


def a_picture(folder: Path, name: str, left: tuple[int, int, int], right: tuple[int, int, int]) -> Path:
    rgb = np.full((100, 100, 3), 90, np.uint8)
    rgb[30:90, 10:40], rgb[30:90, 60:90] = left, right
    (folder / name).write_bytes(pictures.encode_jpeg(rgb, 95))
    return folder / name


def near(box: Box, by: float) -> Box:
    return Box(box.left + by, box.top, box.right + by, box.bottom)


FINDS = Proposes(
    Detection("car", 0.9, near(LEFT, 0.01)), Detection("truck", 0.8, RIGHT), Detection("car", 0.7, TOP),
)  # fmt: skip


def rows(example: Example, detector: Proposes = FINDS, **more: object):
    return rows_of([example], Colors(), [detector], 0, **more)  # type: ignore[arg-type]


def test_boxes_and_the_regions_on_them_are_examples_and_other_regions_are_not(tmp_path: Path) -> None:
    path = a_picture(tmp_path, "a.jpg", RED, BLUE)
    found = rows(Example(path, (Annotation("red", LEFT), Annotation("blue", RIGHT))))
    assert [(sorted(labels), called) for labels, called in zip(found.labels, found.called, strict=True)] == [
        (["red"], "car"), (["blue"], "truck"), (["red"], "car"), (["blue"], "truck"), ([], "car"),
    ]  # fmt: skip
    assert found.regions == ("car", "truck")
    seen = found.stacked(4, found.regions)
    assert seen.shape == (5, 6)
    assert seen[1, 4:].tolist() == [0.0, np.float32(OPINION)]


def test_a_test_counts_each_box_once_and_what_is_not_proposed_as_missed(tmp_path: Path) -> None:
    path = a_picture(tmp_path, "a.jpg", RED, BLUE)
    twice = Proposes(Detection("car", 0.9, near(LEFT, 0.07)), Detection("car", 0.8, near(LEFT, -0.02)))
    found = rows(Example(path, (Annotation("red", LEFT), Annotation("blue", RIGHT))), twice, testing=True)
    assert [sorted(labels) for labels in found.labels] == [["red"]]
    assert found.missed == [frozenset({"blue"})]


def test_a_region_that_is_called_something_else_is_not_told_and_what_it_shows_is_missed(tmp_path: Path) -> None:
    path = a_picture(tmp_path, "a.jpg", RED, BLUE)
    found = rows(Example(path, (Annotation("red", LEFT), Annotation("blue", RIGHT))), testing=True).within(("car",))
    assert set(found.called) == {"car"}
    assert found.missed == [frozenset({"blue"})]


def examples(folder: Path, count: int) -> list[Example]:
    return [
        Example(a_picture(folder, f"{number}.jpg", RED, BLUE), (Annotation("red", LEFT), Annotation("blue", RIGHT)))
        for number in range(count)
    ]


def test_an_object_head_is_learned_and_its_reach_is_the_detectors(tmp_path: Path) -> None:
    blind = Proposes(Detection("car", 0.9, LEFT), Detection("car", 0.7, TOP))
    made, _ = LabelTrainer(Colors(), [blind]).train(examples(tmp_path, 6), examples(tmp_path, 3))  # type: ignore[list-item,arg-type]
    results = {one.label: one for one in made.evaluation.labels}
    assert (results["red"].f1, results["red"].reach) == (1.0, 1.0)
    assert (results["blue"].recall, results["blue"].reach) == (0.0, 0.0)
    assert made.evaluation.reach == 0.5
    assert made.regions == ("car",)


def test_boxes_where_a_detector_finds_nothing_end_in_words(tmp_path: Path) -> None:
    teacher = LabelTrainer(Colors(), [Proposes(Detection("car", 0.7, TOP))])  # type: ignore[list-item,arg-type]
    with pytest.raises(InputError, match="no region that matches a box"):
        teacher.train(examples(tmp_path, 4), examples(tmp_path, 2))
