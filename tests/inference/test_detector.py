"""Pictures in, detections out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import ModelSettings
from edge.core.types import Box, Detection, Picture
from edge.inference.detector import Detector
from edge.inference.interpreter import Interpreter
from edge.inference.load import load_detector

FACES = [
    "ulffd-landmark-320",
    "ulffd-landmark-320-float",
    "rfb-320",
    "rfb-320-float",
    "blazeface-full",
    "blazeface-short",
]


def wide() -> Picture:
    """Four by one: in an input of two by one it lies between bars of a quarter of the height."""
    return Picture(np.zeros((100, 400, 3), np.uint8), "rgb", 400, 100)


@pytest.fixture
def two(tiny: Any) -> Detector:
    model = tiny.detector()
    return Detector(model, Interpreter(model.path))


def test_boxes_come_back_in_fractions_of_the_frame_best_first(two: Detector) -> None:
    cat, dog = two.detect(wide())

    assert (cat.label, dog.label) == ("cat", "dog")
    assert cat.score == pytest.approx(0.9)
    assert cat.box == Box(0.5, 0.0, 0.75, 1.0)  # the letterbox is undone
    assert dog.box == Box(0.0, -0.5, 0.5, 1.5)
    assert cat.landmarks == ()


def test_a_class_without_a_name_is_neither_reported_nor_listed(two: Detector) -> None:
    assert two.labels == ("cat", "dog")
    assert {d.label for d in two.detect(wide(), {"cat": 0.0, "dog": 0.0, "n/a": 0.0})} == {"cat", "dog"}


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ({"cat": 0.5}, ["cat"]),
        ({"cat": 0.95, "dog": 0.5}, ["dog"]),
        ({"bird": 0.1}, []),
        ({}, []),
        (None, ["cat", "dog"]),
    ],
)
def test_each_label_has_its_own_lowest_score_and_absent_ones_are_dropped(
    two: Detector, scores: dict[str, float] | None, labels: list[str]
) -> None:
    assert [d.label for d in two.detect(wide(), scores)] == labels


@pytest.mark.parametrize(
    "boxes",
    [
        [[[np.nan] * 4, [0, 0, 1, 1], [0, 0, 1, 1]]],
        [[[0, 0, np.inf, 1], [0, 0, 1, 1], [0, 0, 1, 1]]],
        [[[0.9, 0.9, 0.1, 0.1], [0, 0, 1, 1], [0, 0, 1, 1]]],
    ],
)
def test_boxes_that_are_no_boxes_are_left_out(tiny: Any, boxes: Any) -> None:
    model = tiny.detector(tiny.always(16, 8, {**tiny.answers, "boxes": boxes}))

    assert [d.label for d in Detector(model, Interpreter(model.path)).detect(wide())] == ["dog"]


def test_a_class_number_beyond_the_labels_is_left_out(tiny: Any) -> None:
    model = tiny.detector(tiny.always(16, 8, {**tiny.answers, "classes": [[0, 77, -1]]}))

    assert [d.label for d in Detector(model, Interpreter(model.path)).detect(wide())] == ["cat"]


def test_a_card_that_lies_about_its_tensors_is_a_model_error(tiny: Any) -> None:
    lies = {
        "input": {"width": 32, "height": 32},
        "decoder": {**tiny.detector_card()["decoder"], "tensors": ["boxes", "landmarks"]},
        "kind": "classifier",
    }
    for key, lie in lies.items():
        model = tiny.detector(**{key: lie})
        with pytest.raises(ModelError):
            Detector(model, Interpreter(model.path))


def test_a_decoder_that_finds_other_tensors_is_a_model_error(tiny: Any) -> None:
    decoder = {**tiny.detector_card()["decoder"], "tensors": ["scores", "classes", "boxes", "count"]}
    model = tiny.detector(decoder=decoder)

    with pytest.raises(ModelError, match="ssd_postprocessed"):
        Detector(model, Interpreter(model.path)).detect(wide())


@pytest.mark.parametrize("name", FACES)
def test_two_people_side_by_side_are_two_faces(
    name: str, settings: ModelSettings, shared_data: Path, tmp_path: Path
) -> None:
    detector = load_detector(name, settings, tmp_path)

    found = sorted(detector.detect(pictures.read(shared_data / "face_pairs" / "couple.jpg")), key=lambda d: d.box.left)

    assert [d.label for d in found] == ["face", "face"]
    assert found[0].box.iou(Box(0.15, 0.3, 0.46, 0.86)) > 0.55
    assert found[1].box.iou(Box(0.62, 0.18, 0.88, 0.69)) > 0.55
    for face in found:
        assert all(
            face.box.left < p.x < face.box.right and face.box.top < p.y < face.box.bottom for p in face.landmarks
        )
        if face.landmarks:
            eye_left, eye_right, nose, mouth_left, mouth_right = face.landmarks
            assert eye_left.x < eye_right.x
            assert mouth_left.x < mouth_right.x
            assert max(eye_left.y, eye_right.y) < nose.y < min(mouth_left.y, mouth_right.y)


@pytest.mark.parametrize("name", ["yolov8n-224", "yolov8n-416", "ssd-mobilenet-v1-coco"])
def test_a_cat_is_a_cat_where_it_sits(name: str, settings: ModelSettings, shared_data: Path, tmp_path: Path) -> None:
    detector = load_detector(name, settings, tmp_path)

    best = detector.detect(pictures.read(shared_data / "stills" / "cat_720p.jpg"))[0]

    assert best.label == "cat"
    assert best.box.iou(Box(0.08, 0.12, 0.72, 1.0)) > 0.8


@pytest.mark.parametrize("name", ["ulffd-landmark-320", "yolov8n-224", "blazeface-full"])
def test_a_picture_in_another_layout_gives_the_same_detections(
    name: str, settings: ModelSettings, shared_data: Path, tmp_path: Path
) -> None:
    import cv2

    detector = load_detector(name, settings, tmp_path)
    rgb = cv2.resize(pictures.to_rgb(pictures.read(shared_data / "face_pairs" / "couple.jpg")), (640, 444))
    layouts = {
        "rgb": rgb,
        "bgr": np.ascontiguousarray(rgb[:, :, ::-1]),
        "i420": cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420),
    }

    found = {layout: detector.detect(Picture(data, layout, 640, 444)) for layout, data in layouts.items()}  # type: ignore[arg-type]

    assert found["rgb"] == found["bgr"]
    assert same(found["rgb"], found["i420"])


def same(some: list[Detection], others: list[Detection]) -> bool:
    return len(some) == len(others) and all(
        any(a.label == b.label and a.box.iou(b.box) > 0.85 and abs(a.score - b.score) < 0.15 for b in others)
        for a in some
    )
