"""Text of drawn words by the shipped models, and invalid cards and corners."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.core.settings.vision import ModelSettings
from edge.core.types import Box, Picture, Point
from edge.inference.load import load_detector, load_embedder, load_recognizer
from edge.inference.text_detection import detected_words
from edge.inference.text_recognizer import TextRecognizer, consistent

SETTINGS = ModelSettings(check=False)
WIDTH, HEIGHT = 640, 480


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> TextRecognizer:
    return load_recognizer("edge-text-recognizer-1", SETTINGS, tmp_path_factory.mktemp("state"))


def a_word(text: str, scale: float = 1.0, angle: float = 0.0) -> tuple[Picture, tuple[Point, ...]]:
    """A picture with a word in its middle, rotated clockwise by ``angle`` degrees, and the corners of its ink."""
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, 2)
    flat = np.zeros((HEIGHT, WIDTH), np.uint8)
    origin = ((WIDTH - wide) // 2, (HEIGHT + high) // 2)
    cv2.putText(flat, text, origin, cv2.FONT_HERSHEY_DUPLEX, scale, 255, 2, cv2.LINE_AA)
    left, top, across, down = cv2.boundingRect(flat)
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), -angle, 1.0)
    cover = cv2.warpAffine(flat, turn, (WIDTH, HEIGHT))[..., None] / 255
    image = (225 * (1 - cover) + np.array([20, 30, 70]) * cover).astype(np.uint8)
    square = np.array([[left, top], [left + across, top], [left + across, top + down], [left, top + down]])
    corners = square @ turn[:, :2].T + turn[:, 2]
    return Picture(image, "rgb", WIDTH, HEIGHT), tuple(Point(x / WIDTH, y / HEIGHT) for x, y in corners.tolist())


@pytest.mark.parametrize("text", ["EXIT", "parcel", "AB-1234", "17:45", "Station"])
@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (2.0, 0.0), (1.2, -14.0), (1.2, 20.0)])
def test_a_word_is_recognized_at_any_size_and_direction(
    recognizer: TextRecognizer, text: str, scale: float, angle: float
) -> None:
    picture, corners = a_word(text, scale, angle)

    found = recognizer.recognize(picture, corners)

    assert found.text == text
    assert found.probability > 0.5


def test_a_picture_without_a_word_has_a_low_probability(recognizer: TextRecognizer) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)

    found = recognizer.recognize(Picture(noise, "rgb", WIDTH, HEIGHT), Box(0.2, 0.2, 0.5, 0.3).corners)

    assert found.probability < 0.5


@pytest.mark.parametrize(
    "corners",
    [
        (Point(0.5, 0.5),) * 4,
        Box(0.2, 0.2, 0.2, 0.9).corners,
        Box(-3.0, -3.0, -2.0, -2.0).corners,
        Box(0.0, 0.0, 40.0, 0.01).corners,
        (Point(0.1, 0.1), Point(0.9, 0.1), Point(0.5, 0.1), Point(0.8, 0.1)),
    ],
)
def test_corners_without_an_area_or_outside_the_picture_give_a_crop(
    recognizer: TextRecognizer, corners: tuple[Point, ...]
) -> None:
    picture, _ = a_word("EXIT")

    crop = recognizer.crop(picture, corners)

    assert crop.shape == (recognizer.card.input.height, recognizer.card.input.width, 3)
    assert 0 <= recognizer.recognize(picture, corners).probability <= 1


def test_the_detector_finds_the_words_of_a_picture_and_of_its_tiles(
    recognizer: TextRecognizer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    detector = load_detector("edge-text-detector-1", SETTINGS, tmp_path_factory.mktemp("state"))
    image = np.full((1600, 2400, 3), 200, np.uint8)
    for text, place, scale in (("DOCK", (200, 500), 9.0), ("gate", (1700, 1300), 1.0)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, (30, 20, 40), math.ceil(2 * scale), cv2.LINE_AA)
    picture = Picture(image, "rgb", 2400, 1600)

    found = {recognizer.recognize(picture, word.landmarks).text for word in detected_words(detector, picture, 16)}

    assert found == {"DOCK", "gate"}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        ("DoCK", "DOCK"), ("StatiOn", "Station"), ("2O5", "205"), ("$l2.5o", "$12.50"), ("EXlT", "EXIT"),
        ("H0TEL", "HOTEL"), ("AB-105", "AB-105"), ("ABC-00", "ABC-00"), ("oo", "oo"), ("", ""), ("iPhone", "iPhone"),
        ("SOS", "SOS"), ("McDonald", "McDonald"), ("0pen", "Open"), ("Aes0p", "Aesop"), ("SNEE2ES", "SNEEZES"),
        ("fi5h", "fish"), ("R-4O61", "R-4061"), ("CM5OXGW", "CM50XGW"), ("S084GYR", "SO84GYR"), ("AB12CDE", "AB12CDE"),
        ("MODEL5", "MODEL5"), ("10mm", "10mm"), ("0m", "0m"), ("0kg", "0kg"), ("A1", "A1"), ("hall", "hall"),
        ("AB1CD2", "AB1CD2"), ("ALl", "ALl"),
    ],
)  # fmt: skip
def test_characters_of_one_shape_follow_the_others_of_their_word(read: str, text: str) -> None:
    assert consistent(read) == text


def test_a_card_that_does_not_fit_is_an_error(
    recognizer: TextRecognizer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert recognizer.card.text is not None
    fewer = replace(recognizer.card, text=replace(recognizer.card.text, characters="0123456789"))
    with pytest.raises(ModelError, match="expected 11 classes by its card") as caught:
        TextRecognizer(replace(recognizer.model, card=fewer), recognizer.interpreter)
    assert "text.characters" in caught.value.hint
    embedder = load_embedder("edge-face-embedder-1", SETTINGS, tmp_path_factory.mktemp("state"))
    with pytest.raises(ModelError, match="expected a text recognizer, got a embedder"):
        TextRecognizer(embedder.model, embedder.interpreter)
