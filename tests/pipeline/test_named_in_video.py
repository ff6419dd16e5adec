"""Real footage through real models: who appears is announced by name, once per appearance, and nobody else."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings, ModelSettings
from edge.core.types import Event, IdentityState
from edge.pipeline.loader import load_model_set
from edge.pipeline.model_set import FaceRecognizer
from edge.pipeline.pipeline import Pipeline
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.sources.av import VideoFile

DETECTOR, EMBEDDER = "ulffd-landmark-320", "mobilefacenet-112-int8"
SINGER, PIANIST = "lin-manuel-miranda", "alex-lacamoire"
AUDIENCE = 7.0
"""seconds from which only the audience is seen"""


def enroll(pipeline: Pipeline, recognizer: FaceRecognizer, folder: Path) -> None:
    for subject in (SINGER, PIANIST):
        portrait = pictures.read(folder / f"{subject}.png")
        found = pipeline.model_set.detectors[DETECTOR].detect(portrait)
        face = max(found, key=lambda detection: detection.box.area)
        (embedding,) = recognizer.embedder.embed(portrait, [face])
        new = NewFace(embedding.vector, subject, subject.encode().hex().ljust(64, "0")[:64], face.box, face.score, 1.0)
        recognizer.search.collection.add([new], recognizer.embedder.space)


@pytest.fixture(scope="module")
def story(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Event]]:
    state, videos = tmp_path_factory.mktemp("state"), shared / "data" / "video"
    camera = CameraSettings(name="stage", fps=5, realtime=False, detectors=(DETECTOR,))
    settings = Settings(
        state=state,
        models=ModelSettings(path=(shared / "models",), check=False),
        cameras=(camera,),
        labels={"face": LabelSettings(embedder=EMBEDDER, collection="band")},
    )
    with Collections(state, settings.collection) as collections:
        model_set = load_model_set(settings, state, collections).model_set
        pipeline = Pipeline(camera, settings, model_set, (f"1-{n}" for n in itertools.count(1)))
        enroll(pipeline, model_set.recognizers["face"], videos)
        source = VideoFile(camera, str(videos / "short_hamilton_clip.mp4"))
        events = [event for frame in source.frames() for event in pipeline.process(frame).events]
        yield events + pipeline.finish()


def test_the_singer_is_named_once_per_appearance(story: list[Event]) -> None:
    named = [event for event in story if event.identity.state is IdentityState.KNOWN]
    appearances = Counter(event.track for event in named if event.identity.subject == SINGER)
    in_view = {event.track for event in named if event.type == "end" and event.identity.subject == SINGER}
    assert 1 <= len(appearances) <= 2, "he is seen in two shots, in the first one small and for .7 s"
    assert appearances.keys() == in_view


def test_nobody_else_gets_a_name(story: list[Event]) -> None:
    named = [event for event in story if event.identity.state is IdentityState.KNOWN]
    assert {event.identity.subject for event in named} <= {SINGER, PIANIST}
    audience = {event.track for event in story if event.type == "new" and (event.video_time or 0.0) > AUDIENCE}
    assert audience
    assert not audience & {event.track for event in named}


def test_every_new_has_its_end(story: list[Event]) -> None:
    news = Counter(event.track for event in story if event.type == "new")
    ends = Counter(event.track for event in story if event.type == "end")
    assert news == ends
    assert set(news.values()) == {1}
    assert 4 <= len(news) <= 12, "about eight faces are to be seen in the four shots"
