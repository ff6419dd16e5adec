"""Every file below ``sync`` damaged in every way: the next update heals it, and the running release stays."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, some_faces

from edge.core.storage import files
from edge.releases import update_state
from edge.releases.manifest import Blob, ShippedModel, subject_digest
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState
from edge.releases.updater import Updater


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(5).randbytes(path.stat().st_size + 7))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = max(0, len(data) // 2 - 32)
    for index in range(middle, min(len(data), middle + 64)):
        data[index] ^= 0xFF
    path.write_bytes(bytes(data))


def other_json(path: Path) -> None:
    path.write_bytes(b'{"signed": {"version": 999999, "_type": "targets", "expires": 5}, "signatures": []}')


def a_list(path: Path) -> None:
    path.write_bytes(b"[]")


def a_folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def missing(path: Path) -> None:
    path.unlink()


DAMAGES: list[Callable[[Path], None]] = [
    emptied, zeroed, cut_in_half, garbage, flipped, other_json, a_list, a_folder, missing,
]  # fmt: skip
FILES = [
    "metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json", "metadata/deploy.json",
    "metadata/root_history/1.root.json", "metadata/root_history/2.root.json", "metadata/root.json",
    "releases.sqlite", "releases.copy.json", "lock", "releases/r1/manifest.json", "releases/r1/models/m/model.tflite",
    "blob", "current",
]  # fmt: skip
ERASURE = 3
"""of the releases, and the floor of the device"""
FOLDERS = ["metadata", "metadata/root_history", "blobs", "releases", "releases/r1", "staging"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Path]]:
    """A hub that offers r2, and a device that runs r1 and has seen the metadata of r2."""
    folder = tmp_path_factory.mktemp("damaged")
    fleet, device = Fleet(folder / "hub"), folder / "device"
    segment = fleet.segment(some_faces(3))
    with mock.patch("edge.releases.verification.attempt"):
        for name in ("r1", "r2"):
            data = {"card.toml": name.encode(), "model.tflite": name.encode() * 4000}
            model = ShippedModel("m", "detector", {k: Blob(fleet.blob(v), len(v)) for k, v in data.items()})
            fleet.publish(fleet.release(name, segment, models=(model,), erasure=ERASURE))
            if name == "r1":
                fleet.repository.rotate("root")
                fleet.sync(device)
    Updater(fleet.settings(), device).run(dry=True)
    with_state(device, {"erasure": ERASURE, "bad r0": "crashes"})
    yield fleet, device
    fleet.close()


def with_state(device: Path, facts: dict[str, object]) -> None:
    updates = UpdateState(device / "sync")
    updates.put(facts)
    updates.close()


def damaged_device(hub: tuple[Fleet, Path], tmp_path: Path) -> Path:
    device = tmp_path / "device"
    shutil.copytree(hub[1], device, symlinks=True)
    return device


def assert_updated(fleet: Fleet, device: Path) -> None:
    """Within two updates: the first may only find the damage."""
    store = ReleaseStore(device)
    with mock.patch("edge.releases.verification.attempt"):
        fleet.deploy("r2")
        fleet.sync(device)
        assert store.current == "r2"
        assert fleet.sync(device).outcome == "up_to_date"
    manifest = store.manifest("r2")
    store.verify(manifest)
    assert all(files.sha256(store.blob(sha256)) == sha256 for sha256 in manifest.blobs())


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        pytest.param(name, damage, marks=() if (row + column) % 3 == 0 else pytest.mark.long)
        for row, name in enumerate(FILES)
        for column, damage in enumerate(DAMAGES)
    ],
)
def test_a_damaged_file_never_ends_updates(
    name: str, damage: Callable[[Path], None], hub: tuple[Fleet, Path], tmp_path: Path
) -> None:
    """Each file with a third of the damages in the everyday suite, with all of them in the long one."""
    device = damaged_device(hub, tmp_path)
    path = device / "sync" / name
    if name == "blob":
        path = ReleaseStore(device).blob(next(iter(ReleaseStore(device).manifest("r1").blobs())))
    if name == "current":
        path.unlink()
        path.write_bytes(b"not a link")
    damage(path)
    assert_updated(hub[0], device)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_the_place_of_a_folder_never_ends_updates(name: str, hub: tuple[Fleet, Path], tmp_path: Path) -> None:
    device = damaged_device(hub, tmp_path)
    path = device / "sync" / name
    shutil.rmtree(path, ignore_errors=True)
    path.write_bytes(b"a file")
    assert_updated(hub[0], device)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_update_state_keeps_what_must_not_be_forgotten(
    damage: Callable[[Path], None], hub: tuple[Fleet, Path], tmp_path: Path
) -> None:
    device = damaged_device(hub, tmp_path)
    update_state.erase(device, "staff", "alice")
    before = UpdateState(device / "sync")
    floors = before.get("floors")
    before.close()
    damage(device / "sync" / "releases.sqlite")
    for suffix in ("-wal", "-shm"):
        (device / "sync" / f"releases.sqlite{suffix}").unlink(missing_ok=True)
    after = UpdateState(device / "sync")
    assert after.get("erasure") == ERASURE
    assert after.bad("r0") == "crashes"
    assert after.get("floors") == floors
    assert subject_digest("staff", "alice") in after.get("erased staff")["subjects"]
    after.close()


def test_the_other_process_follows_to_the_new_file(tmp_path: Path) -> None:
    daemon = UpdateState(tmp_path)
    daemon.put({"good": "r1"})
    (tmp_path / "releases.sqlite").rename(tmp_path / "aside")
    sync = UpdateState(tmp_path)
    sync.put({"progress": {"phase": "staged"}})
    assert daemon.get("progress") == {"phase": "staged"}
    assert daemon.get("good") == "r1"
    daemon.close()
    sync.close()


def test_a_version_in_a_damaged_file_is_no_floor(hub: tuple[Fleet, Path], tmp_path: Path) -> None:
    device = damaged_device(hub, tmp_path)
    path = device / "sync/metadata/deploy.json"
    document = json.loads(path.read_bytes())
    document["signed"]["version"] = 999
    path.write_text(json.dumps(document))
    assert_updated(hub[0], device)
