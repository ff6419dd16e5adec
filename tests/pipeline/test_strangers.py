"""A stranger who comes again is known again, by a pseudonym that is never somebody else's, until a person names him."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rigs.fakes import RULES, SeesOneFace, a_frame
from rigs.review_faces import SPACE, look

from edge.cli.main import edge
from edge.core.errors import NotFoundError
from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings, StrangerSettings
from edge.core.settings.template import written
from edge.core.settings.vision import CameraSettings, CollectionSettings
from edge.core.types import Box, Detection, Embedding, Event, Picture, Quality
from edge.pipeline.model_set import FaceRecognizer, ModelSet
from edge.pipeline.pipeline import Pipeline
from edge.pipeline.strangers import LOOKS, StrangerRecognizer
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.export import export
from edge.recognition.store.face_rows import NewFace
from edge.recognition.subject_search import SubjectSearch

SETTINGS = StrangerSettings(enabled=True, again=0)
ALICE, MARIA, OTTO = 0, 1, 2


class Embeds:
    """Everybody looks like ``vector``."""

    space = SPACE
    quality_floor = 0.2

    def __init__(self) -> None:
        self.vector = look(ALICE)
        self.quality = Quality(0.9)

    def assess(self, picture: Picture, detection: Detection) -> Quality:
        return self.quality

    def embed(self, picture: Picture, detections: list[Detection]) -> list[Embedding]:
        return [Embedding(self.vector, SPACE, self.quality) for _ in detections]


class House:
    """A camera, a collection that knows alice, and what remembers strangers."""

    def __init__(self, state: Path, settings: StrangerSettings = SETTINGS) -> None:
        self.settings = Settings(cameras=(CameraSettings(name="door", detectors=("fake",)),))
        self.collections = Collections(state, CollectionSettings(), maintain=False)
        self.staff: Collection = self.collections.get_or_create("staff")
        new = [NewFace(look(ALICE, n), "alice", f"{n}" * 64, Box(0, 0, 1, 1)) for n in (0, 1)]
        self.staff.add(new, SPACE)
        self.embeds, self.queue = Embeds(), ReviewQueue(state, ReviewSettings())
        self.strangers = StrangerRecognizer(self.queue.strangers, settings)
        recognizer = FaceRecognizer(self.embeds, SubjectSearch(self.staff), RULES)  # type: ignore[arg-type]
        self.model_set = ModelSet("", {"fake": SeesOneFace()}, {"face": 0.5}, {"face": recognizer})
        self.clock = time.time() - 86400
        self.ids = (f"1-{number}" for number in itertools.count(1))

    def visit(self, person: int, number: int = 0, away: float = 3600.0) -> list[Event]:
        """Somebody stands before the camera for three seconds, ``away`` seconds after the one before."""
        self.clock += away
        self.embeds.vector = look(person, number)
        pipeline = Pipeline(self.settings.cameras[0], self.settings, self.model_set, self.ids)
        pipeline.strangers = self.strangers
        frames = [replace(a_frame(n), time=self.clock + n / 5, monotonic=self.clock + n / 5) for n in range(15)]
        events = [event for frame in frames for event in pipeline.process(frame).events] + pipeline.finish()
        self.strangers.flush()
        return events

    def close(self) -> None:
        self.strangers.close()
        self.queue.close()
        self.collections.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def pseudonyms(events: list[Event]) -> set[str | None]:
    return {event.identity.pseudonym for event in events}


def test_whoever_comes_again_has_the_same_pseudonym_each_time(house: House) -> None:
    assert pseudonyms(house.visit(MARIA)) == {None}, "seen once: nobody to be known again"
    second, third = house.visit(MARIA, 1), house.visit(MARIA, 2)
    assert second[-1].identity.pseudonym == third[-1].identity.pseudonym == "unknown-1"
    assert second[-1].identity.state == "unknown"
    assert second[-1].identity.subject is None
    assert next(event.type for event in second if event.identity.pseudonym) == "update", "told as soon as it is known"
    house.visit(OTTO)
    assert house.visit(OTTO)[-1].identity.pseudonym == "unknown-2"


def test_who_is_known_is_no_stranger(house: House) -> None:
    for number in range(3):
        assert pseudonyms(house.visit(ALICE, number)) == {None}
    assert house.queue.strangers.all() == []


def test_who_left_a_moment_ago_has_not_come_again(tmp_path: Path) -> None:
    house = House(tmp_path, StrangerSettings(enabled=True, again=600))
    house.visit(MARIA)
    assert pseudonyms(house.visit(MARIA, away=30)) == {None}
    assert house.visit(MARIA, away=700)[-1].identity.pseudonym == "unknown-1"
    house.close()


def test_a_pseudonym_outlives_the_process_and_no_number_comes_twice(tmp_path: Path) -> None:
    first = House(tmp_path)
    first.visit(MARIA), first.visit(MARIA)
    first.close()
    crashed = House(tmp_path)
    crashed.clock = first.clock
    assert crashed.visit(MARIA)[-1].identity.pseudonym == "unknown-1"
    crashed.visit(OTTO)
    given = crashed.visit(OTTO)[-1].identity.pseudonym
    assert given == "unknown-2"
    crashed.queue.strangers.remove([one.id for one in crashed.queue.strangers.all()])
    after = House(tmp_path)  # nobody has closed the one before
    after.visit(MARIA), after.visit(MARIA)
    (one,) = after.queue.strangers.all()
    assert one.number is not None
    assert one.number > 2
    after.close(), crashed.queue.close(), crashed.collections.close()


def test_strangers_are_bounded_expire_and_are_in_no_collection_or_export(tmp_path: Path) -> None:
    house = House(tmp_path / "state", StrangerSettings(enabled=True, again=0, most=2, days=1))
    for person in range(1, 6):
        house.visit(person)
        house.visit(person)
    kept = house.queue.strangers.all()
    assert [one.name for one in kept] == ["unknown-4", "unknown-5"]
    assert house.staff.subjects() == {"alice": 2}
    assert house.collections.names() == ["staff"]
    export(house.staff, tmp_path / "staff.edge")
    assert look(5).astype("<f4").tobytes() not in (tmp_path / "staff.edge").read_bytes()
    for one in kept:
        one.last = 1.0  # a label: what the clock said makes nothing old
    house.queue.strangers.put(kept, house.strangers._settings)
    assert len(house.queue.strangers.all()) == 2
    later = house.queue.strangers.now() + 1.1 * 86400
    house.queue.strangers.now = lambda: later
    house.queue.strangers.expire(house.strangers._settings)
    assert house.queue.strangers.all() == []
    house.close()


def test_the_looks_of_one_stranger_are_bounded(house: House) -> None:
    for number in range(12):
        house.visit(MARIA, number)
    (one,) = house.queue.strangers.all()
    assert (one.times, one.looks.shape) == (12, (LOOKS, 16))
    assert np.allclose(np.linalg.norm(one.looks, axis=1), 1, atol=1e-5)


def test_two_in_view_are_never_one_stranger(house: House) -> None:
    house.visit(MARIA)

    class SeesTwo(SeesOneFace):
        def detect(self, picture: Picture, scores: object = None) -> list[Detection]:
            return [Detection("face", 0.9, Box(x, 0.3, x + 0.1, 0.5)) for x in (0.1, 0.8)]

    house.model_set = replace(house.model_set, detectors={"fake": SeesTwo()})
    ends = [event for event in house.visit(MARIA, 1) if event.type == "end"]
    assert sorted(str(event.identity.pseudonym) for event in ends) == ["None", "unknown-1"]


def test_a_stranger_is_named_in_one_step_and_known_at_once(house: House, tmp_path: Path) -> None:
    house.visit(MARIA), house.visit(MARIA, 1)
    config = tmp_path / "edge.toml"
    config.write_text(written({"state": str(tmp_path)}))

    def run(*arguments: str) -> tuple[int, object]:
        done = CliRunner().invoke(edge, ["--config", str(config), "strangers", *arguments, "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout else None

    code, listed = run("list")
    assert (code, [one["stranger"] for one in listed["strangers"]]) == (0, ["unknown-1"])  # type: ignore[index]
    code, named = run("name", "unknown-1", "Maria")
    assert (code, named["subject"], len(named["faces"])) == (0, "Maria", 2)  # type: ignore[index]
    end = house.visit(MARIA, 2)[-1]
    assert (end.identity.state, end.identity.subject, end.identity.pseudonym) == ("known", "Maria", None)
    assert run("list")[0] == 3
    with pytest.raises(NotFoundError):
        house.queue.strangers.get("unknown-1")
