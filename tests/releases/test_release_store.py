"""The installer, killed at every step, with what was not synced lost as in a power cut."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, some_faces

from edge.core.storage import files
from edge.releases.manifest import Blob, ShippedModel, to_bytes
from edge.releases.release_store import ReleaseStore
from edge.releases.updater import Updater

SQLITE = "releases.sqlite"
"""SQLite keeps its own promises about power cuts"""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A hub with r2 and a device with r1, each with a model and a segment."""
    fleet = Fleet(tmp_path / "hub")
    segment = fleet.segment(some_faces(3))
    with mock.patch("edge.releases.verification.attempt"):
        for name in ("r1", "r2"):
            data = {"card.toml": name.encode(), "model.tflite": name.encode() * 4000}
            model = ShippedModel("m", "detector", {k: Blob(fleet.blob(v), len(v)) for k, v in data.items()})
            fleet.publish(fleet.release(name, segment, models=(model,)))
            if name == "r1":
                fleet.sync(tmp_path / "device")
    yield fleet
    fleet.close()


def die_at(step: int, state: Path, log: Path) -> None:
    """In a child process: end without a word at the ``step``-th change of a file, noting what was synced before."""
    seen = 0
    changes = ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "fsync")
    noted = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if event in changes or writes:
            seen += 1
            if seen == step:
                os._exit(9)

    real = os.fsync

    def fsync(descriptor: int) -> None:
        hook("fsync", ())
        real(descriptor)
        about = os.fstat(descriptor)
        os.write(noted, f"{about.st_ino} {about.st_size}\n".encode())

    os.fsync = fsync
    sys.addaudithook(hook)


def cut_power(state: Path, log: Path, before: set[int]) -> None:
    """Empty every file whose bytes were not synced as they are."""
    synced = {int(line.split()[0]): int(line.split()[1]) for line in log.read_text().splitlines()}
    for path in (state / "sync").rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.name.startswith(SQLITE) and path.name != "lock":
            about = path.stat()
            if about.st_ino not in before and synced.get(about.st_ino) != about.st_size:
                os.truncate(path, 0)


def assert_whole(slots: ReleaseStore, release: str) -> None:
    manifest = slots.manifest(release)
    slots.verify(manifest)
    for sha256, size in manifest.blobs().items():
        assert slots.blob(sha256).stat().st_size == size
        assert files.sha256(slots.blob(sha256)) == sha256


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_killed_at_any_step_and_power_lost_the_device_has_a_whole_release_and_gets_the_new_one(
    fleet: Fleet, tmp_path: Path, every: int
) -> None:
    ended: dict[str, int] = {}
    for step in range(1, 400, every):
        state, log = tmp_path / f"device-{step}", tmp_path / f"log-{step}"
        shutil.copytree(tmp_path / "device", state, symlinks=True)
        before = {path.stat().st_ino for path in state.rglob("*") if path.is_file()}
        child = os.fork()
        if child == 0:
            try:
                with mock.patch("edge.releases.verification.attempt"):
                    die_at(step, state, log)
                    fleet.sync(state)
            finally:
                os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        if not killed:
            break
        cut_power(state, log, before)
        slots = ReleaseStore(state)
        ended[slots.current] = ended.get(slots.current, 0) + 1
        assert_whole(slots, slots.current)
        with mock.patch("edge.releases.verification.attempt"):
            fleet.sync(state)
        assert slots.current == "r2"
        assert_whole(slots, "r2")
        shutil.rmtree(state)
    assert not killed
    assert step > 30
    assert ended.keys() == {"r1", "r2"}
    print(f"killed at {step - 1} steps: {ended}")


INSTALL = """
import sys
from pathlib import Path
from edge.releases.update_state import UpdateState
from edge.releases.manifest import Release, parse
from edge.releases.release_store import ReleaseStore
state = Path(sys.argv[1])
slots, ledger = ReleaseStore(state), UpdateState(state / "sync")
slots.prepare()
slots.install(parse(Release, Path(sys.argv[2]).read_bytes()))
ledger.put({"boots": None, "good": "r1"})
slots.activate("r2", "r1")
slots.tidy({"r1", "r2"})
"""
CALLS = ["fsync", "fdatasync", "write", "pwrite64", "ftruncate", "chmod", "fchmodat", "mkdir", "mkdirat"]
CALLS += ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"]


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_killed_by_the_system_at_any_call_that_changes_files(fleet: Fleet, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("needs strace")
    manifest = tmp_path / "r2.json"
    data = fleet.repository.target("targets", "releases/r2.json")
    assert data
    manifest.write_bytes(data)
    base = tmp_path / "base"
    shutil.copytree(tmp_path / "device", base, symlinks=True)
    for path in fleet.repository.blobs.iterdir():
        shutil.copy(path, base / "sync/blobs")

    def run(state: Path, *options: str) -> int:
        command = [strace, "-f", "-o", str(tmp_path / "trace"), *options, sys.executable, "-c", INSTALL]
        return subprocess.run([*command, str(state), str(manifest)], capture_output=True).returncode

    points = 0
    for call in CALLS:
        for number in range(1, 200):
            state = tmp_path / "state"
            shutil.rmtree(state, ignore_errors=True)
            shutil.copytree(base, state, symlinks=True)
            if run(state, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}") == 0:
                break
            points += 1
            slots = ReleaseStore(state)
            assert slots.current in ("r1", "r2"), f"{call} {number}"
            assert_whole(slots, slots.current)
            subprocess.run([sys.executable, "-c", INSTALL, str(state), str(manifest)], check=True)
            assert slots.current == "r2"
            assert_whole(slots, "r2")
    print(f"killed at {points} calls")
    assert points > 30


def test_a_release_that_is_here_with_other_contents_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    from edge.core.errors import ReleaseError

    slots = ReleaseStore(tmp_path / "device")
    other = fleet.release("r1")
    with pytest.raises(ReleaseError, match="other content"):
        slots.install(other)
    assert_whole(slots, "r1")


def test_a_file_that_the_disk_damaged_is_fetched_again_with_the_next_release(fleet: Fleet, tmp_path: Path) -> None:
    slots = ReleaseStore(tmp_path / "device")
    segment = slots.manifest("r1").collections[0].segments[0]
    slots.blob(segment.sha256).write_bytes(b"\0" * segment.size)
    with mock.patch("edge.releases.verification.attempt"):
        fleet.sync(tmp_path / "device")
    assert_whole(slots, "r2")


def test_a_damaged_model_of_the_release_in_use_is_noticed(fleet: Fleet, tmp_path: Path) -> None:
    from edge.core.errors import StoreError

    slots = ReleaseStore(tmp_path / "device")
    (slots.path("r1") / "models/m/model.tflite").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="damaged"):
        slots.verify(slots.manifest("r1"))


def test_old_releases_and_their_files_go(fleet: Fleet, tmp_path: Path) -> None:
    slots = ReleaseStore(tmp_path / "device")
    with mock.patch("edge.releases.verification.attempt"):
        fleet.sync(tmp_path / "device")
        fleet.publish(fleet.release("r3", fleet.segment(some_faces(2, 9))))
        Updater(fleet.settings(), tmp_path / "device").run()
    assert slots.current == "r3"
    assert json.loads(to_bytes(slots.manifest("r3")))["id"] == "r3"
    needed = {sha256 for name in slots.installed() for sha256 in slots.manifest(name).blobs()}
    assert {path.name for path in slots.blobs.iterdir()} == needed
    assert len(slots.installed()) <= 2
