from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.system import systemd as sdnotify


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield listener


def test_ready_and_status_are_one_datagram(systemd: socket.socket) -> None:
    assert sdnotify.ready("door 5.0 fps")
    assert systemd.recv(4096) == b"READY=1\nSTATUS=door 5.0 fps"


def test_ready_gives_the_watchdog_the_time_back_that_a_start_was_lent(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    sdnotify.starting()
    sdnotify.ready("door live")

    assert systemd.recv(4096) == b"WATCHDOG_USEC=180000000"
    assert systemd.recv(4096) == b"READY=1\nSTATUS=door live\nWATCHDOG_USEC=30000000"


def test_a_start_that_gets_on_may_take_longer_and_work_in_the_background_is_no_start(systemd: socket.socket) -> None:
    assert sdnotify.extend_start_timeout(60)
    assert systemd.recv(4096) == b"EXTEND_TIMEOUT_USEC=60000000\nWATCHDOG=1"

    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(sdnotify.extend_start_timeout()))
    thread.start()
    thread.join()
    assert said == [False]


def test_what_hangs_for_good_is_for_systemd_to_end(systemd: socket.socket) -> None:
    assert sdnotify.trigger_watchdog()
    assert systemd.recv(4096) == b"WATCHDOG=trigger"


def test_a_reload_tells_the_time(systemd: socket.socket) -> None:
    sdnotify.reloading()
    first, second = systemd.recv(4096).split(b"\n")

    assert first == b"RELOADING=1"
    assert second.startswith(b"MONOTONIC_USEC=")


def test_nobody_listening_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not sdnotify.alive()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not sdnotify.alive()


@pytest.mark.parametrize(("usec", "pid", "expected"), [("30000000", None, 30.0), ("", None, None), ("5", "1", None)])
def test_the_watchdog_is_for_this_process_or_nobody(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str | None, expected: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))

    assert sdnotify.watchdog_seconds() == expected
