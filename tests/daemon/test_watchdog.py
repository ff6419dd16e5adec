"""What systemd hears while threads move, hang, rest, and stand in for each other."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.fakes import Frames, Listens, SeesOneFace, a_model_set
from rigs.waiting import eventually

from edge.core import plugins as registry
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings
from edge.core.system.heartbeat import Heartbeat
from edge.core.types import Detection, Frame, Picture
from edge.daemon.engine import Engine
from edge.daemon.watchdog import STAND_IN, STUCK, Watchdog
from edge.pipeline.health import Health

WATCHDOG_SEC = 30.0


class Systemd:
    """What was said since the last question."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        said = []
        while True:
            try:
                said.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return said

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    one = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield one
    one.close()


def test_a_pulse_is_silent_from_its_beat_on_and_never_while_it_rests() -> None:
    pulse, later = Heartbeat(), time.monotonic() + 100
    assert pulse.silent(later) == 0

    pulse.beat()
    assert 99 < pulse.silent(later) <= 100
    assert pulse.silent(time.monotonic() - 5) == 0
    pulse.rest()
    assert pulse.silent(later) == 0


def test_systemd_is_fed_while_all_move_then_not_and_told_to_act_when_its_time_is_over(
    systemd: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog = Watchdog(WATCHDOG_SEC)
    inference, commands = watchdog.watch("inference"), watchdog.watch("commands", patience=300)
    now = time.monotonic()
    for pulse in (inference, commands):
        pulse.beat()

    assert watchdog.look(now + STUCK - 1) == []
    assert systemd.heard() == ["WATCHDOG=1"]
    assert watchdog.look(now + STUCK + 1) == ["inference"]
    assert watchdog.look(now + WATCHDOG_SEC - 1) == ["inference"]
    assert systemd.heard() == []
    assert watchdog.look(now + WATCHDOG_SEC + 1) == ["inference"]
    assert systemd.heard() == ["WATCHDOG=trigger"]
    assert caplog.text.count("thread inference hangs: the watchdog is not fed") == 1


def test_a_thread_that_moves_again_is_told_once_and_feeding_goes_on(
    systemd: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watchdog = Watchdog(WATCHDOG_SEC)
    pulse = watchdog.watch("outbox")
    pulse.beat()
    watchdog.look(time.monotonic() + STUCK + 1)
    pulse.beat()

    assert watchdog.look(time.monotonic()) == []
    assert systemd.heard() == ["WATCHDOG=1"]
    assert caplog.text.count("thread outbox recovered") == 1


def test_one_camera_that_hangs_does_not_take_the_others_with_it_at_once(systemd: Systemd) -> None:
    watchdog, now = Watchdog(WATCHDOG_SEC), time.monotonic()
    door, yard = (watchdog.watch(f"capture {name}", group="capture") for name in ("door", "yard"))
    door.beat()
    yard.rest()  # lost, and waited for: it does not hang

    assert watchdog.look(now + 60) == ["capture door"]
    assert systemd.heard() == ["WATCHDOG=1"]
    watchdog.look(now + STAND_IN + 1)
    assert systemd.heard() == ["WATCHDOG=trigger"]


def test_the_last_camera_that_hangs_counts(systemd: Systemd) -> None:
    watchdog, now = Watchdog(WATCHDOG_SEC), time.monotonic()
    for name in ("door", "yard"):
        watchdog.watch(f"capture {name}", group="capture").beat()

    assert watchdog.look(now + 60) == ["capture door", "capture yard"]
    assert systemd.heard() == ["WATCHDOG=trigger"]


def test_without_systemd_nothing_is_asked_of_it(systemd: Systemd) -> None:
    watchdog = Watchdog(None)
    watchdog.watch("inference").beat()

    assert watchdog.look(time.monotonic() + 3600) == ["inference"]
    assert systemd.heard() == []


class OpensForEver(Frames):
    """A camera that is reached by a name which nobody resolves: ``test_watchdog:OpensForEver:1``."""

    live = True
    let_go = threading.Event()

    def frames(self) -> Iterator[Frame]:
        self.let_go.wait(60)
        yield from super().frames()


def test_opening_a_camera_may_take_minutes_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.SOURCES, "nowhere", "rigs.fakes:OpensForEver")
    monkeypatch.setattr("rigs.fakes.OpensForEver", OpensForEver, raising=False)
    watchdog, health = Watchdog(WATCHDOG_SEC), Health(["door"])
    camera = CameraSettings(name="door", source="nowhere:1", detectors=("fake",), motion=False)
    settings = Settings(cameras=(camera,), labels={"face": LabelSettings(embedder="fake", collection="staff")})
    watch = Engine(settings, a_model_set(), 1, health, Listens(), watchdog)  # type: ignore[arg-type]
    watch.start()
    now = time.monotonic()
    assert eventually(lambda: watchdog.silent(now + 300))

    assert "capture door" not in watchdog.silent(now + 60)
    assert "capture door" in watchdog.silent(now + 300)
    OpensForEver.let_go.set()
    watch.stop()


class Hangs(SeesOneFace):
    """A detector whose model does not come back before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def detect(self, picture: Picture, scores: object = None) -> list[Detection]:
        self.calls += 1
        self.let_go.wait(60)
        return []


def test_an_inference_that_does_not_come_back_is_silent_and_one_that_ended_is_not() -> None:
    detector, watchdog = Hangs(), Watchdog(WATCHDOG_SEC)
    camera = CameraSettings(
        name="door", source="rigs.fakes:Frames:3", detectors=("fake",), realtime=False, motion=False
    )
    settings = Settings(cameras=(camera,), labels={"face": LabelSettings(embedder="fake", collection="staff")})
    watch = Engine(settings, a_model_set(detector), 1, Health(["door"]), Listens(), watchdog)  # type: ignore[arg-type]
    watch.start()
    assert eventually(lambda: detector.calls)

    assert watchdog.silent(time.monotonic() + STUCK + 1) == ["inference"]
    detector.let_go.set()
    assert watch.wait(30)
    watch.stop()
    assert watchdog.silent(time.monotonic() + 3600) == []
