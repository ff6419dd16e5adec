"""S3 buckets as folders: every file that a request or a manifest names is found here, below one root, or not at all.

A key is walked step by step, and no symbolic link is followed: what lies outside is the same as what is not there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from edge.core.errors import ConflictError, InputError, NotFoundError

log = logging.getLogger(__name__)

ATTRIBUTE = "user.edge.object"
"""extended attribute of a file"""
ANY = "*"
"""the bucket whose folder holds those that have none of their own"""
PARTIAL = ".edge-partial-"
"""prefix of files that are being written"""
LONGEST_KEY = 1024

_BUCKET = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{2,254}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LINKLESS = _FOLDER | os.O_NOFOLLOW


@dataclass(frozen=True)
class ObjectMetadata:
    """Metadata of an object from its writer, in an extended attribute of its file; other files have none."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """``content-type`` and the like, by lower-case name"""
    own: Mapping[str, str] = field(default_factory=dict)
    """the writer's own names"""

    def stored(self, file: BinaryIO) -> None:
        """Store it with an open file; ignored by a file system without extended attributes."""
        if not self.headers and not self.own:
            return
        text = json.dumps({"headers": dict(self.headers), "own": dict(self.own)})
        try:
            os.setxattr(file.fileno(), ATTRIBUTE, text.encode())
        except OSError as error:
            log.warning("metadata of an object is not kept: %s", error.strerror)


@dataclass(frozen=True)
class StoredObject:
    """A file of a bucket."""

    key: str
    size: int
    """bytes"""
    modified: float
    """seconds since the epoch"""
    metadata: ObjectMetadata = ObjectMetadata()
    """empty in listings"""

    @property
    def etag(self) -> str:
        """Changes with the file; a dash in it marks that it is not an MD5."""
        text = f"{self.size} {self.modified!r}"
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}-1"'


