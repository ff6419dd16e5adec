"""The power is cut at each sync of ``edge sync``: what runs stays whole, and the next look installs what is wanted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, offering, some_faces

from edge.core.errors import EdgeError
from edge.releases.release_store import ReleaseStore


class PowerCutError(BaseException):
    """The process is gone."""


@contextmanager
def cutting(state: Path, survives: Path, at: int) -> Iterator[None]:
    """Ends the block at the sync number ``at``; ``survives`` then has what a disk would: names, and synced bytes.

    SQLite syncs by itself, which the tests of its files look at.
    """
    synced: dict[int, bytes] = {}
    count, real = 0, os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == at:
            _remains(state, survives, synced)
            raise PowerCutError
        real(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}")
        if path.is_file():
            synced[os.fstat(descriptor).st_ino] = path.read_bytes()

    with mock.patch("os.fsync", fsync):
        yield


def _remains(state: Path, survives: Path, synced: dict[int, bytes]) -> None:
    shutil.copytree(state, survives, symlinks=True)
    for path in state.rglob("*"):
        if path.is_file() and not path.is_symlink() and ".sqlite" not in path.name:
            data = synced.get(path.stat().st_ino)
            before = path.stat().st_mtime < state.stat().st_ctime - 5  # from before this run: it was synced then
            if not before:
                (survives / path.relative_to(state)).write_bytes(data or b"")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with offering(tmp_path / "hub", 20) as fleet:
        yield fleet


def cut_everywhere(fleet: Fleet, tmp_path: Path, step: int) -> int:
    """How many cuts there were; each heals at the next look, or at the one after."""
    device = tmp_path / "device"
    fleet.sync(device)
    for path in device.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1.7e9, 1.7e9))
    fleet.publish(fleet.release("r2", fleet.segment(some_faces(20, 1))))
    for at in range(1, 200, step):
        state, survives = tmp_path / f"state-{at}", tmp_path / f"survives-{at}"
        shutil.copytree(device, state, symlinks=True)
        try:
            with cutting(state, survives, at):
                fleet.sync(state)
        except PowerCutError:
            store = ReleaseStore(survives)
            assert store.current in ("r1", "r2"), at
            store.manifest(store.current)
            for _ in range(2):
                try:
                    fleet.sync(survives)
                    break
                except EdgeError as error:
                    last = error
            else:
                raise AssertionError(f"cut {at}: {last}") from last
            assert ReleaseStore(survives).current == "r2", at
        else:
            return at
        finally:
            shutil.rmtree(state, ignore_errors=True)
            shutil.rmtree(survives, ignore_errors=True)
    return 200


def test_an_update_heals_after_cuts_at_some_of_its_syncs(fleet: Fleet, tmp_path: Path) -> None:
    assert cut_everywhere(fleet, tmp_path, 9) > 10


@pytest.mark.long
def test_an_update_heals_after_a_cut_at_each_of_its_syncs(fleet: Fleet, tmp_path: Path) -> None:
    assert cut_everywhere(fleet, tmp_path, 1) > 10
