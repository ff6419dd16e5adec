"""What the shipped attribute model says of real faces, and what a card must say of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import ModelSettings
from edge.core.types import Box, Detection, Picture, Point
from edge.inference.detector import Detector
from edge.inference.face_attributes import AttributeModel, FaceAttributes
from edge.inference.load import load_attributes, load_detector

SETTINGS = ModelSettings(check=False)
Look = Callable[[Picture], FaceAttributes]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AttributeModel:
    return load_attributes("edge-face-attributes-1", SETTINGS, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return load_detector("edge-face-detector-1", SETTINGS, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def faces(shared: Path, detector: Detector) -> list[tuple[Picture, Detection]]:
    """One picture of each of thirty people, and the face in its middle."""
    found = []
    for folder in sorted((shared / "data" / "lfw_dev").iterdir())[:30]:
        if folder.is_dir():
            picture = pictures.read(min(folder.glob("*.jpg")))
            seen = detector.detect(picture)
            if seen:
                found.append((picture, max(seen, key=lambda one: one.box.area)))
    return found


def covered(picture: Picture, face: Detection) -> Picture:
    """A cloth over mouth and nose."""
    image = picture.data.copy()
    size = (picture.width, picture.height)
    nose, left, right = (np.array([p.x, p.y]) * size for p in face.landmarks[2:])
    wide, down = (right - left) * 0.9, (left + right) / 2 - nose
    outline = [
        nose - wide,
        nose - 0.3 * down,
        nose + wide,
        right + 0.5 * wide + 1.2 * down,
        left - 0.5 * wide + 1.2 * down,
    ]
    cv2.fillPoly(image, [np.array(outline).astype(np.int32)], (200, 210, 190))
    return replace(picture, data=image)


def darkened_eyes(picture: Picture, face: Detection) -> Picture:
    """Sunglasses."""
    image = picture.data.copy()
    size = (picture.width, picture.height)
    left, right = (np.array([p.x, p.y]) * size for p in face.landmarks[:2])
    apart = float(np.hypot(*(right - left)))
    for eye in (left, right):
        place = (int(eye[0]), int(eye[1] + 0.05 * apart))
        cv2.ellipse(image, place, (int(0.4 * apart), int(0.3 * apart)), 0, 0, 360, (12, 12, 14), -1, cv2.LINE_AA)
    cv2.line(image, left.astype(int).tolist(), right.astype(int).tolist(), (12, 12, 14), max(2, int(0.08 * apart)))
    return replace(picture, data=image)


@pytest.mark.parametrize(("name", "drawn"), [("FaceOccluded", covered), ("Sunglasses", darkened_eyes)])
def test_what_is_drawn_on_faces_is_told_and_what_is_not_there_is_not(
    model: AttributeModel, faces: list[tuple[Picture, Detection]], name: str, drawn: Callable[..., Picture]
) -> None:
    before = [model.attributes(*one).values[name].value for one in faces]
    after = [model.attributes(drawn(*one), one[1]).values[name].value for one in faces]

    assert sum(before) <= 0.25 * len(faces)
    assert sum(after) >= 0.75 * len(faces)


def test_a_mirrored_face_has_mirrored_landmarks_and_the_same_attributes(
    model: AttributeModel, faces: list[tuple[Picture, Detection]]
) -> None:
    apart, alike = [], []
    for picture, face in faces:
        turned = replace(picture, data=np.ascontiguousarray(picture.data[:, ::-1]))
        order = (1, 0, 2, 4, 3)
        five = tuple(Point(1 - face.landmarks[place].x, face.landmarks[place].y) for place in order)
        own, other = model.attributes(picture, face), model.attributes(turned, replace(face, landmarks=five))
        width = abs(face.landmarks[1].x - face.landmarks[0].x)
        apart.append(abs(own.landmarks["chinBottom"].x - (1 - other.landmarks["chinBottom"].x)) / width)
        alike += [own.values[name].value == other.values[name].value for name in own.values]

    assert float(np.median(apart)) < 0.1
    assert float(np.mean(alike)) > 0.9


def test_landmarks_lie_where_the_face_is_in_a_picture_of_any_shape(
    model: AttributeModel, faces: list[tuple[Picture, Detection]]
) -> None:
    picture, face = faces[0]
    wide = np.zeros((picture.height, 3 * picture.width, 3), np.uint8)
    wide[:, picture.width : 2 * picture.width] = picture.data
    five = tuple(Point((1 + point.x) / 3, point.y) for point in face.landmarks)

    own = model.attributes(picture, face).landmarks
    moved = model.attributes(
        Picture(wide, picture.layout, 3 * picture.width, picture.height), replace(face, landmarks=five)
    )

    for name, place in own.items():
        assert moved.landmarks[name].x * 3 - 1 == pytest.approx(place.x, abs=0.02)
        assert moved.landmarks[name].y == pytest.approx(place.y, abs=0.02)


def test_a_box_without_landmarks_is_told_from_its_square(model: AttributeModel) -> None:
    gray = Picture(np.full((60, 80, 3), 128, np.uint8), "rgb", 80, 60)

    found = model.attributes(gray, Detection("face", 0.9, Box(-0.2, -0.2, 1.3, 1.4)))

    assert all(0.5 <= one.probability <= 1 for one in found.values.values())
    assert 0 <= found.age[0] < found.age[1]
    assert sum(found.emotions.values()) == pytest.approx(1, abs=1e-4)


def test_an_answer_that_is_seldom_right_is_never_sure(
    model: AttributeModel, faces: list[tuple[Picture, Detection]]
) -> None:
    shape = model.card.attributes
    assert shape is not None
    doubtful = replace(shape, balanced=(0.6,) * len(shape.names), calibration=((9.0, 0.0),) * len(shape.names))
    unsure = AttributeModel(replace(model.model, card=replace(model.card, attributes=doubtful)), model.interpreter)

    assert max(one.probability for one in unsure.attributes(*faces[0]).values.values()) == 0.6


def test_a_card_of_other_outputs_and_another_kind_of_model_are_refused(model: AttributeModel, tmp_path: Path) -> None:
    shape = model.card.attributes
    assert shape is not None
    fewer = replace(model.card, attributes=replace(shape, landmarks=shape.landmarks[:5]))
    with pytest.raises(ModelError, match=r"expected outputs of \(10, 1, 16\) numbers by its card, got \(60, 1, 16\)"):
        AttributeModel(replace(model.model, card=fewer), model.interpreter)
    with pytest.raises(ModelError, match="expected a face attribute model, got a detector"):
        load_attributes("edge-face-detector-1", SETTINGS, tmp_path)
