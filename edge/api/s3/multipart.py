"""Multipart uploads, as SDKs send files of 8 MiB and more: each part is a file; completing joins them.

Parts are stored in one folder per upload in the state folder. Uploads not completed within a day are deleted.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge.api.s3.errors import StorageError
from edge.core.storage import files
from edge.core.storage.buckets import Buckets, ObjectMetadata
from edge.core.storage.layout import UPLOADS, StateLayout

MOST_UPLOADS = 16
MOST_PARTS = 10_000
KEPT = 86400.0
"""seconds for which an incomplete upload is kept"""
BLOCK = 1 << 20

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Upload:
    """An upload in progress."""

    folder: Path
    bucket: str
    key: str
    metadata: ObjectMetadata


@dataclass(frozen=True)
class Part:
    """A received part."""

    number: int
    size: int
    """bytes"""
    modified: float
    """seconds since the epoch"""
    etag: str


class Uploads:
    """The uploads of a state folder. Raises StorageError, OSError."""

    def __init__(self, state: Path, buckets: Buckets) -> None:
        self._folder, self._buckets = StateLayout(state).path(UPLOADS), buckets

    def begin(self, bucket: str, key: str, metadata: ObjectMetadata) -> str:
        """Start an upload; returns its id."""
        self._expire()
        if len(self._all()) >= MOST_UPLOADS:
            raise StorageError("SlowDown", f"At most {MOST_UPLOADS} uploads can be in progress at a time.")
        number = secrets.token_hex(16)
        folder = self._folder / number
        files.make_folder(folder)
        files.write_bytes(
            folder / "upload.json", json.dumps([bucket, key, dict(metadata.headers), dict(metadata.own)]).encode()
        )
        return number

    def find(self, number: str, bucket: str, key: str) -> Upload:
        """The upload with this id for this object. Raises StorageError."""
        folder = self._folder / number
        try:
            known = json.loads((folder / "upload.json").read_text()) if _ID.fullmatch(number) else []
        except (OSError, ValueError):
            known = []
        if known[:2] != [bucket, key]:
            raise StorageError("NoSuchUpload", "The specified upload does not exist.")
        return Upload(folder, bucket, key, ObjectMetadata(*known[2:4]))

    def part(self, upload: Upload, number: str) -> BinaryIO:
        """Open a new file for a part, which counts once ``keep`` was called."""
        return (upload.folder / f".{_part(number)}").open("wb")

    def keep(self, upload: Upload, number: str) -> str:
        """Register a completely received part. Returns its ETag."""
        name = _part(number)
        (upload.folder / f".{name}").replace(upload.folder / name)
        return _etag(upload, name)

    def parts(self, upload: Upload) -> list[Part]:
        """Completely received parts, in order."""
        found = []
        for path in upload.folder.glob("part-*"):
            about = path.stat()
            number = int(path.name.removeprefix("part-"))
            found.append(Part(number, about.st_size, about.st_mtime, _etag(upload, path.name)))
        return sorted(found, key=lambda one: one.number)

    def of(self, bucket: str) -> list[tuple[str, str, float]]:
        """(id, key, seconds since the epoch) of the uploads to a bucket, by key."""
        found = []
        for folder in self._all():
            with suppress(OSError, ValueError):
                known = json.loads((folder / "upload.json").read_text())
                if known[0] == bucket:
                    found.append((folder.name, known[1], (folder / "upload.json").stat().st_mtime))
        return sorted(found, key=lambda one: (one[1], one[2]))

    def complete(self, upload: Upload, parts: Sequence[str]) -> None:
        """Join the parts in this order into the object. Raises StorageError."""
        paths = [upload.folder / _part(number) for number in parts]
        if not paths or not all(path.is_file() for path in paths):
            raise StorageError("InvalidPart", "One or more of the specified parts could not be found.")
        with self._buckets.writing(upload.bucket, upload.key, upload.metadata) as target:
            for path in paths:
                with path.open("rb") as source:
                    shutil.copyfileobj(source, target, BLOCK)
        self.abort(upload)

    def abort(self, upload: Upload) -> None:
        shutil.rmtree(upload.folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if _ID.fullmatch(path.name)] if self._folder.is_dir() else []

    def _expire(self) -> None:
        for folder in self._all():
            if abs(time.time() - folder.stat().st_mtime) > KEPT:
                shutil.rmtree(folder, ignore_errors=True)


def _etag(upload: Upload, name: str) -> str:
    return f'"{upload.folder.name}-{name}"'


def _part(number: str) -> str:
    if number.isascii() and number.isdigit() and len(number) < 6 and 1 <= int(number) <= MOST_PARTS:
        return f"part-{int(number)}"
    raise StorageError("InvalidArgument", f"Part numbers are 1 to {MOST_PARTS}.")
