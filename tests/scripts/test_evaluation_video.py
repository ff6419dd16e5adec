"""Stills that move, through the real pipeline with the shipped models: who is named, and who is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from evaluation import animated, video
from evaluation.animated import Clip

from edge.core.settings.schema import Settings
from edge.pipeline.model_set import ModelSet

DETECTOR, EMBEDDER = "edge-face-detector-2", "edge-face-embedder-1"
ENROLLED = 10
STAYS = 60
"""times that a clip of four seconds is shown without a break"""


def pictures_of(shared_data: Path, person: str) -> list[Path]:
    return sorted((shared_data / "lfw_dev" / person).iterdir())


@pytest.fixture(scope="module")
def people(shared_data: Path) -> tuple[list[str], list[str]]:
    """Known and not."""
    split = json.loads((shared_data / "lfw_dev" / "split.json").read_text())
    known = [name for name in split["gallery_ids"] if len(pictures_of(shared_data, name)) > 3]
    return known[:ENROLLED], split["distractor_ids"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def stage(
    shared_data: Path, people: tuple[list[str], list[str]], work: Path
) -> Iterator[tuple[ModelSet, Settings, Path]]:
    gallery = {name: pictures_of(shared_data, name)[:3] for name in people[0]}
    with video.loaded(gallery, video.settings_of(DETECTOR, EMBEDDER)) as (models, settings):
        yield models, settings, work


def test_the_same_still_moves_the_same_way(shared_data: Path, people: tuple[list[str], list[str]]) -> None:
    clip = Clip(people[1][0], pictures_of(shared_data, people[1][0])[0])
    once, again = (list(animated.frames(clip, seconds=0.5)) for _ in range(2))
    assert [frame.monotonic for frame in once] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert all((a.main.data == b.main.data).all() for a, b in zip(once, again, strict=True))
    assert np.abs(once[0].main.data.astype(int) - once[-1].main.data).mean() > 1, "it moves"


def test_people_who_are_enrolled_are_named_within_a_second(
    shared_data: Path, people: tuple[list[str], list[str]], stage: tuple[ModelSet, Settings, Path]
) -> None:
    camera = video.Stage(*stage)
    visits = [camera.play(Clip(name, pictures_of(shared_data, name)[3])) for name in people[0][:4]]
    assert sum(visit.named == (visit.person,) for visit in visits) >= 3
    assert all(visit.named in ((), (visit.person,)) for visit in visits), "nobody has somebody else's name"
    assert all(visit.waited is None or visit.waited <= 1.0 for visit in visits)


def test_a_stranger_who_stays_is_not_named_for_staying(
    shared_data: Path, people: tuple[list[str], list[str]], stage: tuple[ModelSet, Settings, Path]
) -> None:
    models, settings, work = stage
    for name in people[1][:3]:
        camera = video.Stage(models, settings, work, gap=0.0)
        clip = Clip(name, pictures_of(shared_data, name)[0])
        assert {camera.play(clip).named for _ in range(STAYS)} == {()}, name


@pytest.mark.long
def test_two_cameras_and_strangers_who_come_by_for_half_an_hour(
    shared_data: Path, people: tuple[list[str], list[str]], work: Path
) -> None:
    gallery = {name: pictures_of(shared_data, name)[:3] for name in people[0]}
    clips = [Clip(name, pictures_of(shared_data, name)[0]) for name in people[1][:30]]
    figures = video.looped(gallery, clips, 30, video.settings_of(DETECTOR, EMBEDDER), work)
    assert figures.minutes >= 60
    assert figures.tracks > 400
    # one of the thirty is the double of an enrolled subject for edge-face-embedder-1 with landmarks of this detector
    assert {visit.person for visit in figures.strangers if visit.named} <= {"Ben_Betts"}
