"""Attributes of faces in events: those of the best look, and none where the settings name none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from rigs.fakes import SeesOneFace, a_frame, a_model_set, ids

from edge.core.errors import ModelError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings, RecognitionSettings
from edge.core.types import Detection, FaceAttribute, Picture, Point
from edge.inference.face_attributes import AttributeValue, EyeDirection, FaceAttributes
from edge.pipeline.attribute_stage import face_attribute
from edge.pipeline.pipeline import Pipeline

SEEN = FaceAttributes(
    age=(24, 39),
    values={"Gender": AttributeValue(False, 0.9), "FaceOccluded": AttributeValue(True, 0.8)},
    emotions={"HAPPY": 0.7, "CALM": 0.3},
    landmarks={},
    eyes=EyeDirection(0.0, 0.0, 0.5),
)


class SeesALandmarkedFace(SeesOneFace):
    """The same face, with five landmarks."""

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        five = tuple(Point(0.4 + 0.02 * number, 0.4 + 0.02 * number) for number in range(5))
        return [replace(one, landmarks=five) for one in super().detect(picture, scores)]


class CountsLooks:
    """Tells every face the same attributes, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.calls, self._fails = 0, fails

    def attributes(self, picture: Picture, detection: Detection) -> FaceAttributes:
        self.calls += 1
        if self._fails:
            raise ModelError("the model is broken", "another one")
        return SEEN


def a_pipeline(model: CountsLooks) -> Pipeline:
    camera = CameraSettings(name="door", detectors=("fake",), motion=False)
    settings = Settings(
        cameras=(camera,),
        labels={"face": LabelSettings(embedder="fake", collection="staff")},
        recognition=RecognitionSettings(attributes=("gender", "age_range")),
    )
    return Pipeline(camera, settings, replace(a_model_set(SeesALandmarkedFace(range(20))), attributes=model), ids())


def test_events_carry_the_attributes_of_a_face_and_looks_no_better_cost_nothing() -> None:
    model = CountsLooks()
    pipeline = a_pipeline(model)

    events = [event for number in range(60) for event in pipeline.process(a_frame(number)).events]

    seen = (FaceAttribute("gender", "female", 0.9), FaceAttribute("age_range", "24-39", 0.0))
    assert events[-1].type == "end"
    assert events[-1].attributes == seen
    assert model.calls == 1


def test_a_model_that_fails_is_a_problem_and_costs_no_event() -> None:
    pipeline = a_pipeline(CountsLooks(fails=True))

    results = [pipeline.process(a_frame(number)) for number in range(60)]

    assert any("the model is broken" in one.stats.problems.get("attributes", "") for one in results)
    events = [event for one in results for event in one.events]
    assert [event.type for event in events if event.type != "update"] == ["new", "end"]
    assert events[-1].attributes == ()


@pytest.mark.parametrize(
    ("name", "value", "score"),
    [("gender", "female", 0.9), ("face_occluded", "yes", 0.8), ("emotions", "happy", 0.7), ("age_range", "24-39", 0.0)],
)
def test_an_attribute_is_a_word_and_a_probability(name: str, value: str, score: float) -> None:
    assert face_attribute(name, SEEN) == FaceAttribute(name, value, score)  # type: ignore[arg-type]
