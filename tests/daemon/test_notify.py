"""The real daemon and the socket of systemd: what is said, and in which order."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.running import Running
from rigs.settings_files import DETECTOR
from rigs.waiting import eventually


class Systemd:
    """Hears what one service says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._said: list[dict[str, str]] = []

    @property
    def said(self) -> list[dict[str, str]]:
        """Every datagram so far, its fields."""
        while True:
            try:
                datagram = self._socket.recv(65536).decode()
            except BlockingIOError:
                return list(self._said)
            self._said.append(dict(line.split("=", 1) for line in datagram.splitlines()))

    def count(self, key: str, value: str) -> int:
        return sum(one.get(key) == value for one in self.said)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    one = Systemd(tmp_path / "notify")
    yield one
    one.close()


@pytest.fixture
def running(tmp_path: Path, systemd: Systemd) -> Iterator[Running]:
    one = Running(tmp_path / "device", camera={"realtime": True, "loop": True})
    one.enroll()
    one.start(NOTIFY_SOCKET=str(systemd.path), WATCHDOG_USEC="30000000")
    assert eventually(lambda: systemd.count("READY", "1"), 60), one.log
    yield one
    one.close()


def test_a_start_asks_for_time_is_ready_once_then_feeds_and_tells_how_fast_it_looks(
    running: Running, systemd: Systemd
) -> None:
    assert eventually(lambda: any(re.search(r"door \d+\.\d fps", one.get("STATUS", "")) for one in systemd.said), 60)
    said = systemd.said
    ready = next(number for number, one in enumerate(said) if "READY" in one)

    assert said[0] == {"WATCHDOG_USEC": "180000000"}
    assert any(int(one.get("EXTEND_TIMEOUT_USEC", 0)) >= 60_000_000 for one in said[:ready])
    assert said[ready]["WATCHDOG_USEC"] == "30000000"
    assert not any("EXTEND_TIMEOUT_USEC" in one for one in said[ready:])
    assert {"WATCHDOG": "1"} in said[ready:]


def test_a_reload_is_begun_and_ended_whether_or_not_the_settings_are_right(running: Running, systemd: Systemd) -> None:
    assert running.process
    right = (running.folder / "edge.toml").read_text()
    (running.folder / "edge.toml").write_text("nonsense = true\n" + right)
    running.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: systemd.count("READY", "1") == 2, 60), running.log
    assert "the old settings stay in force" in running.log

    (running.folder / "edge.toml").write_text(right.replace('name = "door"', 'name = "gate"'))
    running.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: systemd.count("READY", "1") == 3, 60), running.log
    assert eventually(lambda: any(one.get("STATUS", "").startswith("gate") for one in systemd.said), 60)
    begun = [one for one in systemd.said if "RELOADING" in one]
    assert [set(one) for one in begun] == [{"RELOADING", "MONOTONIC_USEC"}] * 2
    # systemd 257 takes the word of a service that stops, and it can never take it back
    assert systemd.count("STOPPING", "1") == 0


def test_a_reload_of_what_applies_live_ends_no_track_and_stays_online(running: Running, systemd: Systemd) -> None:
    assert running.process
    file = running.folder / "edge.toml"
    file.write_text(f"mqtt.stats_seconds = 2.0\n{file.read_text()}")
    running.process.send_signal(signal.SIGHUP)

    assert eventually(lambda: systemd.count("READY", "1") == 2, 60), running.log
    assert "reload: applied mqtt.stats_seconds" in running.log
    assert running.log.count("watching door") == 1
    assert running.stop() == 0


def test_settings_that_are_right_but_with_which_nothing_begins_give_way_to_the_old_ones(
    running: Running, systemd: Systemd
) -> None:
    assert running.process
    right = (running.folder / "edge.toml").read_text()
    wrong = right.replace('name = "door"', 'name = "gate"').replace(f'["{DETECTOR}"]', '["nowhere"]')
    assert wrong.count("nowhere") == 1
    (running.folder / "edge.toml").write_text(wrong)
    running.process.send_signal(signal.SIGHUP)

    assert eventually(lambda: systemd.count("READY", "1") == 2, 60), running.log
    assert "the old ones are restored" in running.log
    assert systemd.said[-1].get("STATUS", "door").startswith("door")
    assert running.stop() == 0


def test_a_stop_says_so(running: Running, systemd: Systemd) -> None:
    assert running.stop() == 0
    assert systemd.said[-1] == {"STOPPING": "1", "STATUS": "stopping"} or systemd.count("STOPPING", "1") == 1


def test_the_ends_of_threads_are_written_where_the_watchdog_ends_the_daemon(running: Running) -> None:
    assert running.stop(signal.SIGABRT) == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in running.log
    assert "edge/daemon/engine.py" in running.log
