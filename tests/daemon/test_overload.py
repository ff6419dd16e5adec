"""A board that gets hot: what the daemon gives up, what it says of it, and that it takes all of it up again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.board import Board
from rigs.device import Subscriber
from rigs.fakes import CountsEmbeddings, Listens, SeesOneFace, a_frame, a_model_set, a_picture, ids
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.waiting import eventually

from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings, SheddingSettings
from edge.daemon.engine import Engine
from edge.daemon.overload import LATELY, LOOK_SECONDS, LatencyWindow, OverloadMonitor
from edge.mqtt.messages import ShedReport as Document
from edge.pipeline.frame_result import FrameResult
from edge.pipeline.health import Health
from edge.pipeline.load_shedding import LADDER, NOTHING, TOP, ShedLevel
from edge.pipeline.pipeline import Pipeline

FACE = LabelSettings(embedder="fake", collection="staff")


class Remembers:
    """Cameras that record the load shedding they were given."""

    def __init__(self) -> None:
        self.latencies = LatencyWindow()
        self.told: list[ShedLevel] = []

    def shed(self, shed: ShedLevel) -> None:
        self.told.append(shed)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "sys")


def test_a_hot_board_sheds_in_order_and_says_why_and_a_cool_one_takes_it_up_again(board: Board) -> None:
    cameras, said, health = Remembers(), list[Document](), Health([])
    overload = OverloadMonitor(SheddingSettings(board=board.folder), cameras, health, lambda: said.append(health.shed))

    board.has(83.0)
    for second in range(120):
        overload.tick(float(second))
    assert cameras.told == list(LADDER[1:])
    assert (said[-1].level, said[-1].most, said[-1].why) == (TOP, TOP, "83 °C, 80 at most")

    board.has(60.0)
    for second in range(120, 900):
        overload.tick(float(second))
    assert cameras.told == [*LADDER[1:], *reversed(LADDER[:-1])]
    assert said[-1] == Document(0, TOP)


def test_a_firmware_that_throttles_counts_as_heat(board: Board) -> None:
    cameras = Remembers()
    overload = OverloadMonitor(SheddingSettings(board=board.folder), cameras, Health([]), lambda: None)
    board.holds_back(0b101)
    for second in range(10):
        overload.tick(float(second))

    assert overload.document().why == "under voltage, throttled"


def test_frames_that_take_too_long_are_seen_and_those_before_the_change_are_forgotten(board: Board) -> None:
    cameras = Remembers()
    overload = OverloadMonitor(SheddingSettings(board=board.folder), cameras, Health([]), lambda: None)
    for second in range(10):
        cameras.latencies.add(float(second), 2.0)
        overload.tick(float(second))

    assert cameras.told == [LADDER[1]]
    changed = 6.0
    assert cameras.latencies.middle(12.0, changed) == 2.0
    assert cameras.latencies.middle(12.0, 9.0) is None
    assert cameras.latencies.middle(9.0 + LATELY + LOOK_SECONDS, changed) is None


def test_a_pipeline_that_gives_up_small_motion_still_looks_at_large_motion_and_once_in_a_while() -> None:
    small = a_picture(160, 120)
    small.data[10:14, 10:16] = 255  # 0.1 % of the picture
    large = a_picture(160, 120)
    large.data[20:100, 20:120] = 255

    def looked(shed: ShedLevel, picture: object) -> list[bool]:
        camera, detector = CameraSettings(name="door", detectors=("fake",), motion=True), SeesOneFace(range(0))
        pipeline = Pipeline(camera, Settings(cameras=(camera,), labels={"face": FACE}), a_model_set(detector), ids())
        pipeline.frame_gate.shed = shed
        found = []
        for number, shown in enumerate([a_picture(160, 120)] * 3 + [picture]):
            result = pipeline.process(a_frame(number, picture=shown))  # type: ignore[arg-type]
            found.append(result.stats.looked)
        return found

    assert looked(NOTHING, small)[-1]
    assert not looked(LADDER[3], small)[-1]
    assert looked(LADDER[3], large)[-1]


def test_a_pipeline_that_gives_up_embeddings_makes_one_a_frame() -> None:
    class SeesFour(SeesOneFace):
        def detect(self, picture, scores=None):  # type: ignore[no-untyped-def]
            from edge.core.types import Box, Detection

            return [Detection("face", 0.9, Box(x, 0.3, x + 0.1, 0.5)) for x in (0.1, 0.3, 0.5, 0.7)]

    def most(shed: ShedLevel) -> int:
        camera, embedder = CameraSettings(name="door", detectors=("fake",), motion=False), CountsEmbeddings()
        settings = Settings(cameras=(camera,), labels={"face": FACE})
        pipeline = Pipeline(camera, settings, a_model_set(SeesFour(), embedder), ids())
        pipeline.frame_gate.shed = shed
        return max(pipeline.process(a_frame(number)).stats.embeddings for number in range(12))

    assert most(NOTHING) == 4
    assert most(LADDER[TOP]) == 1


class Steady(Listens):
    """Counts the frames of each camera."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def seen(self, result: FrameResult) -> None:
        self.moments.append(result.frame.monotonic)


