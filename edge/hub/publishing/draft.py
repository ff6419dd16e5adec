"""Draft of the next release: stored in ``draft.json``, changed by ``edge hub add`` and ``forget``."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.core.errors import InputError, StoreError
from edge.core.storage import files
from edge.releases.manifest import Release, ShippedCollection, parse, to_bytes

FILE, LOCK = "draft.json", "draft.lock"


@dataclass(slots=True)
class Draft:
    """The next release without its id, and the age of each tombstone."""

    release: Release
    since: dict[str, float] = field(default_factory=dict)
    """FaceId of a tombstone -> seconds since the epoch"""

    def collection(self, name: str) -> ShippedCollection | None:
        return next((one for one in self.release.collections if one.name == name), None)

    def put(self, collection: ShippedCollection) -> None:
        """Add or replace a collection."""
        others = tuple(one for one in self.release.collections if one.name != collection.name)
        self.release = replace(self.release, collections=(*others, collection))

    def take_over(self, published: Draft) -> None:
        """Adopt the collections as published from an earlier state of this draft; keep erasures made since."""
        for one in published.release.collections:
            there = self.collection(one.name)
            self.put(replace(one, forgotten=there.forgotten) if there else one)
        self.since = published.since
        self.release = replace(self.release, minimum=published.release.minimum)

    def use(self, collection: str, label: str) -> None:
        """Use ``collection`` to identify detections of ``label``."""
        self.release = replace(self.release, labels={**self.release.labels, label: collection})


def read(folder: Path) -> Draft:
    """The draft of a hub; empty where there is no file. Raises InputError for a damaged file."""
    path = folder / FILE
    if not path.exists():
        return Draft(Release("draft", 0.0))
    try:
        return parsed(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged: {error}", "restore it from a backup") from error


@contextmanager
def changing(folder: Path) -> Iterator[Draft]:
    """Lock the draft, yield it, and write it at the end; another process (an erasure of ``edge hub ingest``) waits.

    Raises InputError, StoreError.
    """
    try:
        files.make_folder(folder)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}", "check its owner and the disk") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        draft = read(folder)
        yield draft
        write(folder, draft)
    finally:
        os.close(descriptor)


def write(folder: Path, draft: Draft) -> None:
    """Write the draft atomically. Raises StoreError."""
    try:
        files.write_bytes(folder / FILE, json.dumps(document(draft), indent=1).encode())
    except OSError as error:
        raise StoreError(
            f"{folder / FILE}: cannot be written: {error.strerror}", "check its owner and the disk"
        ) from error


def document(draft: Draft) -> dict[str, Any]:
    """The draft as JSON."""
    return {"release": json.loads(to_bytes(draft.release)), "since": draft.since}


def parsed(stored: Mapping[str, Any]) -> Draft:
    """The draft of ``document``. Raises KeyError, TypeError, ReleaseError."""
    return Draft(parse(Release, json.dumps(stored["release"]).encode()), dict(stored["since"]))


def next_id(published: list[str], now: float | None = None) -> str:
    """Next release id: UTC day and number, ``2026-11-22.1``. ``now``: seconds since the epoch."""
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    numbers = [int(name.rpartition(".")[2]) for name in published if name.startswith(f"{day}.")]
    return f"{day}.{max(numbers, default=0) + 1}"
