"""Damaged files: renamed out of the way and kept, so that a new file can take their place.

The names are ``<file>.damaged-1``, ``-2`` and so on; the newest ``KEPT`` of a file stay.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.core.storage.sqlite_codes import SqliteCode, code_of

KEPT = 3
"""damaged copies of one file: a failing disk must not be filled with them"""
COMPANIONS = ("-wal", "-shm", "")
"""SQLite's files beside a database, and the database itself"""


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file itself is broken, so that another attempt is of no use."""
    return code_of(error) in (SqliteCode.CORRUPT, SqliteCode.NOTADB)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, or a folder in its place, and delete the oldest of its kind; its new path.

    Raises StoreError where the disk does not allow it.
    """
    found = re.compile(rf"{re.escape(path.name)}\.damaged-(\d+)(-wal|-shm)?")
    try:
        aside = {file: int(name[1]) for file in path.parent.iterdir() if (name := found.fullmatch(file.name))}
        number = max(aside.values(), default=0) + 1
        target = path.with_name(f"{path.name}.damaged-{number}")
        for file in [file for file, old in aside.items() if old <= number - KEPT]:
            remove(file)
        for suffix in COMPANIONS:
            file = path.with_name(path.name + suffix)
            if file.exists() or file.is_symlink():
                file.rename(target.with_name(target.name + suffix))
        files.sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: is damaged and cannot be renamed: {error.strerror or error}",
                         "check the disk: space, owner, read-only") from error  # fmt: skip
    return target


def remove(path: Path) -> None:
    """Delete a file, a link or a whole folder; nothing where there is none. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
