"""Nothing is lost, whatever is killed: a few kills every day, two hundred in the long suite."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rigs.mosquitto import program
from rigs.postgres import programs

CHAOS = Path(__file__).resolve().parent.parent.parent / "scripts" / "chaos"


def last_line_of(*arguments: str) -> str:
    program()
    for needed in {"nats": ["nats-server"], "mosquitto": ["haproxy"]}.get(arguments[-1], []):
        if not shutil.which(needed, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
            pytest.skip(f"needs a cluster: apt-get install {needed}")
    done = subprocess.run([sys.executable, CHAOS, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_a_few_kills_lose_nothing() -> None:
    line = last_line_of("--kills", "6", "--pause", "1.5", "--seed", "4")
    assert re.fullmatch(r"chaos: 6 kills, [1-9]\d* events, lost 0, duplicates 0", line)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_kills_with_postgresql_lose_nothing() -> None:
    programs()
    line = last_line_of("--kills", "200", "--rate", "100", "--postgresql", "--drain", "300")
    assert re.fullmatch(r"chaos: 200 kills, [1-9]\d* events, lost 0, duplicates 0", line)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_kills_at_a_hundred_events_a_second_lose_nothing() -> None:
    line = last_line_of("--kills", "200", "--rate", "100")
    assert re.fullmatch(r"chaos: 200 kills, [1-9]\d* events, lost 0, duplicates 0", line)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cluster", ["nats", "mosquitto"])
def test_a_cluster_whose_brokers_are_killed_in_turn_loses_nothing(cluster: str) -> None:
    line = last_line_of("--kills", "100", "--rate", "60", "--cluster", cluster)
    assert re.fullmatch(r"chaos: 100 kills, [1-9]\d* events, lost 0, duplicates 0", line)
