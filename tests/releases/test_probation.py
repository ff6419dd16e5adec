from __future__ import annotations

import pytest

from edge.core.system.hardware import MemoryUsage
from edge.pipeline.frame_result import FrameStats
from edge.pipeline.health import Health
from edge.releases.probation import Measures, Probation, complaint, leak

BEFORE = Measures(10.0, 0.1, 100 << 20)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (Measures(10.0, 0.1, 100 << 20), ""),
        (Measures(8.1, 0.19, 200 << 20), ""),
        (Measures(7.9, 0.1, 100 << 20), "frames a second"),
        (Measures(10.0, 0.21, 100 << 20), "latency"),
        (Measures(10.0, 0.1, 300 << 20), "memory"),
        (Measures(None, None, 100 << 20), ""),
    ],
)
def test_a_release_must_do_about_as_well_as_the_one_before(now: Measures, words: str) -> None:
    said = complaint(BEFORE, now)
    assert words in said if words else said == ""


def test_a_few_milliseconds_are_noise_whatever_the_ratio() -> None:
    assert complaint(Measures(5.0, 0.004, 1 << 27), Measures(5.0, 0.03, 1 << 27)) == ""


@pytest.mark.parametrize(
    ("megabytes", "leaks"),
    [
        ([100, 110, 120, 130, 140], True),
        ([100, 130, 150, 152, 152], False),
        ([100, 110, 105, 120, 130], False),
        ([100, 102, 104, 106, 108], False),
        ([100, 110, 120], False),
    ],
)
def test_what_grows_and_does_not_come_to_rest_leaks(megabytes: list[int], leaks: bool) -> None:
    assert ("leaks memory" in leak([one << 20 for one in megabytes])) is leaks


def test_a_leak_too_small_for_the_limit_is_found_out_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Clockwork(60.0)
    daemon.run(30, 5, 0.1)
    monkeypatch.setattr(
        "edge.core.system.hardware.memory", lambda: MemoryUsage((100 << 20) + int(daemon.now * (500 << 10)), 0)
    )
    daemon.probation.begin(daemon.now, fresh=False)
    assert daemon.run(59, 5, 0.1) is None
    verdict = daemon.run(2, 5, 0.1)
    assert verdict
    assert "leaks memory" in verdict


class Clockwork:
    """A daemon's counters, a second a step."""

    def __init__(self, seconds: float) -> None:
        self.health = Health(["door"])
        self.health.cameras["door"].state = "live"
        self.probation = Probation(self.health, seconds)
        self.now = 0.0

    def run(self, seconds: int, fps: int, latency: float) -> str | None:
        for _ in range(seconds):
            self.now += 1.0
            for _ in range(fps):
                self.health.processed("door", FrameStats(looked=True), latency, 0)
            verdict = self.probation.look(self.now)
            if verdict is not None:
                return verdict
        return None


def test_an_equal_release_is_good_at_the_end_of_its_time_and_not_before() -> None:
    daemon = Clockwork(60.0)
    daemon.run(30, 5, 0.1)
    daemon.probation.begin(daemon.now, fresh=False)
    assert daemon.run(59, 5, 0.1) is None
    assert daemon.run(2, 5, 0.1) == ""


def test_a_slow_one_is_found_out_within_seconds() -> None:
    daemon = Clockwork(600.0)
    daemon.run(30, 5, 0.1)
    daemon.probation.begin(daemon.now, fresh=False)
    verdict = daemon.run(20, 2, 0.5)
    assert verdict
    assert "too slow" in verdict


def test_a_new_problem_ends_it_at_once_and_an_old_one_does_not() -> None:
    daemon = Clockwork(60.0)
    daemon.health.trouble("camera door", "was there before")
    daemon.probation.begin(daemon.now, fresh=False)
    assert daemon.run(2, 5, 0.1) is None
    daemon.health.trouble("labels.face", "the embedder fails")
    assert daemon.run(1, 5, 0.1) == "labels.face: the embedder fails"


def test_after_a_start_of_the_daemon_only_problems_and_memory_count() -> None:
    daemon = Clockwork(20.0)
    daemon.probation.begin(daemon.now, fresh=True)
    assert daemon.run(30, 1, 2.0) == ""


def test_a_camera_that_goes_away_and_a_full_disk_are_no_fault_of_the_release() -> None:
    daemon = Clockwork(60.0)
    daemon.run(30, 5, 0.1)
    daemon.probation.begin(daemon.now, fresh=False)
    daemon.run(10, 5, 0.1)
    daemon.health.cameras["door"].state = "reconnecting"
    daemon.health.trouble("camera door", "no frame for 10 s")
    daemon.health.trouble("outbox", "the disk is full")
    assert daemon.run(30, 0, 0.1) is None
    daemon.health.cameras["door"].state = "live"
    daemon.health.problems.clear()
    assert daemon.run(30, 5, 0.1) == ""
