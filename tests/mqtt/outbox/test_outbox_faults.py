"""kill -9, full disks, disks that turn read-only, power cuts: what was promised is kept."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from rigs import powercut
from rigs.events import an_event
from rigs.waiting import eventually

from edge.core.settings.messaging import OutboxSettings
from edge.mqtt.outbox import outbox
from edge.mqtt.outbox.outbox import Outbox

NOW = OutboxSettings(commit_seconds=0)
PUTTER = Path(__file__).with_name("putter.py")
TESTS = Path(__file__).parents[2]


def put_until_killed(run: int, path: Path, seconds: float, **environment: str) -> list[tuple[str, str]]:
    """Events, as (kind, track), that the putter had promised when it was killed."""
    process = subprocess.Popen(
        [sys.executable, str(PUTTER), str(run), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
    )
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    lines = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    return [(kind, track) for kind, _, track in (line.partition(" ") for line in lines) if track]


def kill_again_and_again(kills: int, path: Path) -> int:
    """Events promised in all; asserts that each is there, and that every ``new`` has one ``end``."""
    chance = random.Random(11)
    promised = [event for run in range(kills) for event in put_until_killed(run, path, chance.random() * 0.3)]
    return assert_all_there(promised, path)


def cut_again_and_again(cuts: int, tmp_path: Path) -> int:
    """As ``kill_again_and_again``, and with each kill every byte is lost that was not synced."""
    library, chance, promised = powercut.library(tmp_path), random.Random(13), list[tuple[str, str]]()
    disk = tmp_path / "disk-0"
    for run in range(cuts):
        survives = tmp_path / f"disk-{run + 1}"
        if disk.exists():
            # what was synced before stays synced
            shutil.copytree(disk, survives)
        preload = powercut.environment(library, disk, survives)
        promised += put_until_killed(run, disk / "outbox.db", chance.random() * 0.3, **preload)
        for torn in survives.glob("*.part"):
            torn.unlink()
        assert integrity(survives / "outbox.db") == "ok"
        disk = survives
    return assert_all_there(promised, disk / "outbox.db")


def integrity(path: Path) -> str:
    """SQLite's own verdict on a copy, so that looking changes nothing."""
    copy = path.parent.with_name(path.parent.name + "-copy")
    shutil.copytree(path.parent, copy)
    with contextlib.closing(sqlite3.connect(copy / path.name)) as database:
        verdict = str(database.execute("PRAGMA integrity_check").fetchone()[0])
    shutil.rmtree(copy)
    return verdict


def assert_all_there(promised: list[tuple[str, str]], path: Path) -> int:
    after = Outbox(path, NOW)
    found: dict[str, list[str]] = defaultdict(list)
    for item in after.read(0, 1_000_000):
        found[item.event.track].append(item.event.type)
    after.close()
    for kind, track in promised:
        assert kind in found[track], f"{kind} of {track} was promised and is missing"
    for track, kinds in found.items():
        assert (kinds[0], kinds[-1], kinds.count("new"), kinds.count("end")) == ("new", "end", 1, 1), track
    return len(promised)


def test_nothing_that_was_promised_is_lost_in_5_kills(tmp_path: Path) -> None:
    assert kill_again_and_again(5, tmp_path / "outbox.db") > 5


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nothing_that_was_promised_is_lost_in_50_kills(tmp_path: Path) -> None:
    assert kill_again_and_again(50, tmp_path / "outbox.db") > 50


def test_nothing_that_was_promised_is_lost_in_5_power_cuts(tmp_path: Path) -> None:
    assert cut_again_and_again(5, tmp_path) > 5


@pytest.mark.long
@pytest.mark.timeout(900)
def test_nothing_that_was_promised_is_lost_in_100_power_cuts(tmp_path: Path) -> None:
    assert cut_again_and_again(100, tmp_path) > 100


def test_the_power_cut_is_one_what_was_not_synced_is_gone(tmp_path: Path) -> None:
    code = (
        "import os, sys; file = open(sys.argv[1], 'wb', buffering=0); file.write(b'synced'); os.fsync(file.fileno());"
        "file.write(b' and not'); os.kill(os.getpid(), 9)"
    )
    preload = powercut.environment(powercut.library(tmp_path), tmp_path, tmp_path / "shadow")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], env={**os.environ, **preload})
    assert (tmp_path / "file").read_bytes() == b"synced and not"
    assert (tmp_path / "shadow" / "file").read_bytes() == b"synced"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_full_disk_is_said_and_events_wait_in_memory_until_there_is_room(small_disk: Path) -> None:
    box = Outbox(small_disk / "outbox.db", NOW.model_copy(update={"reserve_bytes": 0}))
    box.put([an_event("new", "1-0")])
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    events = [an_event(kind, f"1-{number}") for number in range(1, 400) for kind in ("new", "end")]
    for start in range(0, len(events), 40):
        box.put(events[start : start + 40])
    stats = box.stats()
    assert stats.state == "full"
    assert stats.in_memory > 0
    assert stats.lost == 0
    assert len(box.read(0, 10_000)) == 799
    ballast.unlink()
    assert eventually(lambda: box.stats().state == "ok")
    assert box.stats().in_memory == 0
    before = [item.key for item in box.read(0, 10_000)]
    box.close()
    again = Outbox(small_disk / "outbox.db", NOW)
    items = again.read(0, 10_000)
    again.close()
    assert [item.key for item in items[:799]] == before
    assert [(item.event.track, item.event.reason) for item in items[799:]] == [("1-0", "restart")]


