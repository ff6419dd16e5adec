"""The real program: ``edge run`` as a process, real models, a real broker, footage made from the sample portraits."""

from __future__ import annotations

import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.running import ROOT, Running
from rigs.settings_files import DETECTOR
from rigs.waiting import eventually


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    one = Running(tmp_path / "device")
    one.config()
    yield one
    one.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", persistence=True, extra="autosave_interval 1") as one:
        yield one


def to(broker: Mosquitto, **more: Any) -> dict[str, Any]:
    return {"mqtt": {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0} | more}


def test_people_in_footage_are_reported_by_name_to_an_independent_subscriber(
    running: Running, broker: Mosquitto
) -> None:
    running.settings |= to(broker)
    running.enroll()
    other = Subscriber(broker.port, "edge/v1/porch/up/#")

    running.start()

    assert running.wait() == 0, running.log
    assert eventually(lambda: len(other.on("edge/v1/porch/up/event/door")) == len(running.events))
    events = [json.loads(payload) for payload in other.on("edge/v1/porch/up/event/door")]
    other.stop()
    names = {event["identity"]["subject"] for event in events if event["identity"]["state"] == "known"}
    assert names == {"eileen-collins", "grace-hopper"}
    assert [event["type"] for event in events].count("new") == [event["type"] for event in events].count("end")
    assert json.loads(other.on("edge/v1/porch/up/status")[-1])["online"] is False
    assert json.loads(other.on("edge/v1/porch/up/state/door")[-1])["present"] == []
    assert json.loads(other.on("edge/v1/porch/up/info")[-1])["cameras"] == ["door"]


def test_a_broker_that_is_killed_and_comes_back_costs_no_event(running: Running, broker: Mosquitto) -> None:
    running.camera |= {"fps": 25.0, "realtime": True, "loop": True}
    running.settings |= to(broker)
    running.enroll()
    other = Subscriber(broker.port, "edge/v1/porch/up/event/door")
    running.start()
    assert eventually(lambda: len(other.messages) >= 1, 30), running.log

    broker.kill()
    before = len(running.events)
    assert eventually(lambda: len(running.events) > before, 60)
    broker.start()
    assert eventually(lambda: other.client.is_connected(), 20)
    assert eventually(lambda: running.log.count("mqtt: online") >= 2, 30), running.log
    assert running.stop() == 0

    printed = [(event["type"], event["track"]) for event in running.events]

    def heard() -> set[tuple[str, str]]:
        return {(event["type"], event["track"]) for event in map(json.loads, other.on("edge/v1/porch/up/event/door"))}

    assert eventually(lambda: heard() == set(printed)), (heard(), printed)
    other.stop()


def kill_and_restart(running: Running, kills: int) -> None:
    """kill -9 at random moments, again and again; then let it end by itself."""
    moments = random.Random(20261122)
    for _ in range(kills):
        running.start()
        seen = len(running.events)
        eventually(lambda seen=seen: len(running.events) > seen, 10)
        time.sleep(moments.uniform(0.0, 1.0))
        running.stop(signal.SIGKILL)


def outbox(running: Running) -> list[dict[str, Any]]:
    with sqlite3.connect(running.folder / "state/outbox.sqlite") as db:
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM events ORDER BY position")]


def check_nothing_is_missing(running: Running) -> None:
    kept = outbox(running)
    printed = {(event["type"], event["track"]) for event in running.events}
    stored = [(event["type"], event["track"]) for event in kept]
    assert printed - set(stored) == set()
    news = [track for kind, track in stored if kind == "new"]
    ends = [track for kind, track in stored if kind == "end"]
    assert sorted(news) == sorted(ends)
    assert len(set(news)) == len(news)
    assert any(event["reason"] == "restart" for event in kept)


def test_after_kill_9_no_committed_event_is_missing_and_every_new_has_its_end(running: Running) -> None:
    running.camera |= {"fps": 25.0, "realtime": True, "loop": True}
    running.enroll()
    kill_and_restart(running, 3)
    running.start()
    running.await_watching()
    assert running.stop() == 0

    check_nothing_is_missing(running)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_after_50_kills_no_committed_event_is_missing_and_every_new_has_its_end(running: Running) -> None:
    running.camera |= {"fps": 25.0, "realtime": True, "loop": True}
    running.enroll()
    kill_and_restart(running, 50)
    running.start()
    running.await_watching()
    assert running.stop() == 0

    check_nothing_is_missing(running)


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(running: Running) -> None:
    running.camera |= {"realtime": True, "loop": True}
    running.start()
    running.await_watching()

    second = running.edge("run")

    assert second.returncode == 1
    assert "in use by process" in second.stderr
    assert "try:" in second.stderr
    assert running.stop() == 0


