"""Which tracks become questions: one a track, with its best look, and no picture unless it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from rigs.fakes import FACE, CountsEmbeddings, KnowsAlice, SeesOneFace, a_frame, a_model_set, ids

from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Box, Detection, Event, Picture, Quality
from edge.pipeline.pipeline import Pipeline
from edge.pipeline.review_sampling import ReviewSampler
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue


def questions(tmp_path: Path, similarity: float, quality: float = 0.9, **review: object) -> list[ReviewQuestion]:
    """Of one face that stands before the camera for two seconds, ``similarity`` to alice and .1 to bob."""
    settings = Settings(
        cameras=(CameraSettings(name="door", detectors=("fake",)),),
        review=ReviewSettings(enabled=True, **review),  # type: ignore[arg-type]
    )
    model_set = a_model_set(embedder=CountsEmbeddings(Quality(quality)), collection=KnowsAlice(similarity))
    pipeline = Pipeline(settings.cameras[0], settings, model_set, ids())
    with ReviewQueue(tmp_path, settings.review) as queue:
        doubts = ReviewSampler(queue, settings)
        for number in range(10):
            frame = a_frame(number)
            frame = type(frame)(frame.camera, number, frame.monotonic, 1.0e10 + number, frame.main)
            result = pipeline.process(frame)
            doubts.ended(result.events)
            doubts.look(result)
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


def test_a_look_that_nobody_matches_suggests_no_name(tmp_path: Path) -> None:
    (one,) = questions(tmp_path, 0.3)
    assert one.subject is None
    assert one.nearest[0].likeness < one.needed == 80.0


@pytest.mark.parametrize(("quality", "asked"), [(0.9, 1), (0.3, 0)])
def test_a_stranger_is_a_question_only_where_the_face_was_good(tmp_path: Path, quality: float, asked: int) -> None:
    found = questions(tmp_path, 0.2, quality)
    assert [one.reason for one in found] == ["unmatched"] * asked


def test_who_is_known_is_no_question(tmp_path: Path) -> None:
    assert questions(tmp_path, 0.8) == []


def test_pictures_are_kept_where_the_settings_say_so(tmp_path: Path) -> None:
    (one,) = questions(tmp_path, 0.4, crops=True)
    assert one.crop.startswith(b"\xff\xd8")


class SeesFaintly(SeesOneFace):
    """A face that scores ``score``, beside one that is followed where ``beside`` is set; counts what it is asked."""

    def __init__(self, score: float, beside: bool = False) -> None:
        super().__init__()
        self.score, self.beside = score, beside
        self.asked: set[float] = set()

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        self.calls += 1
        self.asked.add((scores or {})["face"])
        found = [Detection("face", self.score, Box(0.7, 0.3, 0.8, 0.5))]
        found += [Detection("face", 0.9, FACE)] if self.beside else []
        return [one for one in found if one.score >= (scores or {})["face"]]


def glimpsed(
    tmp_path: Path, detector: SeesFaintly, similarity: float = 0.8, quality: float = 0.9, **review: object
) -> tuple[list[ReviewQuestion], list[Event]]:
    settings = Settings(
        cameras=(CameraSettings(name="door", detectors=("fake",)),),
        review=ReviewSettings(enabled=True, **review),  # type: ignore[arg-type]
    )
    model_set = a_model_set(detector, CountsEmbeddings(Quality(quality)), KnowsAlice(similarity))
    pipeline = Pipeline(settings.cameras[0], settings, model_set, ids())
    with ReviewQueue(tmp_path, settings.review) as queue:
        doubts, events = ReviewSampler(queue, settings), []
        for number in range(10):
            frame = a_frame(number)
            frame = type(frame)(frame.camera, number, frame.monotonic, 1.0e10 + number, frame.main)
            result = pipeline.process(frame)
            events += result.events
            doubts.look(result)
        doubts.flush()
        return queue.doubts(), events


def test_what_scores_between_low_and_accept_is_one_question_and_no_track(tmp_path: Path) -> None:
    (one,), events = glimpsed(tmp_path, SeesFaintly(0.4))
    assert (one.reason, one.subject, one.score, one.collection) == ("faint", "alice", 0.4, "staff")
    assert events == []


@pytest.mark.parametrize(
    ("similarity", "quality", "asked"),
    [(0.2, 0.9, 1), (0.2, 0.3, 0), (0.8, 0.3, 1)],
)
def test_a_faint_look_at_nobody_known_is_a_question_only_where_the_face_was_good(
    tmp_path: Path, similarity: float, quality: float, asked: int
) -> None:
    """A profile in the dark that nobody can name is asked about in each place where it is seen, for nothing."""
    found, _ = glimpsed(tmp_path, SeesFaintly(0.4), similarity, quality)
    assert len(found) == asked


def test_asking_lower_changes_nothing_of_what_is_followed_and_costs_no_second_look(tmp_path: Path) -> None:
    low, high = SeesFaintly(0.2, beside=True), SeesFaintly(0.2, beside=True)
    asked, events = glimpsed(tmp_path / "low", low, faint=0.3)
    nothing, others = glimpsed(tmp_path / "high", high, faint=1.0)
    assert (len(asked), len(nothing)) == (1, 0)
    assert events == others
    assert low.calls == high.calls
    assert (low.asked, high.asked) == ({0.15}, {0.3})


def test_a_faint_look_at_somebody_who_is_followed_is_no_question(tmp_path: Path) -> None:
    detector = SeesFaintly(0.9)
    settings_score = iter([0.9] * 4 + [0.4] * 6)
    detect = detector.detect

    def fading(picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        detector.score = next(settings_score)
        return detect(picture, scores)

    detector.detect = fading  # type: ignore[method-assign]
    asked, events = glimpsed(tmp_path, detector)
    assert asked == []
    assert {event.type for event in events} <= {"new", "update"}, "it is followed all the time"
    assert len({event.track for event in events}) == 1
