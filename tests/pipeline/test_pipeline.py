"""One frame's way, with stand-ins for the models."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rigs.fakes import (
    CountsEmbeddings,
    Fails,
    KnowsAlice,
    SeesOneFace,
    SeesPersonWithFace,
    a_frame,
    a_model_set,
    a_picture,
    ids,
)

from edge.core.errors import ModelError, SpaceError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.types import Event, IdentityState, Quality
from edge.pipeline.pipeline import Pipeline

FACE = LabelSettings(embedder="fake", collection="staff")


def a_pipeline(model_set: object, *, motion: bool = True, labels: dict[str, LabelSettings] | None = None) -> Pipeline:
    camera = CameraSettings(name="door", detectors=("fake",), motion=motion)
    settings = Settings(cameras=(camera,), labels=labels or {"face": FACE})
    return Pipeline(camera, settings, model_set, ids())  # type: ignore[arg-type]


def story(events: list[Event]) -> list[tuple[str, str, str | None]]:
    return [(event.type, event.identity.state.value, event.identity.subject) for event in events]


def test_a_known_face_is_new_then_named_then_ends() -> None:
    pipeline = a_pipeline(a_model_set(SeesOneFace(range(20))))

    events = [event for number in range(60) for event in pipeline.process(a_frame(number)).events]

    assert story(events) in (
        [("new", "pending", None), ("update", "known", "alice"), ("end", "known", "alice")],
        [("new", "known", "alice"), ("end", "known", "alice")],
    )
    assert events[-1].release == "r7"


def test_a_decided_track_is_not_embedded_in_every_frame() -> None:
    embedder = CountsEmbeddings()
    pipeline = a_pipeline(a_model_set(embedder=embedder))

    for number in range(100):
        pipeline.process(a_frame(number))

    assert 2 <= embedder.calls <= 6


def test_a_still_scene_is_looked_at_once_in_a_while() -> None:
    detector = SeesOneFace(range(0))
    pipeline = a_pipeline(a_model_set(detector))
    still = a_picture()

    for number in range(100):
        pipeline.process(a_frame(number, picture=still))

    assert 4 <= detector.calls <= 12  # 20 seconds, a look every 5, and the background settles first


def test_somebody_who_stands_still_is_not_lost() -> None:
    pipeline = a_pipeline(a_model_set())
    still = a_picture()

    events = [event for number in range(300) for event in pipeline.process(a_frame(number, picture=still)).events]

    assert [event.type for event in events if event.type != "update"] == ["new"]


def test_without_motion_detection_every_frame_is_looked_at() -> None:
    detector = SeesOneFace()
    pipeline = a_pipeline(a_model_set(detector), motion=False)

    for number in range(10):
        pipeline.process(a_frame(number, picture=a_picture()))

    assert detector.calls == 10


def test_a_crop_not_worth_embedding_is_counted_by_its_reason_and_costs_no_embedding() -> None:
    embedder = CountsEmbeddings(Quality(0.1, "blurred"))
    pipeline = a_pipeline(a_model_set(embedder=embedder))

    declined = {}
    for number in range(10):
        declined |= pipeline.process(a_frame(number)).stats.declined

    assert embedder.calls == 0
    assert set(declined) == {"blurred"}


def test_a_collection_that_cannot_be_searched_costs_the_name_and_not_the_end() -> None:
    broken = KnowsAlice(error=SpaceError("collection 'staff' holds another space", "edge enroll"))
    pipeline = a_pipeline(a_model_set(SeesOneFace(range(20)), collection=broken))

    events, problems = [], {}
    for number in range(60):
        result = pipeline.process(a_frame(number))
        events += result.events
        problems |= result.stats.problems

    assert [event.type for event in events] == ["new", "end"]
    assert "another space" in problems["labels.face"]


def test_a_detector_that_fails_is_an_error_and_the_next_frame_is_as_good_as_before() -> None:
    pipeline = a_pipeline(a_model_set(Fails()))
    with pytest.raises(ModelError, match="cannot run"):
        pipeline.process(a_frame(0))

    pipeline.model_set = a_model_set()
    events = [event for number in range(1, 20) for event in pipeline.process(a_frame(number)).events]

    assert "new" in {event.type for event in events}


def test_a_detector_that_could_not_be_loaded_is_passed_over() -> None:
    camera = CameraSettings(name="door", detectors=("missing", "fake"))
    settings = Settings(cameras=(camera,), labels={"face": FACE})
    pipeline = Pipeline(camera, settings, a_model_set(), ids())

    events = [event for number in range(10) for event in pipeline.process(a_frame(number)).events]

    assert events[0].type == "new"


def test_a_face_names_the_person_who_holds_it_and_has_no_events_of_its_own() -> None:
    labels = {"face": FACE, "person": LabelSettings()}
    pipeline = a_pipeline(a_model_set(SeesPersonWithFace()), labels=labels)

    events = [event for number in range(30) for event in pipeline.process(a_frame(number)).events]

    assert {event.label for event in events} == {"person"}
    assert events[-1].identity.state is IdentityState.KNOWN
    assert events[-1].identity.subject == "alice"


def test_a_label_that_the_camera_does_not_want_is_not_reported() -> None:
    pipeline = a_pipeline(a_model_set(SeesPersonWithFace()), labels={"person": LabelSettings()})

    events = [event for number in range(10) for event in pipeline.process(a_frame(number)).events]

    assert {event.label for event in events} <= {"person"}


def test_a_switch_of_bundles_between_frames_looks_again_and_ends_nothing() -> None:
    embedder = CountsEmbeddings()
    pipeline = a_pipeline(a_model_set())
    before = [event for number in range(30) for event in pipeline.process(a_frame(number)).events]

    pipeline.model_set = a_model_set(embedder=embedder)
    after = [event for number in range(30, 40) for event in pipeline.process(a_frame(number)).events]

    assert before[0].type == "new"
    assert all(event.type == "update" for event in after)
    assert embedder.calls >= 1


def test_finish_ends_what_is_there_at_the_time_of_the_latest_frame() -> None:
    pipeline = a_pipeline(a_model_set())
    for number in range(10):
        pipeline.process(a_frame(number))

    (end,) = pipeline.finish()

    assert (end.type, end.reason, end.time) == ("end", "stopped", a_frame(9).time)
    assert pipeline.finish() == []


def test_after_a_cut_another_face_in_the_same_place_is_another_track() -> None:
    pipeline = a_pipeline(a_model_set())

    events = []
    for number in range(40):
        events += pipeline.process(replace(a_frame(number), cut=number == 20)).events

    assert [event.type for event in events if event.type != "update"] == ["new", "end", "new"]
    assert len({event.track for event in events}) == 2


def test_an_end_at_a_cut_survives_a_detector_that_fails_there() -> None:
    pipeline = a_pipeline(a_model_set())
    events = [event for number in range(20) for event in pipeline.process(a_frame(number)).events]
    working, pipeline.model_set = pipeline.model_set, a_model_set(Fails())
    with pytest.raises(ModelError):
        pipeline.process(replace(a_frame(20), cut=True))
    pipeline.model_set = working

    events += [event for number in range(21, 30) for event in pipeline.process(a_frame(number)).events]

    assert [event.type for event in events if event.type != "update"] == ["new", "end", "new"]
