from __future__ import annotations

from rigs.fakes import a_model_set

from edge.pipeline.frame_result import FrameStats
from edge.pipeline.health import CameraHealth, Health, Meter, Processed, Rates
from edge.sources.base import CameraState


def test_percentiles_are_of_the_latest_values() -> None:
    meter = Meter()
    for value in range(1000):
        meter.add(float(value))

    assert meter.percentile(0.0) == 1000 - 512
    assert meter.percentile(1.0) == 999
    assert Meter().percentile(0.5) == 0.0


def test_a_thread_that_hangs_is_told_until_it_moves_again() -> None:
    health = Health(["door"])
    health.hanging(["outbox"])
    assert "thread outbox: degraded" in health.status_line()

    health.hanging([])
    assert health.problems == {}


def test_stats_tell_frames_latency_and_why_crops_were_declined() -> None:
    health = Health(["door"])
    health.camera_changed(CameraState("door", "live"))
    for _ in range(3):
        health.processed("door", FrameStats({"detect": 0.004}, looked=True, declined={"blurred": 1}), 0.01, 2)

    stats = health.stats({"waiting": 0}, {"sent": 1})

    assert (stats.cameras["door"].frames, stats.cameras["door"].dropped) == (3, 2)
    assert stats.latency_ms["detect"] == {"p50": 4.0, "p99": 4.0}
    assert stats.latency_ms["latency"]["p50"] == 10.0
    assert health.declined == {"blurred": 3}
    assert stats.memory_mb > 1


def test_problems_of_models_end_with_them_and_a_late_frame_does_not_bring_them_back() -> None:
    health, old, new = Health(["door"]), a_model_set(), a_model_set()
    health.use_models(old, {"detector tiny": "cannot be loaded"})
    health.model_trouble(old, {"labels.face": "another space", "attributes": "cannot run", "custom_labels a": "gone"})
    health.trouble("camera door", "no route")
    assert health.model_problems().keys() == {"detector tiny", "labels.face", "attributes", "custom_labels a"}

    health.use_models(new, {"detector other": "cannot be loaded"})
    health.model_trouble(old, {"labels.face": "another space", "camera door": "cannot run"})
    assert health.problems == {"detector other": "cannot be loaded", "camera door": "no route"}

    health.model_trouble(new, {"labels.face": "gives up"})
    assert health.problems["labels.face"] == "gives up"


def test_a_camera_that_cannot_be_opened_stays_a_problem_when_the_models_change() -> None:
    health, old = Health(["door"]), a_model_set()
    health.use_models(old, {})
    health.model_trouble(old, {"camera door": "the detector cannot run"})
    health.trouble("camera door", "no route")

    health.use_models(a_model_set(), {})

    assert health.problems == {"camera door": "no route"}


def test_the_status_line_names_cameras_and_what_is_degraded() -> None:
    health = Health(["door", "yard"])
    health.camera_changed(CameraState("yard", "lost", "no route"))
    health.trouble("labels.face", "another space")

    assert health.status_line() == "door connecting, yard lost, labels.face: degraded"


def test_the_status_line_tells_of_an_index_that_is_being_built() -> None:
    health = Health(["door"])
    health.building = ("faces",)

    assert health.status_line() == "door connecting, index of faces is being built"


def test_a_disk_that_refuses_is_news_once_and_so_is_its_recovery() -> None:
    health = Health(["door"])
    assert not health.storage("ok")
    assert health.storage("full")
    assert not health.storage("full")
    assert "outbox: degraded" in health.status_line()
    assert health.storage("ok")
    assert not health.storage("ok")
    assert health.problems == {}


def test_the_rates_of_a_camera_are_what_it_got_lately() -> None:
    camera = CameraHealth()
    camera.recent += [Processed(50.0, True, 9.0), Processed(99.0, True, 9.0)]
    camera.recent += [Processed(99.0 + i / 4, i % 2 == 0, 0.05) for i in range(1, 5)]

    rates = camera.rates(100.0)

    assert (rates.fps, rates.looks) == (4.0, 2.0)
    assert abs(rates.share - 0.2) < 1e-9
    assert camera.rates(200.0) == CameraHealth().rates(0.0) == Rates()


def test_stats_tell_what_each_camera_gets_of_what_it_wants() -> None:
    health = Health(["door", "yard"])
    health.cameras["door"].wanted = 5.0
    for looked in (True, False, True):
        health.processed("door", FrameStats({"detect": 0.001}, looked=looked), 0.01, 0)

    door = health.stats({}, {}).cameras["door"]

    assert door.wanted == 5.0
    assert door.fps > door.looks > 0
    assert 0 < door.share <= 1
