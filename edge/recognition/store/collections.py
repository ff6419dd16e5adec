"""The collections of one state folder."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, InputError, NotFoundError
from edge.core.storage import layout
from edge.core.suggestions import did_you_mean
from edge.recognition.store import annoy_index as indexes
from edge.recognition.store import collection_row as own_row
from edge.recognition.store import face_rows
from edge.recognition.store.collection import Collection
from edge.recognition.store.store import CollectionStore

if TYPE_CHECKING:
    from typing_extensions import Self

    from edge.core.settings.vision import CollectionSettings

INDEXES = layout.INDEXES.name
COMPOSED = "subjects_composed"
"""key of ``meta``: every stored name is in Unicode NFC

Unlike a migration, it keeps the file readable for the previous version."""

log = logging.getLogger(__name__)


class Collections:
    """Opens the store of a state folder, creates and finds collections. Close it, or use it in a ``with`` statement.

    ``maintain``: build indexes and checkpoint the WAL in the background; False for short-lived commands.
    Raises StoreError if the store cannot be used.
    """

    def __init__(self, folder: Path, settings: CollectionSettings, maintain: bool = True) -> None:
        self.store = CollectionStore(folder, aside=maintain)
        self._indexes = folder / INDEXES
        self._settings = settings
        self._maintain = maintain
        self._lock = threading.Lock()
        self._open: dict[str, Collection] = {}
        if not self.store.read_only:
            self._compose_subjects()

    def create(self, name: str) -> Collection:
        """Create an empty collection. Raises InputError for an invalid name, ConflictError for an existing one."""
        from edge.core.settings.base import (
            NAME,  # here, as the process that builds an index imports no typed settings
        )

        if not re.fullmatch(NAME, name):
            shown = name if len(name) <= 40 else f"{name[:40]}... ({len(name)} characters)"
            raise InputError(
                f"collection: expected 1 to 255 letters, digits, '_', '.' or '-', got {shown!r}",
                "give the collection another name",
                code="collection",
            )
        with self.store.writing() as db:
            try:
                db.execute("INSERT INTO collections (name, created) VALUES (?, ?)", (name, time.time()))
            except sqlite3.IntegrityError as error:
                raise ConflictError(f"collection {name!r} exists already", "choose another name") from error
        return self.get(name)

    def get(self, name: str) -> Collection:
        """The collection of this name. Raises NotFoundError."""
        if name not in self:
            words = f"collection {name!r} does not exist{did_you_mean(name, self.names())}"
            raise NotFoundError(words, f"edge collection create {name}, or edge collection list")
        with self._lock:
            if name not in self._open:
                self._open[name] = Collection(name, self.store, self._indexes, self._settings, self._maintain)
            return self._open[name]

    def get_or_create(self, name: str) -> Collection:
        """The collection of this name, created if it does not exist."""
        try:
            return self.get(name)
        except NotFoundError:
            return self.create(name)

    def names(self) -> list[str]:
        """Names of all collections, sorted."""
        with self.store.reading() as db:
            return [row[0] for row in db.execute("SELECT name FROM collections ORDER BY name")]

    def rename(self, moves: Sequence[tuple[str, str]]) -> None:
        """Rename collections, in this order, in one transaction. A ``Collection`` object keeps its name."""
        with self.store.writing() as db:
            for old, new in moves:
                db.execute("UPDATE collections SET name = ? WHERE name = ?", (new, old))

    def delete(self, name: str) -> None:
        """Delete a collection with its faces and users permanently. Raises NotFoundError."""
        with self.store.writing() as db:
            number = own_row.get(db, name).number
            db.execute("DELETE FROM collections WHERE id = ?", (number,))
        indexes.remove(self._indexes, number)

    def warm(self) -> None:
        """Keep the data of searches in memory. May wait for the disk."""
        with self._lock:
            opened = list(self._open.values())
        for collection in opened:
            collection.keep_warm()

    def close(self) -> None:
        with self._lock:
            for collection in self._open.values():
                collection.close()
            self._open.clear()
        self.store.close()

    def _compose_subjects(self) -> None:
        """Once per file: older versions stored names without normalization (macOS decomposes them)."""
        with self.store.reading() as db:
            if db.execute("SELECT 1 FROM meta WHERE key = ?", (COMPOSED,)).fetchone() is not None:
                return
        with self.store.writing() as db:
            if renamed := face_rows.compose_subjects(db):
                log.info("subject names of %d faces were normalized to Unicode NFC", renamed)
            db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?, '1')", (COMPOSED,))

    def __contains__(self, name: str) -> bool:
        with self.store.reading() as db:
            return db.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
