"""Recovery from versions that a thief of a key has raised: the keys of that role are replaced, and devices follow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.release_simulator import Fleet, offering, some_faces

from edge.core.errors import TrustError

FAR = 2**31 - 10


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with offering(tmp_path / "hub", 2) as fleet:
        shutil.copy(fleet.root, tmp_path / "root.json")
        fleet.root = tmp_path / "root.json"
        yield fleet


def fast_forwarded(fleet: Fleet, role: str, device: Path, backup: Path) -> None:
    """The thief has signed a version that the owner will not reach; the device has seen it; the owner starts anew."""
    fleet.sync(device)
    shutil.copytree(fleet.folder, backup)
    files = fleet.repository
    metadata = files._read(role)
    metadata.signed.version = FAR
    if role in ("targets", "deploy"):
        files._write(role, metadata)
        files.refresh()
    elif role == "snapshot":
        files._publish(metadata, files._read("timestamp"))
    else:
        files._publish(files._read("snapshot"), metadata)
    assert fleet.sync(device).outcome == "up_to_date"
    shutil.rmtree(fleet.folder)
    shutil.copytree(backup, fleet.folder)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "deploy"])
def test_a_new_key_of_the_role_ends_a_fast_forward(fleet: Fleet, tmp_path: Path, role: str) -> None:
    device = tmp_path / "device"
    fast_forwarded(fleet, role, device, tmp_path / "backup")
    with pytest.raises(TrustError):
        fleet.sync(device)
    for one in dict.fromkeys((role, "snapshot", "timestamp")):
        fleet.repository.rotate(one)
    fleet.publish(fleet.release("r2", fleet.segment(some_faces(2, 1))))
    assert fleet.sync(device).release == "r2"


def test_a_new_snapshot_key_alone_does_not_let_targets_go_back_and_the_error_names_the_command(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The specification lets them: here the thief of an online key could bring back what was signed earlier."""
    device = tmp_path / "device"
    fast_forwarded(fleet, "targets", device, tmp_path / "backup")
    for one in ("snapshot", "timestamp"):
        fleet.repository.rotate(one)
    with pytest.raises(TrustError, match="rollback") as refused:
        fleet.sync(device)
    assert "edge hub rotate targets" in refused.value.hint
