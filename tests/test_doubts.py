"""Which tracks become questions: one a track, with its best look, and no picture unless it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import CountsEmbeddings, KnowsAlice, a_bundle, a_frame, ids

from edge.doubts import Doubts
from edge.pipeline import Pipeline
from edge.review import Doubt, ReviewQueue
from edge.settings import Camera, Review, Settings
from edge.types import Quality


def questions(tmp_path: Path, similarity: float, quality: float = 0.9, **review: object) -> list[Doubt]:
    """Of one face that stands before the camera for two seconds, ``similarity`` to alice and .1 to bob."""
    settings = Settings(
        cameras=(Camera(name="door", detectors=("fake",)),),
        review=Review(enabled=True, **review),  # type: ignore[arg-type]
    )
    bundle = a_bundle(embedder=CountsEmbeddings(Quality(quality)), collection=KnowsAlice(similarity))
    pipeline = Pipeline(settings.cameras[0], settings, bundle, ids())
    with ReviewQueue(tmp_path, settings.review) as queue:
        doubts = Doubts(queue, settings)
        for number in range(10):
            frame = a_frame(number)
            frame = type(frame)(frame.camera, number, frame.monotonic, 1.0e10 + number, frame.main)
            doubts.ended(pipeline.process(frame))
            doubts.look(frame, pipeline)
        doubts.ended(pipeline.finish())
        doubts.flush()
        return queue.doubts()


def test_an_uncertain_track_is_one_question_about_the_name(tmp_path: Path) -> None:
    (one,) = questions(tmp_path, 0.4)
    assert (one.reason, one.subject, one.camera, one.crop) == ("uncertain", "alice", "door", b"")
    assert [near.subject for near in one.nearest] == ["alice", "bob"]
    assert one.vector.tolist() == [1, 0, 0, 0]


def test_every_nth_known_track_is_a_question_where_the_settings_say_so(tmp_path: Path) -> None:
    (one,) = questions(tmp_path, 0.8, audit=1)
    assert (one.reason, one.subject) == ("audit", "alice")


@pytest.mark.parametrize(("quality", "asked"), [(0.9, 1), (0.3, 0)])
def test_a_stranger_is_a_question_only_where_the_face_was_good(tmp_path: Path, quality: float, asked: int) -> None:
    found = questions(tmp_path, 0.2, quality)
    assert [one.reason for one in found] == ["unmatched"] * asked


def test_who_is_known_is_no_question(tmp_path: Path) -> None:
    assert questions(tmp_path, 0.8) == []


def test_pictures_are_kept_where_the_settings_say_so(tmp_path: Path) -> None:
    (one,) = questions(tmp_path, 0.4, crops=True)
    assert one.crop.startswith(b"\xff\xd8")
