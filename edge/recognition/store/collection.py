"""A collection: search = index + exact rows newer than it - what was removed.

A search uses one immutable ``Snapshot``, replaced atomically. SQLite is queried for newer changes
when its ``data_version`` has changed, by this process or another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import ConflictError, InputError
from edge.core.storage.sqlite import Connection
from edge.core.types import Face, Match, Space
from edge.recognition.store import collection_row as own_row
from edge.recognition.store import face_rows as stored
from edge.recognition.store import snapshot as views
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.index_manager import IndexManager, IndexState
from edge.recognition.store.store import CollectionStore
from edge.recognition.store.users import Users
from edge.recognition.store.vectors import checked

if TYPE_CHECKING:
    from edge.core.settings.vision import CollectionSettings
    from edge.core.types import FloatArray


class Collection:
    """Faces of one embedding space, by subject. Created by ``Collections``; thread-safe."""

    def __init__(
        self, name: str, store: CollectionStore, folder: Path, settings: CollectionSettings, maintain: bool = True
    ) -> None:
        self.name = name
        self._store = store
        self._lock = threading.RLock()
        self._view: views.Snapshot | None = None
        self._version = -1
        self._upkeep = IndexManager(name, store, folder, settings, self._current, self._replace_view, maintain)
        self._upkeep.warm()

    @property
    def number(self) -> int:
        """Number in the store; changes if the collection is deleted and created again. Raises NotFoundError."""
        number = self._current().collection
        if number is None:
            raise own_row.missing(self.name)
        return number

    @property
    def space(self) -> str | None:
        """Fingerprint of the embedding space; None before the first face."""
        return self._current().space

    @property
    def count(self) -> int:
        """Number of searchable faces."""
        return self._current().count

    @property
    def state(self) -> IndexState:
        """How it is currently searched, and problems of its index."""
        return self._upkeep.state(self._current())

    def search(self, vectors: FloatArray, limit: int = 5, space: Space | None = None) -> list[list[Match]]:
        """The ``limit`` faces most similar to each of (k, D) float32 unit vectors, best first.

        Raises InputError for vectors that are not unit vectors of this collection's dimensions, SpaceError where
        ``space`` is given and is not the collection's.
        """
        found = self.neighbors(vectors, limit, space)
        return [[Match(face_id, subject, cosine) for cosine, face_id, subject in row] for row in found]

    def snapshot(self) -> views.Snapshot:
        """The state of now, for several calls that belong together."""
        return self._current()

    def neighbors(
        self, vectors: FloatArray, limit: int = 5, space: Space | None = None, snapshot: views.Snapshot | None = None
    ) -> list[list[views.Neighbor]]:
        """As ``search``, without a ``Match`` per face. ``snapshot``: None: the current one."""
        view = snapshot or self._current()
        if space is not None:
            views.check_space(self.name, view, space)
        queries = checked(vectors, view.dimensions if view.count else None)
        if limit < 1:
            raise InputError(f"limit: expected 1 or more, got {limit}", "ask for at least one face", code="limit")
        if not view.count:
            return [[] for _ in queries]
        return views.search(view, queries, limit, self._names)

    @property
    def revision(self) -> tuple[int | None, int, int]:
        """Value that changes with every change of its faces, by any process."""
        return self._current().revision

    def subject_count(self) -> int:
        """Number of subjects; a face without a subject counts as one."""
        sql = (
            "SELECT count(DISTINCT subject) + coalesce(sum(subject IS NULL), 0) FROM faces "
            "WHERE collection = (SELECT id FROM collections WHERE name = ?)"
        )
        with self._store.reading() as db:
            return int(db.execute(sql, (self.name,)).fetchone()[0])

    def newest(
        self, subjects: Iterable[str], most: int, snapshot: views.Snapshot | None = None
    ) -> dict[str, tuple[list[str], FloatArray]]:
        """FaceIds and (m, D) embeddings of the ``most`` newest faces of each of these subjects."""
        view = snapshot or self._current()
        if view.base is None:
            return views.of_subjects_in_tail(view, subjects, most)
        with self._store.reading() as db:
            return views.of_subjects(db, view, subjects, most)

    def check_space(self, space: Space) -> None:
        """Raises SpaceError if embeddings of ``space`` cannot be compared with the collection's."""
        views.check_space(self.name, self._current(), space)

    def add(self, new: Sequence[NewFace], space: Space) -> list[Face]:
        """Store faces; they are on disk and searchable when this returns.

        The same face of the same picture is stored once: the existing face is returned.
        Raises InputError for an embedding that is not a unit vector of ``space``, SpaceError, StoreError.
        """
        if not new:
            return []
        for face in new:
            stored.check(face)
        vectors = checked([face.vector for face in new], space.dimensions)
        made = [stored.from_new(self.name, space.fingerprint, face) for face in new]
        return self.merge(list(zip(made, vectors, strict=True)), space.fingerprint, space.dimensions)

    def merge(self, faces: Sequence[tuple[Face, FloatArray]], space: str, dimensions: int) -> list[Face]:
        """As ``add``, for faces that already have a FaceId (import, release), in the given order."""
        with self._store.writing() as db:
            number = own_row.claim(db, self.name, space, dimensions)
            stored.insert(db, number, space, faces)
            there = stored.select_ids(db, self.name, number, (face.face_id for face, _ in faces))
        self._current()
        return [there[face.face_id] for face, _ in faces]

    def rename_subject(self, old: str, new: str) -> int:
        """Rename a subject; with the name of another subject the two are merged.

        Returns the number of faces. Raises ConflictError for faces of a release: their names would be restored by the
        next release.
        """
        faces = self.faces(limit=-1, subject=old)
        if any(face.origin == "hub" for face in faces):
            raise ConflictError(f"{old} came with a release", "rename the subject at the hub, and publish")
        if not faces or old == new or self.space is None:
            return 0
        vectors = self.vectors([face.face_id for face in faces])
        renamed = [replace(face, subject=new) for face in faces]
        with self._store.writing() as db:
            number = self._number(db)
            for where, parameters in stored.among(number, [face.face_id for face in faces]):
                stored.delete(db, where, parameters)
            stored.insert(db, number, self.space, zip(renamed, vectors, strict=True))
        self._current()
        return len(faces)

    def delete_faces(self, face_ids: Iterable[str]) -> list[str]:
        """Delete faces permanently. Returns the FaceIds of the deleted faces."""
        with self._store.writing() as db:
            parts = stored.among(self._number(db), dict.fromkeys(face_ids))
            deleted = [face_id for where, parameters in parts for face_id in stored.delete(db, where, parameters)]
        self._current()
        return deleted

    def delete_subject(self, name: str) -> list[str]:
        """Delete all faces of a subject permanently. Returns their FaceIds."""
        with self._store.writing() as db:
            of_subject, forms = stored.named(db.vault, name)
            deleted = stored.delete(db, f"collection = ? AND {of_subject}", (self._number(db), *forms))
        self._current()
        return deleted

    def faces(self, after: str = "", limit: int = 100, subject: str | None = None) -> list[Face]:
        """Faces in the order of enrollment, after the FaceId ``after`` (which may have been deleted)."""
        with self._store.reading() as db:
            number = self._number(db)
            where = "collection = ? AND row > ?"
            parameters: list[object] = [number, stored.row_of(db, self.name, number, after)]
            if subject is not None:
                of_subject, forms = stored.named(db.vault, subject)
                where += f" AND {of_subject}"
                parameters += forms
            found = stored.select(db, self.name, where, parameters, limit)
        return [face for _, face in found]

    def face(self, face_id: str) -> Face:
        """The face with this FaceId. Raises NotFoundError."""
        found = self.known([face_id])
        if face_id not in found:
            raise stored.missing(self.name, face_id)
        return found[face_id]

    def known(self, face_ids: Iterable[str]) -> dict[str, Face]:
        """FaceId -> face of the existing FaceIds."""
        with self._store.reading() as db:
            return stored.select_ids(db, self.name, self._number(db), face_ids)

    def vectors(self, face_ids: Sequence[str]) -> FloatArray:
        """(k, D) float32 unit embeddings, in the order of ``face_ids``. Raises NotFoundError."""
        with self._store.reading() as db:
            found = stored.vectors(db, self._number(db), face_ids)
        for face_id in face_ids:
            if face_id not in found:
                raise stored.missing(self.name, face_id)
        dimensions = self._current().dimensions
        return np.stack([found[face_id] for face_id in face_ids]) if face_ids else np.zeros((0, dimensions), np.float32)

    def known_vectors(self, face_ids: Iterable[str]) -> dict[str, FloatArray]:
        """FaceId -> (D,) float32 unit embedding of the existing FaceIds."""
        with self._store.reading() as db:
            row = own_row.find(db, self.name)
            return {} if row is None else stored.vectors(db, row.number, face_ids)

    def everything(self) -> views.FullSnapshot:
        """All faces with their embeddings, in one transaction."""
        with self._store.reading() as db:
            row = own_row.get(db, self.name)
            return views.everything(db, row.number, row.dimensions or 1)

    def subjects(self) -> dict[str, int]:
        """Subject -> number of faces, sorted by name."""
        sql = "SELECT subject, count(*) FROM faces WHERE collection = ? AND subject IS NOT NULL GROUP BY subject"
        with self._store.reading() as db:
            rows = db.execute(sql, (self._number(db),)).fetchall()
            return dict(sorted((db.vault.named(name) or "", count) for name, count in rows))

    def users(self) -> Users:
        """The users of the collection."""
        return Users(self._store, self.name, self.number)

    def created(self) -> float:
        """Creation time, seconds since the epoch."""
        with self._store.reading() as db:
            return own_row.get(db, self.name).created

    def rebuild(self) -> None:
        """Build and use the index now, if the settings require one. Raises StoreError."""
        self._upkeep.rebuild()

    def upkeep(self) -> bool:
        """Build the index in this thread if it is due. Returns whether it was."""
        due = self._upkeep.due(self._current())
        if due:
            self._upkeep.rebuild()
        return due

    def keep_warm(self) -> None:
        """Keep the data of searches in memory, if it was opened before; may wait for the disk."""
        view = self._view
        if view is not None:
            self._upkeep.keep_warm(view)

    def close(self) -> None:
        self._upkeep.close()

    def _current(self) -> views.Snapshot:
        version = self._store.version()
        view = self._view
        if view is not None and version == self._version:
            return view
        with self._lock:
            try:
                self._view = view = self._next_view(self._view)
                self._version = version
            except BaseException:
                self._view = None
                raise
        self._upkeep.look(view)
        return view

    def _next_view(self, view: views.Snapshot | None) -> views.Snapshot:
        with self._store.reading() as db:
            row = own_row.find(db, self.name)
            if row is None:
                return views.empty(None, None, 0)
            number, space, dimensions = row.number, row.space, row.dimensions
            if view is None or (view.collection, view.space, view.dimensions) != (number, space, dimensions):
                view = self._upkeep.open(db, number, space, dimensions)
            return views.catch_up(view, db)

    def _replace_view(self, view: views.Snapshot) -> None:
        """Replace the snapshot with one that was built concurrently, after catching up with later commits."""
        with self._lock:
            with self._store.reading() as db:
                view = views.catch_up(view, db)
            self._view = view
            # the collection may have been deleted concurrently: the next search raises
            self._version = -1

    def _names(self, rows: list[int]) -> dict[int, tuple[str, str | None]]:
        with self._store.reading() as db:
            return views.names(db, rows)

    def _number(self, db: Connection) -> int:
        return own_row.get(db, self.name).number
