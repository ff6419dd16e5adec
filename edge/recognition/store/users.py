"""Users of a collection: a named person whose faces are searched as one mean vector.

A user's vector is the weighted mean of its faces' embeddings, scaled to length 1; the weight of a face is its
similarity to the others, which limits the effect of outliers. It is not stored: a revision counts the changes of
a user's faces, by any process, and only changed users are computed again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge.core.errors import ConflictError, NotFoundError
from edge.core.storage.sqlite import Connection
from edge.core.types import Face
from edge.inference.scoring import UNNORMALIZED, FaceScorer
from edge.recognition.store import face_rows as rows_of
from edge.recognition.store.centroid import robust_centroid
from edge.recognition.store.store import CollectionStore
from edge.recognition.store.vectors import best, checked

if TYPE_CHECKING:
    from edge.core.types import FloatArray


Status = Literal["CREATED", "ACTIVE"]
Reason = Literal["FACE_NOT_FOUND", "ASSOCIATED_TO_A_DIFFERENT_USER", "LOW_MATCH_CONFIDENCE", "FULL"]


@dataclass(frozen=True, slots=True)
class User:
    """A named person of a collection."""

    row: int
    """ascending in the order of creation"""
    user_id: str
    faces: int

    @property
    def status(self) -> Status:
        return "ACTIVE" if self.faces else "CREATED"


@dataclass(frozen=True, slots=True)
class UserMatch:
    """A user with its likeness to a query."""

    user_id: str
    likeness: float
    """0..100"""


@dataclass(frozen=True, slots=True)
class UserRefusal:
    """A face that was not associated with a user, or not disassociated."""

    face_id: str
    reason: Reason
    user_id: str | None = None
    """user that has the face"""
    likeness: float | None = None
    """likeness 0..100 to the user's vector, if that was the reason"""


@dataclass(frozen=True, slots=True)
class UserChange:
    """Result of one call. A face that already was in the requested state is in neither list."""

    done: tuple[str, ...]
    refused: tuple[UserRefusal, ...]
    user: User


MOST_FACES = 100
"""maximum faces of one user"""


@dataclass(frozen=True)
class _View:
    """The vectors of all users with faces, at one version of the store."""

    version: int
    names: tuple[str, ...]
    vectors: FloatArray


