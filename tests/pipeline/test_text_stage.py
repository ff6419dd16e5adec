"""Words of a camera's picture become events with their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rigs.fakes import a_frame, a_model_set, ids

from edge.core.errors import ModelError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.types import Box, Detection, Picture, Point
from edge.inference.text_recognizer import RecognizedText
from edge.pipeline.pipeline import Pipeline
from edge.pipeline.text_stage import MOST_LOOKS

CORNERS = (Point(0.4, 0.4), Point(0.6, 0.4), Point(0.6, 0.5), Point(0.4, 0.5))


class DetectsWord:
    """A detector with one word in the first twenty frames."""

    labels = ("text",)
    size = (640, 480)

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        self.calls += 1
        return [Detection("text", 0.9, Box(0.4, 0.4, 0.6, 0.5), CORNERS)] if self.calls <= 20 else []


class Recognizes:
    """Returns the given texts in order, then the last one."""

    def __init__(self, *texts: tuple[str, float], fails: bool = False) -> None:
        self.calls, self._texts, self._fails = 0, texts, fails

    def recognize(self, picture: Picture, corners: Sequence[Point]) -> RecognizedText:
        if self._fails:
            raise ModelError("the recognizer is broken", "another one")
        self.calls += 1
        return RecognizedText(*self._texts[min(self.calls, len(self._texts)) - 1])


def events_of(recognizer: Recognizes, frames: int = 60) -> tuple[list[tuple[str, str]], dict[str, str]]:
    camera = CameraSettings(name="door", detectors=("fake",), motion=False)
    settings = Settings(cameras=(camera,), labels={"text": LabelSettings()})
    model_set = replace(a_model_set(DetectsWord()), scores={"text": 0.5}, recognizers={}, text_recognizer=recognizer)
    pipeline = Pipeline(camera, settings, model_set, ids())
    results = [pipeline.process(a_frame(number)) for number in range(frames)]
    problems = {name: text for one in results for name, text in one.stats.problems.items()}
    return [(event.type, event.text) for one in results for event in one.events], problems


def test_the_most_confident_text_is_reported_and_few_frames_are_recognized() -> None:
    recognizer = Recognizes(("AB-1Z3", 0.6), ("AB-123", 0.9), ("A8-1Z3", 0.55))

    events, problems = events_of(recognizer)

    assert events[0][0] == "new"
    assert events[-1] == ("end", "AB-123")
    assert 1 < recognizer.calls <= MOST_LOOKS
    assert problems == {}


def test_a_doubtful_text_is_not_reported() -> None:
    events, _ = events_of(Recognizes(("maybe", 0.3)))

    assert [text for _, text in events] == [""] * len(events)
    assert events[-1][0] == "end"


def test_a_recognizer_that_fails_is_a_problem_and_loses_no_event() -> None:
    events, problems = events_of(Recognizes(fails=True))

    assert "the recognizer is broken" in problems["labels.text"]
    assert [kind for kind, _ in events if kind != "update"] == ["new", "end"]
