"""A number plate in a synthetic scene becomes an event with its text, by the shipped models."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings, ModelSettings, RecognitionSettings
from edge.core.types import Event, Frame, Picture
from edge.pipeline.loader import load_model_set
from edge.pipeline.pipeline import Pipeline
from edge.recognition.store.collections import Collections

WIDTH, HEIGHT, FPS = 1280, 720, 5
PLATE = "KB-4127"
CAMERA = CameraSettings(name="gate", fps=FPS, realtime=False, detectors=("edge-text-detector-1",))


def settings_for(state: Path, **recognition: str) -> Settings:
    return Settings(
        state=state,
        models=ModelSettings(check=False),
        cameras=(CAMERA,),
        labels={"text": LabelSettings()},
        recognition=RecognitionSettings(**recognition),
    )


def frames() -> Iterator[Frame]:
    """A street; after a second a car drives in, stops for four seconds, and drives off."""
    rng = np.random.default_rng(3)
    street = cv2.GaussianBlur(rng.integers(70, 130, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 7)
    cv2.rectangle(street, (0, 500), (WIDTH, HEIGHT), (85, 84, 82), -1)
    for number in range(8 * FPS):
        seconds = number / FPS
        image = street.copy()
        if 1 <= seconds < 7:
            x = int(360 + 500 * (min(0, seconds - 2) ** 2) - 700 * (max(0, seconds - 6)))
            cv2.rectangle(image, (x, 250), (x + 520, 560), (140, 40, 35), -1)
            cv2.rectangle(image, (x + 60, 270), (x + 460, 380), (40, 45, 50), -1)
            cv2.rectangle(image, (x + 150, 440), (x + 370, 500), (235, 235, 230), -1)
            cv2.putText(image, PLATE, (x + 163, 483), cv2.FONT_HERSHEY_DUPLEX, 1.35, (15, 15, 20), 3, cv2.LINE_AA)
        noisy = np.clip(cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        yield Frame("gate", number, 1000.0 + seconds, 1.7e9 + seconds, Picture(noisy, "rgb", WIDTH, HEIGHT))


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    state = tmp_path_factory.mktemp("state")
    settings = settings_for(state)
    with Collections(state, settings.collection) as collections:
        loaded = load_model_set(settings, state, collections)
        assert loaded.problems == {}
        assert "edge-text-recognizer-1" in loaded.models
        pipeline = Pipeline(CAMERA, settings, loaded.model_set, (f"1-{n}" for n in itertools.count(1)))
        found = [event for frame in frames() for event in pipeline.process(frame).events]
        return found + pipeline.finish()


def test_the_plate_of_a_car_is_read_into_its_events(events: list[Event]) -> None:
    ends = [event for event in events if event.type == "end" and event.text == PLATE]
    assert 1 <= len(ends) <= 2, "one, or another one where the tracker loses the car as it drives off"
    assert {event.label for event in ends} == {"text"}


def test_every_new_has_its_end(events: list[Event]) -> None:
    news, ended = (sorted(event.track for event in events if event.type == kind) for kind in ("new", "end"))
    assert news == ended


def test_nothing_else_in_the_scene_has_a_text(events: list[Event]) -> None:
    assert {event.text for event in events if event.type == "end"} <= {PLATE, ""}


def test_a_missing_recognizer_leaves_the_detector_working(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_for(tmp_path, text_recognizer="absent")
    with Collections(tmp_path, settings.collection) as collections, caplog.at_level(logging.ERROR):
        loaded = load_model_set(settings, tmp_path, collections)

    assert "text is detected but not recognized" in loaded.problems["labels.text"]
    assert loaded.model_set.text_recognizer is None
    assert list(loaded.model_set.detectors) == ["edge-text-detector-1"]
