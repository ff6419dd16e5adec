"""The threads that look, on sources that end."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping

import pytest
from rigs.fakes import Breaks, Fails, Listens, SeesOneFace, Slow, a_model_set
from rigs.waiting import eventually

from edge.core.errors import ModelError, NotFoundError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.types import Detection, Picture
from edge.daemon.engine import Engine
from edge.pipeline.health import Health

FACE = LabelSettings(embedder="fake", collection="staff")


def a_watch(model_set: object, *cameras: CameraSettings) -> tuple[Engine, Listens, Health]:
    reports, health = Listens(), Health([camera.name for camera in cameras])
    settings = Settings(cameras=cameras, labels={"face": FACE})
    return Engine(settings, model_set, 1, health, reports), reports, health  # type: ignore[arg-type]


def stored(name: str, frames: int = 40) -> CameraSettings:
    return CameraSettings(
        name=name, source=f"rigs.fakes:Frames:{frames}", detectors=("fake",), realtime=False, motion=False
    )


def test_a_stored_source_as_fast_as_possible_loses_no_frame_and_ends_every_track() -> None:
    watch, reports, health = a_watch(a_model_set(), stored("door", 200))
    watch.start()

    assert watch.wait(30)
    watch.stop()

    assert (reports.frames, health.cameras["door"].dropped) == (200, 0)
    assert [event.type for event in reports.heard if event.type != "update"] == ["new", "end"]


def test_two_cameras_share_the_thread_and_track_ids_are_unique() -> None:
    watch, reports, _ = a_watch(a_model_set(), stored("a"), stored("b"))
    watch.start()

    assert watch.wait(30)
    watch.stop()

    new = {event.track: event.camera for event in reports.heard if event.type == "new"}
    assert sorted(new.values()) == ["a", "b"]


def test_a_camera_that_cannot_be_opened_is_a_problem_told_and_the_others_go_on() -> None:
    missing = CameraSettings(name="gone", source="video:/nowhere.mp4", detectors=("fake",))
    watch, reports, health = a_watch(a_model_set(), missing, stored("door"))
    watch.start()

    assert watch.wait(30)
    watch.stop()

    assert "nowhere.mp4" in health.problems["camera gone"]
    assert reports.frames == 40


def test_a_detector_that_fails_is_a_problem_told_and_the_thread_lives() -> None:
    watch, reports, health = a_watch(a_model_set(Fails()), stored("door"))
    watch.start()

    assert watch.wait(30)
    watch.stop()

    assert "cannot run" in health.problems["camera door"]
    assert reports.frames == 0


class FailsWhenTold:
    """A detector that is inside its model until ``go``, and fails then."""

    labels, size = ("face",), (320, 240)

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def detect(self, picture: Picture, scores: Mapping[str, float] | None = None) -> list[Detection]:
        self.entered.set()
        assert self.go.wait(30)
        raise ModelError("model 'old': cannot run", "choose another model")


def test_a_frame_in_flight_at_a_switch_leaves_no_problem_of_the_models_before() -> None:
    detector = FailsWhenTold()
    old, new = a_model_set(detector), a_model_set()
    watch, reports, health = a_watch(old, stored("door"))
    health.use_models(old, {})
    watch.start()
    assert detector.entered.wait(30)

    health.use_models(new, {})
    watch.switch(new)
    detector.go.set()

    assert watch.wait(30)
    watch.stop()
    assert (health.problems, reports.frames) == ({}, 39)


def test_a_disabled_camera_has_no_problem_and_its_frame_in_flight_brings_none() -> None:
    detector = FailsWhenTold()
    watch, _, health = a_watch(a_model_set(detector), endless("door"), endless("yard"))
    watch.start()
    assert detector.entered.wait(30)

    closing = threading.Thread(target=lambda: [watch.enable(name, False) for name in ("door", "yard")])
    closing.start()
    assert eventually(lambda: watch._watched["door"].off)
    detector.go.set()
    closing.join(30)

    assert health.problems == {}
    watch.stop()


def test_a_camera_that_is_enabled_again_starts_without_its_old_problem() -> None:
    missing = CameraSettings(name="gone", source="video:/nowhere.mp4", detectors=("fake",))
    watch, _, health = a_watch(a_model_set(), missing, endless("door"))
    watch.start()
    assert eventually(lambda: "camera gone" in health.problems)

    watch.enable("gone", False)
    assert health.problems == {}

    watch.enable("gone", True)
    assert eventually(lambda: "camera gone" in health.problems)
    watch.stop()


def test_stop_in_the_middle_ends_tracks_and_threads() -> None:
    endless = CameraSettings(name="door", source="rigs.fakes:Frames:1000000", detectors=("fake",), realtime=False)
    watch, reports, _ = a_watch(a_model_set(SeesOneFace()), endless)
    before = threading.active_count()
    watch.start()
    while not reports.heard:
        assert not watch.wait(0.01)
    watch.stop()

    assert reports.heard[-1].type == "end"
    assert threading.active_count() == before


def endless(name: str) -> CameraSettings:
    return CameraSettings(name=name, source="rigs.fakes:Frames:100000", detectors=("fake",), fps=100, motion=False)


def test_a_camera_that_is_told_to_look_away_ends_its_tracks_and_comes_back_when_told() -> None:
    watch, reports, health = a_watch(a_model_set(), endless("door"), endless("yard"))
    watch.start()
    assert eventually(lambda: {event.camera for event in reports.heard} == {"door", "yard"})

    watch.enable("door", False)
    watch.enable("door", False)

    assert [event.type for event in reports.heard if event.camera == "door"][-1] == "end"
    assert reports.gone == ["door"]
    assert (health.cameras["door"].state, watch.latest("door")) == ("off", None)
    looked = health.cameras["door"].frames
    seen = health.cameras["yard"].frames
    assert eventually(lambda: health.cameras["yard"].frames > seen + 3)
    assert health.cameras["door"].frames == looked

    watch.enable("door", True)

    assert eventually(lambda: [event.type for event in reports.heard if event.camera == "door"][-1] == "new")
    assert health.cameras["door"].state == "live"
    watch.stop()


def test_a_camera_that_the_settings_do_not_know_cannot_be_switched() -> None:
    watch, _, _ = a_watch(a_model_set(), stored("door"))
    with pytest.raises(NotFoundError, match="'hall' is not one of door"):
        watch.enable("hall", True)
    with pytest.raises(NotFoundError):
        watch.latest("hall")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_on_the_inference_thread_is_not_taken_for_the_end_of_the_footage() -> None:
    watch, _, _ = a_watch(a_model_set(Breaks()), stored("door"))
    watch.start()

    assert watch.wait(30)
    watch.stop()

    assert watch.failed


def test_cameras_get_the_thread_by_weight_and_one_that_fails_gets_no_more() -> None:
    def camera(name: str, weight: float, detector: str = "fake") -> CameraSettings:
        return CameraSettings(
            name=name,
            source="rigs.fakes:Frames:1000000",
            detectors=(detector,),
            realtime=False,
            motion=False,
            weight=weight,
        )

    model_set, broken = a_model_set(Slow(SeesOneFace())), Slow(Fails())
    model_set = dataclasses.replace(model_set, detectors={**model_set.detectors, "broken": broken})
    watch, _, health = a_watch(model_set, camera("a", 1), camera("b", 3), camera("c", 1, "broken"))
    watch.start()
    assert eventually(lambda: health.cameras["b"].frames >= 90)
    watch.stop()

    assert 15 <= health.cameras["a"].frames <= 60
    assert 15 <= broken.calls <= 60
    assert health.cameras["a"].wanted == 5.0