class Users:
    """The users of the collection ``name``, whose number in the store is ``number``. Thread-safe."""

    def __init__(self, store: CollectionStore, name: str, number: int) -> None:
        self.number = number
        self._store = store
        self._name = name
        self._lock = threading.Lock()
        self._view: _View | None = None
        self._known: dict[int, tuple[int, FloatArray | None]] = {}

    def create(self, user_id: str) -> None:
        """Create a user. Raises ConflictError if the name exists."""
        with self._store.writing() as db:
            self._must_exist(db)
            values = (self.number, db.vault.name(user_id), time.time())
            sql = "INSERT INTO users (collection, user_id, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            if db.execute(sql, values).rowcount == 0:
                raise ConflictError(f"collection {self._name!r} has a user {user_id!r} already", "choose another name")

    def delete(self, user_id: str) -> None:
        """Delete a user; its faces are disassociated and kept. Raises NotFoundError."""
        with self._store.writing() as db:
            db.execute("DELETE FROM users WHERE id = ?", (self._get(db, user_id).row,))

    def get(self, user_id: str) -> User:
        """Raises NotFoundError."""
        with self._store.reading() as db:
            return self._get(db, user_id)

    def page(self, after: int = 0, limit: int = 500) -> list[User]:
        """Users in the order of creation, after row ``after``."""
        with self._store.reading() as db:
            return self._select(db, "u.id > ? ORDER BY u.id LIMIT ?", (after, limit))

    def count(self) -> int:
        with self._store.reading() as db:
            return int(db.execute("SELECT count(*) FROM users WHERE collection = ?", (self.number,)).fetchone()[0])

    def owners(self, face_ids: Iterable[str]) -> dict[str, str]:
        """FaceId -> user of associated faces; other faces are omitted."""
        with self._store.reading() as db:
            return {face_id: user_id for _, face_id, _, user_id in self._ties(db, face_ids) if user_id}

    def associate(
        self, user_id: str, face_ids: Sequence[str], lowest: float = 0.0, scorer: FaceScorer = UNNORMALIZED
    ) -> UserChange:
        """Associate faces with a user. ``lowest``: minimum likeness 0..100 to the user's vector, once it has faces.

        Raises NotFoundError.
        """
        with self._store.writing() as db:
            user = self._get(db, user_id)
            mean = self._mean(db, user.row)
            found = {face_id: (row, vector, owner) for row, face_id, vector, owner in self._ties(db, face_ids)}
            done: list[str] = []
            refused: list[UserRefusal] = []
            for face_id in dict.fromkeys(face_ids):
                row, vector, owner = found.get(face_id, (0, b"", None))
                if owner == user_id:
                    continue
                refusal = _refusal(face_id, row, owner) or _unlike(face_id, vector, mean, lowest, scorer)
                if refusal is None and user.faces + len(done) >= MOST_FACES:
                    refusal = UserRefusal(face_id, "FULL")
                if refusal is None:
                    db.execute("INSERT INTO user_faces (face, user) VALUES (?, ?)", (row, user.row))
                    done.append(face_id)
                else:
                    refused.append(refusal)
            return UserChange(tuple(done), tuple(refused), self._get(db, user_id))

    def disassociate(self, user_id: str, face_ids: Sequence[str]) -> UserChange:
        """Disassociate faces from a user. Raises NotFoundError."""
        with self._store.writing() as db:
            self._get(db, user_id)
            found = {face_id: (row, owner) for row, face_id, _, owner in self._ties(db, face_ids)}
            done: list[str] = []
            refused: list[UserRefusal] = []
            for face_id in dict.fromkeys(face_ids):
                row, owner = found.get(face_id, (0, None))
                if row == 0:
                    refused.append(UserRefusal(face_id, "FACE_NOT_FOUND"))
                elif owner == user_id:
                    db.execute("DELETE FROM user_faces WHERE face = ?", (row,))
                    done.append(face_id)
                elif owner is not None:
                    refused.append(UserRefusal(face_id, "ASSOCIATED_TO_A_DIFFERENT_USER", owner))
            return UserChange(tuple(done), tuple(refused), self._get(db, user_id))

    def delete_untied(self, face_ids: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Delete faces without a user. Returns their FaceIds, and FaceId -> user of the remaining ones."""
        with self._store.writing() as db:
            found = list(self._ties(db, face_ids))
            db.executemany("DELETE FROM faces WHERE row = ?", [(row,) for row, _, _, owner in found if owner is None])
        gone = {face_id for _, face_id, _, owner in found if owner is None}
        owners = {face_id: owner for _, face_id, _, owner in found if owner}
        return [face_id for face_id in dict.fromkeys(face_ids) if face_id in gone], owners

    def faces(
        self, after: int = 0, limit: int = 1000, user_id: str | None = None, face_ids: Sequence[str] | None = None
    ) -> tuple[list[tuple[Face, str | None]], int | None]:
        """A page of faces in the order of enrollment, each with its user; and the row of the next page, if any."""
        where = ["collection = ?", "row > ?"]
        parameters: list[object] = [self.number, after]
        if user_id is not None:
            where.append("row IN (SELECT f.face FROM user_faces f JOIN users u ON u.id = f.user "
                         "WHERE u.collection = ? AND u.user_id = ?)")  # fmt: skip
            parameters += [self.number, self._store.vault.name(user_id)]
        if face_ids is not None:
            where.append(f"face_id IN ({', '.join('?' * len(face_ids))})")
            parameters += face_ids
        with self._store.reading() as db:
            found = rows_of.select(db, self._name, " AND ".join(where), parameters, limit + 1)
            ties = self._ties(db, [face.face_id for _, face in found[:limit]])
            owners = {face_id: owner for _, face_id, _, owner in ties}
        following = found[limit - 1][0] if len(found) > limit else None
        return [(face, owners.get(face.face_id)) for _, face in found[:limit]], following

    def vector(self, user_id: str) -> FloatArray | None:
        """(dimensions,) of length 1; None for a user without faces. Raises NotFoundError."""
        with self._store.reading() as db:
            return self._mean(db, self._get(db, user_id).row)

    def search(self, query: FloatArray, limit: int, scorer: FaceScorer = UNNORMALIZED) -> list[UserMatch]:
        """The ``limit`` users most similar to a (dimensions,) query of length 1, best first. Raises InputError."""
        view = self._current()
        if not view.names:
            return []
        queries = checked(query[np.newaxis], view.vectors.shape[1])
        nearest = [i for _, i in best(queries @ view.vectors.T, limit)[0]]
        alike = scorer.compare(queries[0], view.vectors[nearest])
        found = [UserMatch(view.names[i], likeness) for i, likeness in zip(nearest, alike, strict=True)]
        return sorted(found, key=lambda match: -match.likeness)

    def _current(self) -> _View:
        with self._lock:
            version = self._store.version()
            if self._view is None or self._view.version != version:
                self._view = self._looked(version)
            return self._view

    def _looked(self, version: int) -> _View:
        known, self._known = self._known, {}
        names, vectors = [], []
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT id, user_id, revision FROM users WHERE collection = ? ORDER BY id", (self.number,)
            )
            for row, user_id, revision in rows.fetchall():
                was, vector = known.get(row, (-1, None))
                if was != revision:
                    vector = self._mean(db, row)
                self._known[row] = (revision, vector)
                if vector is not None:
                    names.append(db.vault.named(user_id) or "")
                    vectors.append(vector)
        return _View(version, tuple(names), np.stack(vectors) if vectors else np.empty((0, 0), np.float32))

    def _mean(self, db: Connection, row: int) -> FloatArray | None:
        sql = "SELECT f.vector, f.face_id, f.subject FROM user_faces u JOIN faces f ON f.row = u.face WHERE u.user = ?"
        found = [rows_of.opened(db.vault, blob, self.number, *names) for blob, *names in db.execute(sql, (row,))]
        vectors = [rows_of.vector(data) for data in found]
        return robust_centroid(np.stack(vectors)) if vectors else None

    def _get(self, db: Connection, user_id: str) -> User:
        self._must_exist(db)
        found = self._select(db, "u.user_id = ?", (db.vault.name(user_id),))
        if not found:
            raise NotFoundError(f"collection {self._name!r} has no user {user_id!r}", "create the user first")
        return found[0]

    def _must_exist(self, db: Connection) -> None:
        if db.execute("SELECT 1 FROM collections WHERE id = ?", (self.number,)).fetchone() is None:
            raise NotFoundError(f"there is no collection {self._name!r}", "create it first")

    def _select(self, db: Connection, where: str, parameters: tuple[object, ...]) -> list[User]:
        """Select users. ``where`` must be a constant, never user input."""
        sql = (
            "SELECT u.id, u.user_id, (SELECT count(*) FROM user_faces f WHERE f.user = u.id) "  # noqa: S608
            f"FROM users u WHERE u.collection = ? AND {where}"
        )
        rows = db.execute(sql, (self.number, *parameters))
        return [User(row, db.vault.named(name) or "", faces) for row, name, faces in rows]

    def _ties(self, db: Connection, face_ids: Iterable[str]) -> list[tuple[int, str, bytes, str | None]]:
        """(row, FaceId, vector, user or None) of the existing faces."""
        found: list[tuple[int, str, bytes, str | None]] = []
        for part in rows_of.parts(face_ids):
            sql = (
                "SELECT f.row, f.face_id, f.vector, f.subject, u.user_id FROM faces f "  # noqa: S608
                "LEFT JOIN user_faces t ON t.face = f.row LEFT JOIN users u ON u.id = t.user "
                f"WHERE f.collection = ? AND f.face_id IN ({', '.join('?' * len(part))})"
            )
            for row, face_id, blob, subject, user in db.execute(sql, (self.number, *part)):
                data = rows_of.opened(db.vault, blob, self.number, face_id, subject)
                found.append((row, face_id, data, db.vault.named(user)))
        return found


def _refusal(face_id: str, row: int, owner: str | None) -> UserRefusal | None:
    if row == 0:
        return UserRefusal(face_id, "FACE_NOT_FOUND")
    if owner is not None:
        return UserRefusal(face_id, "ASSOCIATED_TO_A_DIFFERENT_USER", owner)
    return None


def _unlike(
    face_id: str, vector: bytes, mean: FloatArray | None, lowest: float, scorer: FaceScorer
) -> UserRefusal | None:
    if mean is None:
        return None
    (likeness,) = scorer.compare(mean, rows_of.vector(vector)[np.newaxis])
    return UserRefusal(face_id, "LOW_MATCH_CONFIDENCE", likeness=likeness) if likeness < lowest else None
