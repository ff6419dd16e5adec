"""One daemon per state directory: a lock that ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, StoreError
from edge.core.storage import layout
from edge.core.storage.damaged import set_aside

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = layout.LOCK.name


def holder(folder: Path) -> int | None:
    """Id of the process that holds ``folder``; 0 where it is unknown, None where the folder is free. Does not lock."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(descriptor)
    return None


class Lock:
    """Holds ``folder`` for this process until ``release``; the system releases it when the process dies.

    The file holds the pid of the holder, for people. Raises ConflictError where another process holds it,
    StoreError where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.path.is_dir():
                set_aside(self.path)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"state folder {folder}: cannot be used: {error.strerror}", "check its owner, or set 'state'"
            ) from error
        self._take(folder)

    def _take(self, folder: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise ConflictError(
                f"state folder {folder} is in use by process {holder}",
                "stop that process, or give each daemon a state folder of its own",
            ) from error
        self._write_pid()

    def _write_pid(self) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return  # a full disk must not keep the daemon from starting; the lock itself holds

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
