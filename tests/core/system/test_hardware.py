from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.core.system import hardware as board


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


def test_a_jetsons_constant_zone_and_a_sleeping_sensor_are_no_temperature(sys_folder: Path) -> None:
    for number, (kind, text) in enumerate([("CPU-therm", "44500"), ("PMIC-Die", "100000"), ("cv0-thermal", "-256000")]):
        write(sys_folder / f"class/thermal/thermal_zone{number}/type", kind + "\n")
        write(sys_folder / f"class/thermal/thermal_zone{number}/temp", text + "\n")

    assert board.temperature() == 44.5


def test_a_board_without_thermal_zones_is_asked_for_its_sensors(sys_folder: Path) -> None:
    write(sys_folder / "class/hwmon/hwmon0/temp1_input", "39000\n")
    write(sys_folder / "class/hwmon/hwmon1/temp2_input", "52000\n")

    assert board.temperature() == 52.0


def test_a_kernel_that_caps_the_clock_of_a_hot_cpu_is_heard(sys_folder: Path) -> None:
    for number, (kind, state) in enumerate([("pwm-fan", "3"), ("cpufreq-cpu0", "0"), ("thermal-cpufreq-1", "2")]):
        write(sys_folder / f"class/thermal/cooling_device{number}/type", kind + "\n")
        write(sys_folder / f"class/thermal/cooling_device{number}/cur_state", state + "\n")

    assert board.throttled() == ("throttled",)
    write(sys_folder / "class/thermal/cooling_device2/cur_state", "0\n")
    assert board.throttled() == ()


def test_the_voltage_monitor_and_the_firmware_of_a_raspberry_pi_5_are_heard_together(sys_folder: Path) -> None:
    write(sys_folder / "class/hwmon/hwmon2/name", "rpi_volt\n")
    write(sys_folder / "class/hwmon/hwmon2/in0_lcrit_alarm", "1\n")
    write(sys_folder / "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "8\n")

    assert board.throttled() == ("under_voltage", "soft_temperature_limit")


def test_another_folder_than_the_kernels_own_can_be_asked(tmp_path: Path) -> None:
    write(tmp_path / "class/thermal/thermal_zone0/temp", "81000\n")

    assert board.temperature(tmp_path) == 81.0
    assert board.throttled(tmp_path) == ()


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
        board.lower_priority(5)
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, 0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [max(before, 5)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_memory_that_was_freed_in_pieces_goes_back_to_the_system() -> None:
    resident = board.memory().resident
    kept = [bytearray(100_000) for _ in range(400)]
    held = kept[::50]
    del kept
    before = board.memory().resident

    assert isinstance(board.trim_heap(), bool)
    assert board.memory().resident <= before
    assert len(held) == 8
    assert resident > 0


def test_a_process_without_descriptors_knows_less_and_goes_on() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        found = board.temperature(), board.throttled(), board.memory()
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found == (None, (), board.MemoryUsage(0, 0))


def test_a_priority_is_lowered_and_never_raised() -> None:
    """In a process of its own: nobody may raise a priority again."""
    code = (
        "import os\nfrom edge.core.system.hardware import lower_priority\n"
        "lower_priority(10); print(os.getpriority(os.PRIO_PROCESS, 0))\n"
        "lower_priority(10); print(os.getpriority(os.PRIO_PROCESS, 0))"
    )
    own = os.getpriority(os.PRIO_PROCESS, 0)
    for start in (0, 5, 15):
        done = subprocess.run(
            ["nice", "-n", str(start), sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        first = min(19, own + start)
        assert [int(line) for line in done.stdout.split()] == [min(19, first + 10), min(19, first + 20)]
