"""A parked car is one appearance: under noise, light, passers-by and a detector that misses it, for days."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from edge.core.settings.vision import TrackingSettings
from edge.core.types import Box, Detection
from edge.pipeline.motion import place_view
from edge.pipeline.tracking.stillness import MOST_PATIENCE
from edge.pipeline.tracking.tracker import Tracker

CAR = Box(0.1, 0.6, 0.5, 0.85)
STRETCHED = Box(0.1, 0.5, 0.5, 0.85)
PIECE = Box(0.1, 0.62, 0.25, 0.84)
HEIGHT, WIDTH = 100, 130


class Street:
    """What a camera sees: a car or none, light, noise, and somebody who passes."""

    def __init__(self) -> None:
        chance = np.random.default_rng(5)
        self.empty = cv2.resize(chance.uniform(60, 160, (12, 16)).astype(np.float32), (WIDTH, HEIGHT))
        self.car = cv2.resize(chance.uniform(20, 230, (5, 9)).astype(np.float32), (52, 25))
        self.noise = np.random.default_rng(6)

    def plane(self, parked: bool = True, light: float = 1.0, passer: float | None = None) -> np.ndarray:
        picture = self.empty.copy()
        if parked:
            picture[60:85, 13:65] = self.car
        if passer is not None:
            left = int(passer * WIDTH)
            picture[50:90, max(0, left) : max(0, left + 20)] = 70.0
        picture = picture * light + self.noise.normal(0, 4, picture.shape)
        return np.clip(picture, 0, 255).astype(np.float32)


class Watched:
    """The street through a tracker, at 5 frames a second and from then on as fast as is told."""

    def __init__(self) -> None:
        ids = (str(number) for number in itertools.count(1))
        self.tracker = Tracker("yard", TrackingSettings(), ids, {"car": 0.5})
        self.street, self.now, self.started, self.ended = Street(), 1000.0, set(), []

    def look(self, *boxes: Box, step: float = 0.2, score: float = 0.6, **scene: object) -> None:
        self.now += step
        plane = self.street.plane(**scene)  # type: ignore[arg-type]
        found = [Detection("car", score, box) for box in boxes]
        update = self.tracker.update(found, self.now, self.now, lambda box: place_view(plane, box))
        self.started |= {track.id for track in update.tracks if track.confirmed}
        self.ended += update.ended

    def park(self, seconds: float = 12.0) -> None:
        for _ in range(int(seconds * 5)):
            self.look(CAR)


@pytest.fixture
def watched() -> Watched:
    made = Watched()
    made.park()
    return made


def test_a_car_that_is_not_detected_rests_where_its_place_looks_the_same(watched: Watched) -> None:
    for _ in range(500):
        watched.look()
    (track,) = watched.tracker.tracks
    assert track.resting
    assert track.box == CAR
    assert watched.ended == []


def test_passers_by_do_not_end_it_and_a_piece_of_it_is_nothing_new(watched: Watched) -> None:
    for _ in range(40):
        for step in range(30):  # six seconds in front of it, a stretched box, a piece
            boxes = [STRETCHED] if step % 7 == 3 else [PIECE] if step % 5 == 0 else []
            watched.look(*boxes, passer=step / 30 - 0.15)
        for step in range(60):
            watched.look(*([CAR] if step % 9 == 0 else []))
    assert watched.started == {"1"}
    assert watched.ended == []


def test_days_of_changing_light_are_one_appearance(watched: Watched) -> None:
    for minute in range(3 * 24 * 60):
        light = 0.7 + 0.3 * np.cos(2 * np.pi * minute / (24 * 60))
        watched.now += 59.8
        watched.tracker.still(watched.now)  # nothing moved
        watched.look(*([CAR] if minute % 47 == 0 else []), light=float(light))
    assert watched.started == {"1"}
    assert watched.ended == []


def test_a_lamp_that_goes_off_and_on_ends_nothing(watched: Watched) -> None:
    for second in range(60):
        watched.look(light=0.4 if second % 20 < 10 else 1.0, step=1.0)
    assert watched.ended == []


def test_a_car_that_leaves_unseen_ends_within_its_patience(watched: Watched) -> None:
    gone = watched.now
    while not watched.ended and watched.now - gone < 60:
        watched.look(parked=False)
    assert [track.id for track in watched.ended] == ["1"]
    assert 2.0 <= watched.now - gone <= MOST_PATIENCE + 3.0


def test_a_car_that_drives_off_is_followed_and_ends_as_soon_as_any(watched: Watched) -> None:
    for step in range(20):
        watched.look(Box(CAR.left + step * 0.03, CAR.top, CAR.right + step * 0.03, CAR.bottom), parked=False)
    left = watched.now
    while not watched.ended and watched.now - left < 60:
        watched.look(parked=False)
    assert watched.now - left <= 4.0
    assert watched.started == {"1"}


def test_what_moves_never_rests() -> None:
    watched = Watched()
    for step in range(100):
        x = 0.4 + 0.35 * np.sin(step / 6)
        watched.look(Box(x, 0.5, x + 0.15, 0.9), parked=False, passer=x)
    gone = watched.now
    while not watched.ended and watched.now - gone < 60:
        watched.look(parked=False)
    assert watched.now - gone <= 4.0


def test_another_car_beside_it_is_new(watched: Watched) -> None:
    for _ in range(10):
        watched.look(CAR, Box(0.55, 0.6, 0.95, 0.85))
    assert len(watched.started) == 2


def test_without_a_view_nothing_rests(watched: Watched) -> None:
    gone = watched.now
    while not watched.ended and watched.now - gone < 60:
        watched.now += 0.2
        watched.ended += watched.tracker.update([], watched.now, watched.now).ended
    assert [track.id for track in watched.ended] == ["1"]