@pytest.mark.usefixtures("impatient")
def test_the_outbox_leaves_the_reserve_of_the_disk_free(small_disk: Path) -> None:
    box = Outbox(small_disk / "outbox.db", OutboxSettings(commit_seconds=0.01, reserve_bytes=1 << 30))
    for number in range(200):
        box.put([an_event(kind, f"{number}-{more}") for more in range(10) for kind in ("new", "end")])
    assert eventually(lambda: box.stats().lost > 0)
    assert box.stats().state == "ok"
    assert box.stats().bytes <= 1 << 20
    box.close()


@pytest.mark.usefixtures("impatient")
def test_a_disk_that_turns_read_only_is_said_and_recovers_without_a_restart(small_disk: Path) -> None:
    box = Outbox(small_disk / "state" / "outbox.db", NOW.model_copy(update={"reserve_bytes": 0}))
    box.put([an_event("new", "1-1")])
    with sqlite3.connect(small_disk / "state" / "outbox.db", isolation_level=None) as lock:
        # a remount is refused while files are open to write, so a lock stands for it
        lock.execute("BEGIN IMMEDIATE")
        box.put([an_event("end", "1-1")])
        assert box.stats().state != "ok"
        assert [item.event.type for item in box.read(0, 9)] == ["new", "end"]
        lock.execute("ROLLBACK")
    lock.close()
    assert eventually(lambda: box.stats().state == "ok")
    assert [item.event.type for item in box.read(0, 9)] == ["new", "end"]
    box.close()


@pytest.mark.usefixtures("impatient")
def test_a_state_folder_that_cannot_be_written_at_the_start_is_no_end(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    box = Outbox(folder / "outbox.db", NOW)
    box.put([an_event("new", "1-1")])
    assert box.stats().state != "ok"
    keys = [item.key for item in box.read(0, 9)]
    assert len(keys) == 1
    folder.unlink()
    assert eventually(lambda: box.stats().state == "ok")
    box.put([an_event("end", "1-1")])
    items = box.read(0, 9)
    assert [item.event.type for item in items] == ["new", "end"]
    assert items[0].key == keys[0]
    assert items[1].epoch == box.epoch != items[0].epoch
    box.close()


@pytest.mark.usefixtures("impatient")
def test_events_delivered_from_memory_do_not_come_again_and_leave_no_track_open(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    first = Outbox(path, NOW)
    first.put([an_event("new", "1-1")])
    with sqlite3.connect(path, isolation_level=None) as lock:
        lock.execute("BEGIN IMMEDIATE")
        first.put([an_event("end", "1-1"), an_event("new", "1-2")])
        items = first.read(0, 9)
        assert [item.event.track for item in items] == ["1-1", "1-1", "1-2"]
        first.done(item.key for item in items)
        assert first.read(0, 9) == []
        lock.execute("ROLLBACK")
    lock.close()
    assert eventually(lambda: first.stats().state == "ok")
    first.close()
    second = Outbox(path, NOW)
    assert [(item.event.track, item.event.type) for item in second.read(0, 9)] == [("1-2", "end")]
    second.close()


@pytest.mark.usefixtures("impatient")
def test_memory_is_bounded_and_its_loss_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_text("")
    box = Outbox(tmp_path / "state" / "outbox.db", NOW)
    monkeypatch.setattr(box._memory, "_most", 50)
    for number in range(60):
        box.put([an_event("new", f"1-{number}"), an_event("update", f"1-{number}")])
    kinds = [item.event.type for item in box.read(0, 999)]
    assert kinds == ["new"] * 50
    assert box.stats().lost == 70
    box.close()


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    """The limit holds for a process, so a child has it."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from rigs.events import an_event;"
        "from edge.core.settings.messaging import OutboxSettings; from edge.mqtt.outbox.outbox import Outbox;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000));"
        "box = Outbox(Path(sys.argv[1]), OutboxSettings(commit_seconds=0));"
        "[box.put([an_event('new', str(number))] * 20) for number in range(60)];"
        "print(box.stats().state, len(box.read(0, 9999)), box.stats().lost)"
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", code, str(tmp_path / "outbox.db")]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert answer.stdout.split()[1:] == ["1200", "0"], answer.stderr
    assert answer.stdout.split()[0] in ("full", "failing")