def test_systemd_hears_ready_watchdog_reload_and_stopping(running: Running, tmp_path: Path) -> None:
    running.camera |= {"realtime": True, "loop": True}
    path = tmp_path / "notify"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(0.05)

        def hears(text: str) -> bool:
            try:
                while True:
                    heard.append(listener.recv(4096).decode())
            except TimeoutError:
                return any(text in one for one in heard)

        running.start(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="2000000")
        assert eventually(lambda: hears("READY=1"), 30), running.log
        assert eventually(lambda: hears("WATCHDOG=1"))

        running.config().write_text("nonsense = 1\n")
        assert running.process
        running.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "old settings stay in force" in running.log)
        assert eventually(lambda: hears("RELOADING=1"))

        heard.clear()
        running.config()
        running.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: hears("READY=1"), 30), running.log
        assert running.stop() == 0
        assert hears("STOPPING=1")


def test_a_model_that_kills_its_process_is_named_and_the_daemon_works_without_it(
    running: Running, shared_models: Path
) -> None:
    running.enroll()
    folder = running.folder / "models" / "killer"
    folder.mkdir(parents=True)
    card = (ROOT / "models/ulffd-landmark-320/card.toml").read_text()
    (folder / "card.toml").write_text(
        "\n".join(
            'name = "killer"' if line.startswith("name =")
            else 'file = "neg_crash_keyword_scrambled_8bit.tflite"' if line.startswith("file =")
            else line
            for line in card.splitlines()
            if not line.startswith(("sha256 =", "size ="))
        )
    )  # fmt: skip
    running.settings["models"] = {"path": [str(running.folder / "models"), str(shared_models)], "threads": 1}
    running.camera |= {"detectors": ["killer", DETECTOR]}

    running.start()

    assert running.wait() == 0, running.log
    assert "detector killer cannot be used" in running.log
    assert {event["type"] for event in running.events} >= {"new", "end"}


def test_a_collection_of_another_space_costs_the_names_and_is_told(running: Running, shared_models: Path) -> None:
    running.models = shared_models
    running.enroll()
    running.settings |= {"labels": {"face": {"embedder": "mobilefacenet-112-float", "collection": "faces"}}}

    running.start()

    assert running.wait() == 0, running.log
    assert "detected but not recognized" in running.log
    assert {event["identity"]["state"] for event in running.events} == {"pending"}


def test_a_run_that_got_no_picture_from_any_camera_has_failed(running: Running) -> None:
    running.camera |= {"source": "video:gone.mp4"}

    running.start()

    assert running.wait() == 1, running.log
    assert "camera door: video gone.mp4: there is no such file (try: check the path after video:)" in running.log
    assert "\nerror: no camera delivered a picture\ntry: edge doctor checks each of them\n" in running.log
    assert "Traceback" not in running.log


@pytest.mark.parametrize("reader", [subprocess.PIPE, "/dev/full"])
def test_a_run_whose_printed_events_nobody_takes_any_more_ends_in_order(running: Running, reader: int | str) -> None:
    running.camera |= {"realtime": True, "loop": True}
    command = [sys.executable, "-m", "edge", "--config", str(running.config()), "run", "--print"]
    with (running.folder / "log").open("ab") as log, ExitStack() as stack:
        out = stack.enter_context(Path(reader).open("ab")) if isinstance(reader, str) else reader
        running.process = subprocess.Popen(command, stdout=out, stderr=log)
    if running.process.stdout:
        assert json.loads(running.process.stdout.readline())["type"] == "new"
        running.process.stdout.close()

    assert running.wait() == 0, running.log
    assert running.log.count("--print: cannot write to stdout: ") == 1
    assert "Traceback" not in running.log
    with closing(sqlite3.connect(running.folder / "state" / "outbox.sqlite")) as outbox:
        assert outbox.execute("SELECT count(*) FROM journal").fetchone() == (0,), "every track has its end"
