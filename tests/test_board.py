from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edge import board


@pytest.fixture
def sys_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(board, "SYS", tmp_path)
    monkeypatch.setattr(board, "RUN", tmp_path / "run")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_hottest_zone_counts(sys_folder: Path) -> None:
    write(sys_folder / "class/thermal/thermal_zone0/temp", "48312\n")
    write(sys_folder / "class/thermal/thermal_zone1/temp", "61800\n")

    assert board.temperature() == 61.8


def test_a_board_without_sensors_says_so(sys_folder: Path) -> None:
    assert board.temperature() is None
    assert board.throttled() == ()


def test_the_firmware_flags_of_now_are_named_and_those_of_the_past_are_not(sys_folder: Path) -> None:
    write(sys_folder / "devices/platform/soc/soc:firmware/get_throttled", "50005\n")

    assert board.throttled() == ("under_voltage", "throttled")


def test_the_clock_is_unsynced_until_timesyncd_has_said_otherwise(sys_folder: Path) -> None:
    assert board.clock() == "synced"
    (sys_folder / "run/systemd/timesync").mkdir(parents=True)
    assert board.clock() == "unsynced"
    (sys_folder / "run/systemd/timesync/synchronized").touch()
    assert board.clock() == "synced"


def test_memory_of_this_process_is_plausible() -> None:
    memory = board.memory()

    assert 1e6 < memory.private <= memory.resident < 1e11


def test_a_thread_that_steps_back_leaves_its_process_as_it_is() -> None:
    seen: list[int] = []

    def work() -> None:
        board.step_back(5)
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, 0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [max(before, 5)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