class Buckets:
    """The buckets of a device. ``folders``: by name, and under ``*`` the folder for all other names.

    Raises NotFoundError for a bucket or a key that is not there, or outside.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {name: path for name, path in folders.items() if name != ANY}
        self._root = folders.get(ANY)

    def names(self) -> list[str]:
        found = set(self._folders)
        if self._root is not None and self._root.is_dir():
            found |= {one.name for one in os.scandir(self._root) if _is_folder(one) and _BUCKET.fullmatch(one.name)}
        return sorted(found)

    def has(self, bucket: str) -> bool:
        try:
            os.close(self._opened(bucket))
        except NotFoundError:
            return False
        return True

    def create(self, bucket: str) -> None:
        """Raises ConflictError where it is there, InputError for a name that none can have."""
        if bucket in self._folders or self.has(bucket):
            raise ConflictError(f"bucket {bucket!r} is there already", "choose another name")
        if not _BUCKET.fullmatch(bucket):
            raise InputError(f"bucket {bucket[:64]!r} is not a name", "use letters, digits, dots and dashes")
        if self._root is None:
            hint = 'set api.buckets."*" to a folder'
            raise InputError("no folder is configured for new buckets", hint, code="no_root")
        self._root.mkdir(parents=True, exist_ok=True)
        (self._root / bucket).mkdir(mode=0o755)

    def delete(self, bucket: str) -> None:
        """An empty bucket. Raises ConflictError where it holds anything, or is named in the settings."""
        if bucket in self._folders or self._root is None:
            raise ConflictError(f"bucket {bucket!r} is named in the settings", "take it out of api.buckets")
        os.close(self._opened(bucket))
        try:
            (self._root / bucket).rmdir()
        except OSError as error:
            raise ConflictError(f"bucket {bucket!r} is not empty", "delete its objects first") from error

    def open(self, bucket: str, key: str) -> BinaryIO:
        """A regular file, for reading."""
        with self._folder_of(bucket, key) as (folder, name):
            # O_NONBLOCK: opening a named pipe must not wait for its writer
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _absent(bucket, key)
        return os.fdopen(descriptor, "rb")

    def path(self, bucket: str, key: str) -> Path:
        """Of a regular file, for what takes no open one."""
        self.open(bucket, key).close()
        return self.place(bucket) / key

    def about(self, bucket: str, key: str) -> StoredObject:
        with self.open(bucket, key) as file:
            return replace(_object(key, os.fstat(file.fileno())), metadata=_metadata(file))

    def make_folder(self, bucket: str, key: str) -> None:
        """A folder without a file: what programs make by an empty object ``folder/``. Raises OSError."""
        with self._folder_of(bucket, f"{key}_", make=True):
            pass

    @contextmanager
    def writing(self, bucket: str, key: str, metadata: ObjectMetadata | None = None) -> Iterator[BinaryIO]:
        """A new file that takes the key's place when the block ends well, whole or not at all. Raises OSError."""
        with self._folder_of(bucket, key, make=True) as (folder, name):
            partial = PARTIAL + secrets.token_hex(8)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(partial, flags, 0o644, dir_fd=folder), "wb") as file:
                    (metadata or ObjectMetadata()).stored(file)
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(partial, dir_fd=folder)
                raise

    def remove(self, bucket: str, key: str) -> None:
        """Delete an object, and the folders that it leaves empty. One that is not there is no error."""
        with suppress(NotFoundError), self._folder_of(bucket, key) as (folder, name):
            os.unlink(name, dir_fd=folder)
        parts = key.split("/")[:-1]
        with suppress(OSError, NotFoundError):
            while parts:
                with self._folder_of(bucket, "/".join(parts)) as (folder, name):
                    os.rmdir(name, dir_fd=folder)
                parts.pop()

    def listed(self, bucket: str, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        """Objects whose key begins with ``prefix`` and comes after ``after``, by key."""
        descriptor = self._opened(bucket)
        try:
            yield from _walked(descriptor, "", prefix, after)
        finally:
            os.close(descriptor)

    def place(self, bucket: str) -> Path:
        """The folder of a bucket."""
        if bucket in self._folders:
            return self._folders[bucket]
        if self._root is None or not _BUCKET.fullmatch(bucket):
            raise NotFoundError(f"bucket {bucket[:64]!r} stands for no folder", "name it in [api.buckets]")
        return self._root / bucket

    def _opened(self, bucket: str) -> int:
        place = self.place(bucket)
        try:
            return os.open(place, _FOLDER if bucket in self._folders else _LINKLESS)
        except OSError as error:
            raise NotFoundError(f"bucket {bucket[:64]!r} stands for no folder", "name it in [api.buckets]") from error

    @contextmanager
    def _folder_of(self, bucket: str, key: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder of a key, and the file's name in it."""
        if not is_key(key):
            raise _absent(bucket, key)
        parts = key.split("/")
        folder = self._opened(bucket)
        try:
            for part in parts[:-1]:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=folder)
                below = os.open(part, _LINKLESS, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder, parts[-1]
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnicodeEncodeError) as error:
            raise _absent(bucket, key) from error
        except OSError as error:
            if error.errno in _OUTSIDE:
                raise _absent(bucket, key) from error
            raise
        finally:
            os.close(folder)


def is_key(key: str) -> bool:
    """Whether a file below a folder can have this name."""
    parts = key.split("/")
    return "\0" not in key and not any(part in ("", ".", "..") or part.startswith(PARTIAL) for part in parts)


_OUTSIDE = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR}
"""errors of a path that leads outside, or to no file"""


def _walked(folder: int, base: str, prefix: str, after: str) -> Iterator[StoredObject]:
    with os.scandir(folder) as entries:
        found = sorted(
            (f"{base}{one.name}/" if _is_folder(one) else base + one.name, _is_folder(one))
            for one in entries
            if not one.is_symlink() and not one.name.startswith(PARTIAL) and _is_text(one.name)
        )
    for key, is_folder in found:
        if is_folder:
            if (key.startswith(prefix) or prefix.startswith(key)) and (key > after or after.startswith(key)):
                with suppress(OSError):
                    below = os.open(key[len(base) : -1], _LINKLESS, dir_fd=folder)
                    try:
                        yield from _walked(below, key, prefix, after)
                    finally:
                        os.close(below)
        elif key.startswith(prefix) and key > after:
            with suppress(OSError):
                about = os.stat(key[len(base) :], dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(about.st_mode):
                    yield _object(key, about)


def _object(key: str, about: os.stat_result) -> StoredObject:
    return StoredObject(key, about.st_size, about.st_mtime)


def _metadata(file: BinaryIO) -> ObjectMetadata:
    try:
        found = json.loads(os.getxattr(file.fileno(), ATTRIBUTE))
        return ObjectMetadata(dict(found["headers"]), dict(found["own"]))
    except (OSError, ValueError, KeyError, TypeError):
        return ObjectMetadata()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _is_text(name: str) -> bool:
    return name.isprintable()


def _absent(bucket: str, key: str) -> NotFoundError:
    return NotFoundError(f"there is no {key[:200]!r} in bucket {bucket[:64]!r}", "check bucket and key")
