"""What the journal gets."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.settings.services import LogSettings
from edge.core.system import log_setup as logs


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def record(text: str, level: int = logging.WARNING, line: int = 1) -> logging.LogRecord:
    return logging.LogRecord("edge.test", level, "test.py", line, text, None, None)


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers, before = root.level, root.handlers[:], signal.getsignal(signal.SIGUSR2)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    signal.signal(signal.SIGUSR2, before)


def test_a_line_that_repeats_itself_is_written_once_and_then_with_a_count() -> None:
    clock = Clock()
    repeats = logs.RepeatFilter(60.0, clock)
    assert [repeats.filter(record("no route")) for _ in range(5)] == [True, False, False, False, False]
    clock.now += 61
    again = record("no route")
    assert repeats.filter(again)
    assert logs.LineFormatter(journal=True).format(again) == "<4>edge.test: no route (4 more like it since the last)"


def test_other_lines_pass_until_one_place_in_the_code_floods() -> None:
    repeats = logs.RepeatFilter(60.0, Clock())
    passed = [repeats.filter(record(f"bad message {number}")) for number in range(100)]
    assert sum(passed) == logs.BURST
    assert repeats.filter(record("something else", line=2))


def test_debug_lines_and_a_limit_of_zero_hold_nothing_back() -> None:
    assert all(logs.RepeatFilter(60.0, Clock()).filter(record("x", logging.DEBUG)) for _ in range(3))
    assert all(logs.RepeatFilter(0.0, Clock()).filter(record("x")) for _ in range(3))


def test_what_is_remembered_of_lines_is_bounded() -> None:
    repeats = logs.RepeatFilter(60.0, Clock())
    for number in range(3 * logs.REMEMBERED):
        repeats.filter(record(f"line {number}", line=number))
    assert len(repeats._seen) <= logs.REMEMBERED


def test_no_line_holds_the_password_of_an_address() -> None:
    line = logs.LineFormatter(journal=True).format(record("cannot open rtsp://admin:hunter2@192.0.2.1/stream"))
    assert "hunter2" not in line
    assert "192.0.2.1" in line


def test_every_line_of_a_traceback_tells_journald_its_level() -> None:
    one = record("failed", logging.ERROR)
    one.exc_text = "Traceback:\n  somewhere\nValueError: no"
    assert all(line.startswith("<3>") for line in logs.LineFormatter(journal=True).format(one).splitlines())


@pytest.mark.usefixtures("_restored")
def test_sigusr2_switches_to_debug_and_back() -> None:
    logs.to_stderr(LogSettings(level="warning"))
    os.kill(os.getpid(), signal.SIGUSR2)
    assert logging.getLogger().level == logging.DEBUG
    os.kill(os.getpid(), signal.SIGUSR2)
    assert logging.getLogger().level == logging.WARNING


@pytest.mark.usefixtures("_restored")
def test_levels_in_brackets_are_for_the_journal_alone_and_a_file_gets_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for connected in (True, False):
        with (tmp_path / "log").open("w+") as stream:
            said = os.fstat(stream.fileno())
            monkeypatch.setattr(sys, "stderr", stream)
            monkeypatch.setenv("JOURNAL_STREAM", f"{said.st_dev}:{said.st_ino + (not connected)}")
            logs.to_stderr(LogSettings())
            logging.getLogger("edge.test").warning("no route to %s", connected)
            line = (tmp_path / "log").read_text()
        if connected:
            assert line == "<4>edge.test: no route to True\n"
        else:
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING edge.test: no route to False\n", line)
