"""Files that are whole or not there, also after a power cut, and their digests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edge.core.errors import SettingsError

CHUNK = 1 << 20
"""bytes read at a time"""


def sha256(path: Path) -> str:
    """The hex digest of a file's bytes. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def expanded(path: Path) -> Path:
    """The path with ``~`` replaced. Raises SettingsError for a user without a home folder (a container's, say)."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SettingsError(
            f"{path}: this user (id {os.getuid()}) has no home folder",
            "set 'state' (EDGE_STATE), STATE_DIRECTORY or HOME to a folder that this user may write",
        ) from error


def is_file(path: Path) -> bool:
    """Whether there is a file; False as well for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for this user alone. Raises OSError.

    ``Path.mkdir`` gives its mode to the last one only.
    """
    for one in reversed([folder, *folder.parents]):
        if not one.is_dir():
            one.mkdir(mode=0o700, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of ``path`` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of ``path`` when the block ends well, and vanishes when it does not.

    The new bytes are on disk before the old ones go. Raises OSError.
    """
    if mode & 0o077:
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data``, whole or not at all. Raises OSError."""
    with replacing(path, mode) as file:
        file.write(data)
