"""What is published of frames and events, with a client that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rigs.fakes import SeesOneFace, a_frame, a_model_set, ids

from edge.core.imaging import image as pictures
from edge.core.settings.messaging import OutboxSettings
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.types import Event
from edge.daemon.component import Component
from edge.daemon.reporter import Reporter
from edge.mqtt.outbox.outbox import Outbox
from edge.mqtt.topics import Topics
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.health import Health
from edge.pipeline.pipeline import Pipeline
from edge.sources.base import CameraState


class Remembers:
    """A client that keeps what it should retain, latest last."""

    def __init__(self) -> None:
        self.retained: list[tuple[str, bytes]] = []

    def retain(self, topic: str, payload: bytes) -> None:
        self.retained.append((topic, payload))

    def on(self, topic: str) -> list[bytes]:
        return [payload for name, payload in self.retained if name == topic]


class Desk:
    """Reports, and everything around them."""

    def __init__(self, folder: Path, *, snapshots: bool = False) -> None:
        camera = CameraSettings(name="door", detectors=("fake",), snapshots=snapshots)
        settings = Settings(cameras=(camera,), labels={"face": LabelSettings(embedder="fake", collection="staff")})
        self.client, self.health = Remembers(), Health(["door"])
        self.outbox = Outbox(folder / "outbox.sqlite", OutboxSettings(commit_seconds=0))
        self.reports = Reporter(settings, self.outbox, self.client, Topics("porch"), self.health)
        self.pipeline = Pipeline(camera, settings, a_model_set(SeesOneFace(range(20))), ids())

    def watch(self, frames: range) -> None:
        for number in frames:
            frame = a_frame(number)
            result = self.pipeline.process(frame)
            if result.events:
                self.reports.events(result.events)
            self.reports.seen(result)
            self.reports.flush()

    def states(self) -> list[dict[str, object]]:
        return [json.loads(payload) for payload in self.client.on("edge/v1/porch/up/state/door")]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    yield one
    one.outbox.close()


def test_the_state_says_who_came_and_that_they_left_and_nothing_in_between(desk: Desk) -> None:
    desk.watch(range(60))

    assert [state["subjects"] for state in desk.states()] == [[], ["alice"], []]
    assert len(desk.outbox.read(0, 10)) == 2


def test_problems_of_a_frame_count_while_its_models_are_in_use(desk: Desk) -> None:
    result = desk.pipeline.process(a_frame(0))
    result.stats.problems["labels.face"] = "another space"
    desk.health.use_models(result.models, {})
    desk.reports.seen(result)
    assert desk.health.problems == {"labels.face": "another space"}

    desk.health.use_models(a_model_set(), {})
    desk.reports.seen(result)
    assert desk.health.problems == {}


def test_a_camera_that_is_lost_is_said_at_once(desk: Desk) -> None:
    desk.watch(range(1))
    desk.health.camera_changed(CameraState("door", "lost", "no route"))
    desk.reports.flush()

    assert desk.states()[-1]["status"] == "lost"


def test_no_picture_is_published_unless_the_camera_says_so(desk: Desk) -> None:
    desk.watch(range(10))

    assert not desk.client.on("edge/v1/porch/up/snapshot/door")


def test_with_snapshots_a_new_track_has_a_picture(tmp_path: Path) -> None:
    desk = Desk(tmp_path, snapshots=True)
    desk.watch(range(10))
    desk.outbox.close()

    (jpeg,) = desk.client.on("edge/v1/porch/up/snapshot/door")
    assert pictures.decode(jpeg).height == 48


class Keeps(Component):
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []
        self.events: list[Event] = []

    def on_frame(self, result: FrameResult) -> None:
        self.results.append(result)

    def on_events(self, events: Sequence[Event]) -> None:
        self.events += events


def test_components_receive_each_frame_s_result_and_the_events(desk: Desk) -> None:
    component = Keeps()
    desk.reports.components = [component]

    desk.watch(range(5))

    assert [one.frame.camera for one in component.results] == ["door"] * 5
    assert len(component.results[-1].tracks) == 1
    assert [event.type for event in component.events][:1] == ["new"]


def test_what_cannot_be_recognized_is_told_to_health(desk: Desk) -> None:
    result = desk.pipeline.process(a_frame(0))
    result.stats.problems["labels.face"] = "another space"
    desk.reports.seen(result)

    assert desk.health.problems == {"labels.face": "another space"}


def test_at_the_end_nobody_is_present(desk: Desk) -> None:
    desk.watch(range(10))
    desk.reports.finish()

    assert desk.states()[-1]["present"] == []
