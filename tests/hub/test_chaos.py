"""Nothing is lost, whatever is killed: a few kills every day, two hundred in the long suite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from rigs.mosquitto import program

CHAOS = Path(__file__).resolve().parent.parent.parent / "scripts" / "chaos"


def last_line_of(*arguments: str) -> str:
    program()
    done = subprocess.run([sys.executable, CHAOS, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_a_few_kills_lose_nothing() -> None:
    line = last_line_of("--kills", "6", "--pause", "1.5", "--seed", "4")
    assert re.fullmatch(r"chaos: 6 kills, [1-9]\d* events, lost 0, duplicates 0", line)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_kills_at_a_hundred_events_a_second_lose_nothing() -> None:
    line = last_line_of("--kills", "200", "--rate", "100")
    assert re.fullmatch(r"chaos: 200 kills, [1-9]\d* events, lost 0, duplicates 0", line)