def test_a_camera_looks_at_fewer_frames_and_a_stored_source_read_at_speed_at_all_of_them() -> None:
    def seen(realtime: bool) -> list[float]:
        camera = CameraSettings(
            name="door", source="rigs.fakes:Frames:60", detectors=("fake",), realtime=realtime, motion=False, fps=10
        )
        reports = Steady()
        settings = Settings(cameras=(camera,), labels={"face": FACE})
        watch = Engine(settings, a_model_set(), 1, Health(["door"]), reports)
        watch.shed(LADDER[1])
        watch.start()
        assert watch.wait(30)
        watch.stop()
        return reports.moments

    assert len(seen(realtime=False)) == 60
    # frames that come faster than they are processed may be dropped as well; the pace is in their own time
    paced = seen(realtime=True)
    assert 0 < len(paced) <= 31
    assert all(later - earlier > 0.14 for earlier, later in itertools.pairwise(paced))


# the real program


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    one = Running(tmp_path / "device")
    one.config()
    yield one
    one.close()


def test_a_running_daemon_that_gets_hot_says_so_looks_less_and_recovers(
    running: Running, board: Board, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        running.camera |= {"fps": 10.0, "realtime": True, "loop": True, "motion": False}
        running.settings["mqtt"] = {"host": "127.0.0.1", "port": broker.port, "stats_seconds": 1.0}
        running.settings["shedding"] = {
            "board": str(board.folder), "worsen_seconds": 1.0, "recover_seconds": 2.0, "latency": 30.0,
        }  # fmt: skip
        other = Subscriber(broker.port, "edge/v1/porch/up/stats")
        running.start()

        def latest() -> dict[str, object]:
            said = other.on("edge/v1/porch/up/stats")
            return json.loads(said[-1]) if said else {}

        def shed() -> dict[str, object]:
            return latest().get("shed", {})  # type: ignore[return-value]

        assert eventually(lambda: latest().get("temperature") == 45.0, 180), running.log
        assert (shed()["level"], shed()["most"], latest()["throttled"]) == (0, TOP, [])
        board.has(84.0)
        board.holds_back(0b10)
        assert eventually(lambda: shed().get("level") == 1, 120), running.log
        assert shed()["what"] == "half the rate"
        assert shed()["why"] == "84 °C, 80 at most, frequency capped"
        assert latest()["throttled"] == ["frequency_capped"]
        assert eventually(lambda: 0 < latest()["cameras"]["door"]["fps"] < 6.5, 120), latest()  # type: ignore[index]
        board.has(50.0)
        board.holds_back(0)
        assert eventually(lambda: shed().get("level") == 0, 180), running.log
        assert running.stop() == 0
        other.stop()

    assert "load shedding: half the rate, because of 84 °C, 80 at most, frequency capped (level 1 of 4)" in running.log
    assert "load shedding off" in running.log
