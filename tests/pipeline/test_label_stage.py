"""Custom labels in the pipeline: stand-ins for the models, real heads, votes, dwell and policy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rigs.fakes import SeesOneFace, a_frame, a_model_set, a_picture, ids
from rigs.shown_labels import HEAD, Shows

from edge.core.errors import ModelError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.types import Box, Detection, Event, Picture
from edge.labels.classifier import LabelClassifier
from edge.pipeline.model_set import ModelSet
from edge.pipeline.pipeline import Pipeline

"""with a negative class"""


class SeesATruck:
    """A detector that calls the same thing a truck in every frame of ``present``."""

    labels = ("face", "truck")

    def __init__(self, present: range) -> None:
        self.calls, self._present = 0, present

    def detect(self, picture: Picture, scores: dict[str, float] | None = None) -> list[Detection]:
        self.calls += 1
        seen = self.calls - 1 in self._present and (scores is None or "truck" in scores)
        return [Detection("truck", 0.3, Box(0.2, 0.2, 0.6, 0.8))] if seen else []


def bundle_of(embedder: Shows, regions: tuple[str, ...], version: int = 1, detector: object | None = None) -> ModelSet:
    wide = dataclasses.replace(HEAD, weights=np.pad(HEAD.weights, ((0, 0), (0, len(regions)))))
    classifier = LabelClassifier(f"helmets/{version}", embedder, wide, regions)
    return dataclasses.replace(a_model_set(detector or SeesOneFace(range(0))), classifiers={"helmets": classifier})


def a_pipeline(model_set: ModelSet, **camera: object) -> Pipeline:
    values = {"name": "door", "detectors": ("fake",), "custom_labels": ("helmets",)} | camera
    one = CameraSettings.model_validate(values)
    settings = Settings(cameras=(one,), labels={"face": LabelSettings(embedder="fake", collection="staff")})
    return Pipeline(one, settings, model_set, ids())


def story(events: list[Event]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(event.type, event.label, tuple(one.name for one in event.custom_labels)) for event in events]


def test_a_label_of_the_picture_is_new_and_ends_when_it_is_gone() -> None:
    pipeline = a_pipeline(bundle_of(Shows(*["helmet"] * 10, ""), ()))
    events = [event for number in range(100) for event in pipeline.process(a_frame(number)).events]
    assert story(events) == [("new", "helmet", ("helmet",)), ("end", "helmet", ("helmet",))]
    assert events[0].whole
    assert events[0].custom_labels[0].version == "helmets/1"
    assert events[0].custom_labels[0].score == pytest.approx(1.0, abs=0.01)
    assert events[1].ended is not None
    assert pipeline.presence(0.0).tracks == ()


def test_what_is_present_counts_the_label_and_its_end_comes_with_the_end_of_the_camera() -> None:
    pipeline = a_pipeline(bundle_of(Shows("helmet"), ()))
    for number in range(20):
        pipeline.process(a_frame(number))
    assert pipeline.presence(0.0).counts == {"helmet": 1}
    assert story(pipeline.finish()) == [("end", "helmet", ("helmet",))]


def test_a_picture_is_looked_at_no_oftener_than_the_settings_say_once_it_is_decided() -> None:
    embedder = Shows("helmet")
    pipeline = a_pipeline(bundle_of(embedder, ()))
    for number in range(100):
        pipeline.process(a_frame(number))
    assert 20 <= embedder.calls <= 24, "20 seconds at one a second, and the first looks"


def test_a_still_picture_is_looked_at_rarely_but_once_after_the_last_movement() -> None:
    embedder = Shows("helmet")
    pipeline = a_pipeline(bundle_of(embedder, ()))
    still, looks = a_picture(), []
    for number in range(300):
        pipeline.process(a_frame(number, picture=still if number != 150 else None))
        looks.append(embedder.calls)
    assert looks[149] - looks[50] <= 5, "20 seconds of a still scene"
    assert looks[155] - looks[149] >= 1
    assert looks[160] - looks[150] <= 3


def test_a_thing_that_does_not_matter_is_reported_where_custom_labels_say_what_it_is() -> None:
    pipeline = a_pipeline(bundle_of(Shows("helmet"), ("truck",), detector=SeesATruck(range(30))))
    events = [event for number in range(60) for event in pipeline.process(a_frame(number)).events]
    assert story(events) == [("new", "truck", ("helmet",)), ("end", "truck", ("helmet",))]
    assert not events[0].whole
    assert events[0].box.left == pytest.approx(0.2)


def test_a_thing_of_the_negative_class_is_never_reported() -> None:
    pipeline = a_pipeline(bundle_of(Shows(""), ("truck",), detector=SeesATruck(range(30))))
    assert [event for number in range(60) for event in pipeline.process(a_frame(number)).events] == []
    assert pipeline.tracks == []


def test_a_label_that_later_looks_disprove_is_taken_back_by_an_update() -> None:
    shows = Shows("helmet", "helmet", "helmet", *["none"] * 30)
    pipeline = a_pipeline(bundle_of(shows, ("truck",), detector=SeesATruck(range(300))))
    events = [event for number in range(300) for event in pipeline.process(a_frame(number)).events]
    told = story(events)
    assert told[0] == ("new", "truck", ("helmet",))
    assert ("update", "truck", ("none",)) in told


def test_the_budget_of_a_frame_holds_for_custom_labels() -> None:
    class SeesMany:
        labels = ("truck",)

        def detect(self, picture: Picture, scores: dict[str, float] | None = None) -> list[Detection]:
            return [Detection("truck", 0.9, Box(0.1 * i, 0.1, 0.1 * i + 0.08, 0.5)) for i in range(9)]

    pipeline = a_pipeline(bundle_of(Shows("helmet"), ("truck",), detector=SeesMany()))
    spent = [pipeline.process(a_frame(number)).stats.embeddings for number in range(10)]
    assert max(spent) == 4


def test_a_new_version_takes_over_between_two_frames_and_what_is_there_stays() -> None:
    pipeline = a_pipeline(bundle_of(Shows("helmet"), ()))
    events = [event for number in range(20) for event in pipeline.process(a_frame(number)).events]
    pipeline.model_set = bundle_of(Shows("helmet"), (), version=2)
    events += [event for number in range(20, 40) for event in pipeline.process(a_frame(number)).events]
    assert story(events) == [("new", "helmet", ("helmet",))]
    ended = pipeline.finish()
    assert ended[0].custom_labels[0].version == "helmets/2"


def test_a_version_that_goes_away_ends_what_it_said() -> None:
    pipeline = a_pipeline(bundle_of(Shows("helmet"), ()))
    for number in range(20):
        pipeline.process(a_frame(number))
    pipeline.model_set = dataclasses.replace(pipeline.model_set, classifiers={})
    assert story(pipeline.process(a_frame(20)).events) == [("end", "helmet", ("helmet",))]


def test_a_backbone_that_fails_is_a_problem_and_no_more() -> None:
    shows = Shows("helmet", error=ModelError("model 'base': cannot run", "choose another model"))
    pipeline = a_pipeline(bundle_of(shows, (), detector=SeesOneFace()))
    events, problems = [], {}
    for number in range(20):
        result = pipeline.process(a_frame(number))
        events += result.events
        problems |= result.stats.problems
    assert [event.label for event in events if event.type == "new"] == ["face"]
    assert problems.keys() == {"custom_labels helmets"}


def test_a_label_of_the_picture_waits_for_no_zone() -> None:
    zones = {"mat": ((0.0, 0.9), (0.1, 0.9), (0.05, 1.0))}
    pipeline = a_pipeline(bundle_of(Shows("helmet"), ()), zones=zones, required_zones=("mat",))
    events = [event for number in range(20) for event in pipeline.process(a_frame(number)).events]
    assert story(events) == [("new", "helmet", ("helmet",))]
    assert events[0].zones == ()


def test_a_thing_in_no_required_zone_is_not_reported_whatever_it_shows() -> None:
    zones = {"mat": ((0.9, 0.9), (1.0, 0.9), (0.95, 1.0))}
    model_set = bundle_of(Shows("helmet"), ("truck",), detector=SeesATruck(range(30)))
    pipeline = a_pipeline(model_set, zones=zones, required_zones=("mat",))
    assert [event for number in range(40) for event in pipeline.process(a_frame(number)).events] == []


def test_a_camera_needs_a_detector_or_custom_labels() -> None:
    assert CameraSettings(detectors=(), custom_labels=("helmets/3",)).detectors == ()
    with pytest.raises(ValueError, match="detectors is empty"):
        CameraSettings(detectors=())
    with pytest.raises(ValueError, match="custom_labels"):
        CameraSettings(custom_labels=("helmets/0",))
