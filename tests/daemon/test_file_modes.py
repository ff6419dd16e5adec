"""Whatever the umask of whoever starts edge: no other user of the board reads a file of the state folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.well_known import ANNOY, build

from edge.core.storage import files
from edge.core.storage import keys as vault_keys
from edge.core.storage.lock import Lock
from edge.daemon import encryption
from edge.recognition.store import export as portable
from edge.recognition.store.collections import Collections
from edge.releases.update_state import UpdateState


@pytest.fixture(autouse=True)
def _careless() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """Path -> mode of what others than the owner may read, write or enter; links have no mode of their own."""
    paths = [path for path in [folder, *folder.rglob("*")] if not path.is_symlink()]
    modes = {str(path.relative_to(folder.parent)): path.stat().st_mode & 0o777 for path in paths}
    return {path: f"{mode:o}" for path, mode in modes.items() if mode & 0o077}


def test_no_file_and_no_folder_of_the_state_is_open_to_others(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    with Lock(state):
        build(state)
        UpdateState(state / "sync").close()
        files.write_bytes(state / "models" / "tried" / "stamp", b"")
    assert open_to_others(state) == {}


def test_nor_once_it_was_encrypted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    build(state)
    vault_keys.use(vault_keys.new_key())
    encryption.turn_on(ANNOY, state)
    vault_keys.use("")
    assert open_to_others(state) == {}


def test_an_exported_collection_is_for_its_owner_alone(tmp_path: Path) -> None:
    build(tmp_path / "state")
    with Collections(tmp_path / "state", ANNOY.collection, maintain=False) as collections:
        portable.export(collections.get("staff"), tmp_path / "new" / "staff.edge")
    assert open_to_others(tmp_path / "new") == {}


def test_what_is_made_for_everybody_stays_so(tmp_path: Path) -> None:
    os.umask(0o022)
    files.write_bytes(tmp_path / "public" / "file", b"", mode=0o644)
    assert open_to_others(tmp_path / "public") == {"public": "755", "public/file": "644"}
