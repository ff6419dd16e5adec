"""Search snapshot: an index, newer rows and removals. Immutable, replaced atomically."""

from __future__ import annotations

import itertools
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import StoreError
from edge.core.storage.sqlite import Connection
from edge.core.storage.vault import Vault
from edge.core.types import Space
from edge.recognition.store import collection_row as own_row
from edge.recognition.store import face_rows as stored
from edge.recognition.store.annoy_index import VectorIndex
from edge.recognition.store.vectors import GONE, LEAST, MOST, VectorRows, best

if TYPE_CHECKING:
    from edge.core.types import FloatArray

PIECE = 4096
"""rows per database query"""
MOST_DEAD = 256
DEAD_SHARE = 0.1
NONE = np.zeros(0, np.int64)

Neighbor: TypeAlias = tuple[float, str, str | None]
"""cosine, FaceId and subject of a face: plain tuples, because a search makes dozens of which few become a ``Match``"""
NamesOf = Callable[[list[int]], dict[int, tuple[str, str | None]]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PendingRows:
    """Rows that are searched exactly. Append-only and shared by snapshots; each snapshot stores its own count."""

    vectors: VectorRows
    rows: list[int] = field(default_factory=list)
    face_ids: list[str] = field(default_factory=list)
    subjects: list[str | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of a collection. ``catch_up`` creates the next one."""

    collection: int | None
    """number in the database; None: deleted"""
    space: str | None
    dimensions: int
    base: VectorIndex | None
    base_gone: NDArray[np.int64]
    """removed positions of the base, ascending"""
    tail: PendingRows
    tail_count: int
    tail_gone: NDArray[np.int64]
    """removed positions of the tail"""
    last_row: int
    last_removal: int

    @property
    def revision(self) -> tuple[int | None, int, int]:
        """Value that changes with every change of the faces."""
        return self.collection, self.last_row, self.last_removal

    @property
    def count(self) -> int:
        """Number of searchable faces."""
        base = 0 if self.base is None else self.base.manifest.count - len(self.base_gone)
        return base + self.tail_count - len(self.tail_gone)


@dataclass(frozen=True, slots=True)
class FullSnapshot:
    """All faces of a collection, in the order of enrollment."""

    face_ids: list[str]
    subjects: list[str | None]
    vectors: FloatArray
    """(n, D) float32, length 1"""


def empty(collection: int | None, space: str | None, dimensions: int, base: VectorIndex | None = None) -> Snapshot:
    """A snapshot with only an index, or without faces; ``catch_up`` adds newer rows."""
    last_row, last_removal = (base.manifest.last_row, base.manifest.last_removal) if base else (0, 0)
    tail = PendingRows(VectorRows(max(1, dimensions)))
    return Snapshot(collection, space, dimensions, base, NONE, tail, 0, NONE, last_row, last_removal)


def catch_up(view: Snapshot, db: Connection) -> Snapshot:
    """``view`` with later commits. Reads only new rows."""
    tail = view.tail
    last_row = view.last_row
    for rows, vectors, face_ids, subjects in pieces(db, view.collection, view.dimensions, view.last_row):
        tail.vectors.append(vectors)
        tail.rows.extend(rows)
        tail.face_ids.extend(face_ids)
        tail.subjects.extend(subjects)
        last_row = max(last_row, rows[-1]) if rows else last_row
    removed = db.execute(
        "SELECT sequence, row FROM removed WHERE collection = ? AND sequence > ?", (view.collection, view.last_removal)
    ).fetchall()
    grown = replace(view, tail_count=tail.vectors.count, last_row=last_row)
    return _without(grown, removed) if removed else grown


def pieces(
    db: Connection, collection: int | None, dimensions: int, after: int
) -> Iterator[tuple[list[int], FloatArray, list[str], list[str | None]]]:
    """Faces newer than row ``after``: rows, (m, D) vectors, FaceIds, subjects. Damaged embeddings are skipped."""
    cursor = db.execute(
        "SELECT row, vector, face_id, subject FROM faces WHERE collection = ? AND row > ? ORDER BY row",
        (collection, after),
    )
    while found := cursor.fetchmany(PIECE):
        whole, vectors = _sound(db.vault, collection, dimensions, found)
        if len(whole) < len(found):
            log.warning(
                "%d damaged embeddings are excluded from the search; they stay in the store", len(found) - len(whole)
            )
        rows, _, face_ids, subjects = (list(column) for column in zip(*whole, strict=True)) if whole else ([],) * 4
        yield rows, vectors, face_ids, subjects


def of_subjects(
    db: Connection, view: Snapshot, subjects: Iterable[str], most: int
) -> dict[str, tuple[list[str], FloatArray]]:
    """FaceIds and (m, D) embeddings of the ``most`` newest faces of each subject, newest first.

    Damaged embeddings are skipped, and subjects without any.
    """
    sql = (
        "SELECT row, vector, face_id, subject FROM faces WHERE collection = ? AND subject = ? ORDER BY row DESC LIMIT ?"
    )
    stored_faces: list[tuple[Any, ...]] = []
    for subject in subjects:
        stored_faces += db.execute(sql, (view.collection, db.vault.name(subject), most))
    whole, vectors = _sound(db.vault, view.collection, view.dimensions, stored_faces)
    found: dict[str, tuple[list[str], FloatArray]] = {}
    start = 0
    for name, faces in itertools.groupby(whole, key=itemgetter(3)):
        face_ids = [face[2] for face in faces]
        found[name] = face_ids, vectors[start : start + len(face_ids)]
        start += len(face_ids)
    return found


def of_subjects_in_tail(view: Snapshot, subjects: Iterable[str], most: int) -> dict[str, tuple[list[str], FloatArray]]:
    """As ``of_subjects``, of a snapshot without an index, from memory."""
    wanted, gone = set(subjects), set(view.tail_gone.tolist())
    positions: dict[str, list[int]] = {}
    for position, subject in enumerate(itertools.islice(view.tail.subjects, view.tail_count)):
        if subject in wanted and position not in gone:
            positions.setdefault(subject, []).append(position)
    return {
        subject: ([view.tail.face_ids[i] for i in newest], view.tail.vectors.take(newest))
        for subject, found in positions.items()
        for newest in (found[: -most - 1 : -1],)
    }


def _sound(
    vault: Vault, collection: int | None, dimensions: int, found: list[tuple[Any, ...]]
) -> tuple[list[tuple[Any, ...]], FloatArray]:
    """Rows (row, vector, FaceId, subject) with undamaged embeddings, decrypted, and the embeddings."""
    known = found if vault.key is None else [_opened(vault, collection, entry) for entry in found]
    whole = [entry for entry in known if _is_whole(entry, dimensions)]
    vectors = np.frombuffer(b"".join(entry[1] for entry in whole), "<f4").reshape(len(whole), dimensions)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    good = (squares > LEAST) & (squares < MOST)
    if not good.all():
        whole = [entry for entry, kept in zip(whole, good.tolist(), strict=True) if kept]
        vectors = vectors[good]
    return whole, vectors.astype(np.float32, copy=False)


def everything(db: Connection, collection: int, dimensions: int) -> FullSnapshot:
    """All faces of a collection."""
    face_ids: list[str] = []
    subjects: list[str | None] = []
    found = [np.zeros((0, dimensions), np.float32)]
    for _, vectors, more_ids, more_subjects in pieces(db, collection, dimensions, 0):
        found.append(vectors)
        face_ids += more_ids
        subjects += more_subjects
    return FullSnapshot(face_ids, subjects, np.concatenate(found))


def check_space(name: str, view: Snapshot, space: Space) -> None:
    """Raises SpaceError if embeddings of ``space`` cannot be compared with those of the collection ``name``."""
    if view.space is not None and view.space != space.fingerprint and view.count:
        raise own_row.other_space(name, view.space, space.fingerprint)


def search(view: Snapshot, queries: FloatArray, limit: int, names_of: NamesOf) -> list[list[Neighbor]]:
    """The best ``limit`` faces of each query, best first. ``names_of`` returns FaceIds and subjects of rows."""
    found = _search_tail(view, queries, limit)
    if view.base is None:
        return found
    near = [_search_base(view, query, limit) for query in queries.tolist()]
    names = names_of(sorted({row for hits in near for row, _ in hits}))
    for neighbors, hits in zip(found, near, strict=True):
        # a concurrently deleted face has no name
        neighbors.extend((cosine, *names[row]) for row, cosine in hits if row in names)
        neighbors.sort(key=_closest)
        del neighbors[limit:]
    return found


def name_of(neighbor: Neighbor) -> str:
    """The subject, or the FaceId of a face that has none."""
    return neighbor[2] or neighbor[1]


def _closest(neighbor: Neighbor) -> float:
    return -neighbor[0]


def names(db: Connection, rows: list[int]) -> dict[int, tuple[str, str | None]]:
    """Row -> FaceId and subject of the existing rows."""
    named: dict[int, tuple[str, str | None]] = {}
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        marks = ", ".join("?" * len(part))
        found = db.execute(f"SELECT row, face_id, subject FROM faces WHERE row IN ({marks})", part)  # noqa: S608
        named.update((row, (face_id, db.vault.named(subject))) for row, face_id, subject in found)
    return named


def compacted(view: Snapshot) -> Snapshot:
    """The snapshot with a tail without removed rows."""
    gone = set(view.tail_gone.tolist())
    kept = [position for position in range(view.tail_count) if position not in gone]
    tail = PendingRows(
        VectorRows(view.dimensions),
        [view.tail.rows[i] for i in kept],
        [view.tail.face_ids[i] for i in kept],
        [view.tail.subjects[i] for i in kept],
    )
    for start in range(0, len(kept), PIECE):
        tail.vectors.append(view.tail.vectors.take(kept[start : start + PIECE]))
    return replace(view, tail=tail, tail_count=len(kept), tail_gone=NONE)


def _opened(vault: Vault, collection: int | None, entry: tuple[Any, ...]) -> tuple[Any, ...]:
    """The decrypted entry; without an embedding if it is damaged."""
    row, vector, face_id, subject = entry
    try:
        name = vault.named(subject)
        return row, vault.open(vector, stored.VECTOR, collection or 0, face_id, name), face_id, name
    except StoreError:
        return row, None, face_id, None


def _is_whole(entry: tuple[Any, ...], dimensions: int) -> bool:
    """Whether types and sizes are valid: a damaged page may change the type of any value."""
    _, vector, face_id, subject = entry
    named = isinstance(face_id, str) and isinstance(subject, str | None)
    return named and isinstance(vector, bytes) and len(vector) == 4 * dimensions


def _without(view: Snapshot, removed: list[tuple[int, int]]) -> Snapshot:
    base, tail = set(view.base_gone.tolist()), set(view.tail_gone.tolist())
    for _, row in removed:
        if view.base is not None and row <= view.base.manifest.last_row:
            position = int(np.searchsorted(view.base.rows, row))
            if position < len(view.base.rows) and view.base.rows[position] == row:
                base.add(position)
        else:
            position = bisect_left(view.tail.rows, row, hi=view.tail_count)
            if position < view.tail_count and view.tail.rows[position] == row:
                tail.add(position)
    view = replace(
        view,
        base_gone=np.array(sorted(base), np.int64),
        tail_gone=np.array(sorted(tail), np.int64),
        last_removal=removed[-1][0],
    )
    return compacted(view) if len(tail) > max(MOST_DEAD, DEAD_SHARE * view.tail_count) else view


def _search_tail(view: Snapshot, queries: FloatArray, limit: int) -> list[list[Neighbor]]:
    if view.tail_count == len(view.tail_gone):
        return [[] for _ in queries]
    similarities = view.tail.vectors.similarities(queries, view.tail_count)
    if len(view.tail_gone):
        similarities[:, view.tail_gone] = GONE
        limit = min(limit, view.tail_count - len(view.tail_gone))
    face_ids, subjects = view.tail.face_ids, view.tail.subjects
    return [[(value, face_ids[i], subjects[i]) for value, i in row] for row in best(similarities, limit)]


def _search_base(view: Snapshot, query: list[float], limit: int) -> list[tuple[int, float]]:
    """(row, cosine) of the index's results that are not removed."""
    assert view.base is not None  # noqa: S101
    count, wanted = view.base.manifest.count, limit + min(len(view.base_gone), 4 * limit)
    while True:
        positions, cosines = view.base.nearest(query, wanted)
        if len(view.base_gone):
            gone = np.isin(positions, view.base_gone, assume_unique=True).tolist()
            hits = [(p, c) for p, c, dead in zip(positions, cosines, gone, strict=True) if not dead]
        else:
            hits = list(zip(positions, cosines, strict=True))
        if len(hits) >= limit or wanted >= count:
            return [(int(view.base.rows[position]), cosine) for position, cosine in hits[:limit]]
        wanted *= 4
