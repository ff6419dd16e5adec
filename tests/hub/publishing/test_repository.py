from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, some_faces

from edge.core.errors import ConflictError, InputError, NotFoundError, TrustError
from edge.hub.publishing.keys import PASSPHRASE, Keys
from edge.hub.publishing.repository import Repository

ONLINE = ("snapshot", "timestamp", "deploy")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path / "hub")
    shutil.copy(fleet.root, tmp_path / "root.json")
    fleet.root = tmp_path / "root.json"
    with mock.patch("edge.releases.verification.attempt"):
        yield fleet
    fleet.close()


@pytest.mark.parametrize("role", ["root", "targets", *ONLINE])
def test_devices_follow_a_new_key_and_the_old_one_is_worth_nothing(fleet: Fleet, tmp_path: Path, role: str) -> None:
    fleet.publish(fleet.release("r1", fleet.segment(some_faces(2))))
    assert fleet.sync(tmp_path / "device").release == "r1"
    fleet.repository.rotate(role)
    fleet.publish(fleet.release("r2", fleet.segment(some_faces(2))))
    assert fleet.sync(tmp_path / "device").release == "r2"
    keys = fleet.repository.keys
    old, real = keys.signer(role, old=True), keys.signer
    with mock.patch.object(keys, "signer", side_effect=lambda asked: old if asked == role else real(asked)):
        fleet.publish(fleet.release("r3", fleet.segment(some_faces(2))))
    if role != "root":  # which publishing does not sign
        with pytest.raises(TrustError):
            fleet.sync(tmp_path / "device")


def test_a_hub_restored_from_a_backup_is_followed_after_its_keys_are_new(fleet: Fleet, tmp_path: Path) -> None:
    fleet.publish(fleet.release("r1", fleet.segment(some_faces(2))))
    shutil.copytree(fleet.folder, tmp_path / "backup")
    fleet.publish(fleet.release("r2", fleet.segment(some_faces(2, 1))))
    assert fleet.sync(tmp_path / "device").release == "r2"
    shutil.rmtree(fleet.folder)
    shutil.copytree(tmp_path / "backup", fleet.folder)
    with pytest.raises(TrustError):
        fleet.sync(tmp_path / "device")
    for role in ("targets", *ONLINE):
        fleet.repository.rotate(role)
    assert fleet.sync(tmp_path / "device").release == "r1"


def test_without_the_offline_keys_nothing_can_be_published_and_rollouts_go_on(fleet: Fleet, tmp_path: Path) -> None:
    fleet.publish(fleet.release("r1", fleet.segment(some_faces(2))))
    (tmp_path / "hub/keys/offline").rename(tmp_path / "stick")
    with pytest.raises(NotFoundError, match="targets"):
        fleet.publish(fleet.release("r2", fleet.segment(some_faces(2))))
    with pytest.raises(NotFoundError, match="root"):
        fleet.repository.rotate("timestamp")
    fleet.deploy("r1", percent=50.0)
    fleet.repository.refresh()


def test_a_passphrase_locks_the_offline_keys_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(tmp_path / "online", tmp_path / "offline")
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    for role in ("targets", "timestamp"):
        keys.make(role)
        assert (keys.path(role).stat().st_mode & 0o777) == 0o600
    assert b"ENCRYPTED" in keys.path("targets").read_bytes()
    assert b"ENCRYPTED" not in keys.path("timestamp").read_bytes()
    keys.signer("targets")
    monkeypatch.setenv(PASSPHRASE, "wrong")
    with pytest.raises(InputError, match="cannot decrypt"):
        keys.signer("targets")
    monkeypatch.delenv(PASSPHRASE)
    with pytest.raises(InputError, match="cannot decrypt"):
        keys.signer("targets")
    keys.signer("timestamp")


def test_a_second_init_destroys_nothing(fleet: Fleet) -> None:
    before = {path: path.read_bytes() for path in fleet.folder.rglob("*") if path.is_file()}
    with pytest.raises(ConflictError, match="already"):
        Repository(fleet.folder, fleet.repository.keys).init()
    assert {path: path.read_bytes() for path in fleet.folder.rglob("*") if path.is_file()} == before
