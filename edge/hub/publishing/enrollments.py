"""Enrollments that devices made and the hub has pulled: pending until the owner accepts or drops them.

Each face is remembered by its FaceId once it has been decided, without name and embedding, so that it is not pending
again. Accepted faces pass the consistency check and become faces of the fleet's collections.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge.core import subjects
from edge.core.errors import NotFoundError
from edge.core.storage.sqlite import Database
from edge.core.types import Face
from edge.recognition.enrollment import Enroller
from edge.recognition.enrollment_check import check_enrollment
from edge.recognition.review.answers import searches
from edge.recognition.store.export import from_line, to_line
from edge.releases.manifest import subject_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.core.types import FloatArray
    from edge.hub.publishing.draft import Draft
    from edge.hub.publishing.publisher import ReleasePublisher
    from edge.recognition.enrollment_export import EnrollmentPage
    from edge.recognition.store.collection import Collection
    from edge.recognition.subject_search import SubjectSearch

    SearchIn = Callable[[Collection], SubjectSearch]

FILE = "enrolments.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS faces (
    number INTEGER PRIMARY KEY, device TEXT NOT NULL, collection TEXT NOT NULL, face_id TEXT NOT NULL,
    state TEXT NOT NULL, pulled REAL NOT NULL, subject TEXT, space TEXT, face BLOB, vector BLOB,
    UNIQUE (device, collection, face_id));
CREATE TABLE IF NOT EXISTS places (
    device TEXT NOT NULL, asked TEXT NOT NULL, last TEXT NOT NULL, PRIMARY KEY (device, asked));
"""
DECIDE = "UPDATE faces SET state = ?, subject = NULL, space = NULL, face = NULL, vector = NULL"


@dataclass(frozen=True, slots=True)
class PendingFace:
    """A pulled face without a decision."""

    number: int
    device: str
    collection: str
    pulled: float
    """seconds since the epoch"""
    space: str
    face: Face
    vector: FloatArray = field(repr=False)


class PendingEnrollments:
    """SQLite file in a hub's private folder. The caller closes it. Every method raises StoreError."""

    def __init__(self, private: Path) -> None:
        self._database = Database(private / FILE, SCHEMA)

    def place(self, device: str, asked: str) -> str:
        """FaceId of the last face pulled from a collection of a device; empty: none yet."""
        with self._database.reading() as db:
            row = db.execute("SELECT last FROM places WHERE device = ? AND asked = ?", (device, asked)).fetchone()
        return str(row[0]) if row else ""

    def take(self, device: str, asked: str, page: EnrollmentPage) -> int:
        """Store a page. Returns the number of new faces; faces pulled before are unchanged."""
        now = time.time()
        rows = [
            (device, page.collection, face.face_id, now, face.subject, page.space, to_line(face),
             vector.astype("<f4").tobytes())
            for face, vector in page.entries
        ]  # fmt: skip
        with self._database.writing() as db:
            before = db.total_changes
            db.executemany(
                "INSERT INTO faces (device, collection, face_id, state, pulled, subject, space, face, vector) "
                "VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                rows,
            )
            new = db.total_changes - before
            db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (device, asked, page.last))
        return new

    def begin_anew(self, device: str, asked: str) -> None:
        """Restart the next pull at the first face."""
        with self._database.writing() as db:
            db.execute("DELETE FROM places WHERE device = ? AND asked = ?", (device, asked))

    def waiting(self) -> list[PendingFace]:
        """All pending faces, in order of arrival."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT number, device, collection, pulled, space, face, vector FROM faces WHERE state = 'waiting' "
                "ORDER BY number"
            ).fetchall()
        return [
            PendingFace(
                number, device, collection, moment, space, from_line(face, collection), np.frombuffer(data, "<f4")
            )
            for number, device, collection, moment, space, face, data in rows
        ]

    def subjects(self) -> set[str]:
        with self._database.reading() as db:
            return {row[0] for row in db.execute("SELECT DISTINCT subject FROM faces WHERE state = 'waiting'")}

    def origins(self) -> dict[str, str]:
        """FaceId -> device, of the accepted faces."""
        with self._database.reading() as db:
            return dict(db.execute("SELECT face_id, device FROM faces WHERE state = 'accepted'"))

    def decide(self, numbers: Sequence[int], state: Literal["accepted", "dropped"]) -> None:
        """Record a decision; of each face only the FaceId is kept."""
        with self._database.writing() as db:
            db.executemany(f"{DECIDE} WHERE number = ?", [(state, number) for number in numbers])

    def forget(self, subject: str) -> int:
        """Drop the pending faces of a subject. Returns how many there were."""
        with self._database.writing() as db:
            forms = subjects.forms(subject)
            where = f"state = 'waiting' AND subject IN ({', '.join('?' * len(forms))})"
            return db.execute(f"{DECIDE} WHERE {where}", ("dropped", *forms)).rowcount

    def close(self) -> None:
        self._database.close()


@dataclass(frozen=True, slots=True)
class JudgedFace:
    """A pending face, and why it should be rejected; empty: no reason."""

    one: PendingFace
    harm: str


def judge(publisher: ReleasePublisher, ones: Sequence[PendingFace], label: str, name: str = "") -> list[JudgedFace]:
    """Check each face for consistency with the fleet's faces. ``name``: a collection other than its own.

    Raises NotFoundError for an unknown label.
    """
    draft, search = publisher.draft(), _search(publisher, label)
    with publisher.collections() as collections:
        found = {}
        for place in {name or one.collection for one in ones}:
            found[place] = collections.get(place) if place in collections else None
        return [JudgedFace(one, _harm(one, found[name or one.collection], draft, search)) for one in ones]


def accept(
    publisher: ReleasePublisher,
    waiting: PendingEnrollments,
    ones: Sequence[PendingFace],
    label: str,
    name: str = "",
    force: bool = False,
) -> list[JudgedFace]:
    """Add faces to the fleet's collections; the next release ships them. Returns the faces that stay pending.

    ``force``: also faces that fail the check, except of subjects erased since. Raises SpaceError where the embedding
    space differs from the fleet's, NotFoundError for an unknown label.
    """
    search, left = _search(publisher, label), []
    with publisher.collections() as collections:
        for one in ones:
            place, draft = name or one.collection, publisher.draft()
            collection = collections.get_or_create(place)
            erased = _forgotten(one, draft, place)
            harm = erased or _harm(one, collection, draft, search)
            if harm and (erased or not force):
                left.append(JudgedFace(one, harm))
                continue
            face = replace(one.face, collection=place)
            Enroller(collection).adopt(face, one.vector, one.space)
            # in this order: after a crash in between, the face is still pending, and accepting it again is idempotent
            with publisher.changing() as latest:
                latest.use(place, label)
            waiting.decide([one.number], "accepted")
    return left


def _search(publisher: ReleasePublisher, label: str) -> SearchIn:
    if label not in publisher.settings.labels:
        raise NotFoundError(f"unknown label {label!r}", f"add a section [labels.{label}], or use another --label")
    return partial(searches(publisher.settings, publisher.private, None), label)


def _harm(one: PendingFace, collection: Collection | None, draft: Draft, search: SearchIn) -> str:
    if collection is None or not collection.count:
        return _forgotten(one, draft, one.collection)
    if collection.space != one.space:
        return f"its embedding space is {one.space}, that of the fleet's faces {collection.space}"
    verdict = check_enrollment(search(collection), one.vector, one.face.subject or "")
    return _forgotten(one, draft, collection.name) or verdict.harm


def _forgotten(one: PendingFace, draft: Draft, place: str) -> str:
    """Why a face enrolled before its subject was erased is rejected, by the hub as by devices; empty: no reason."""
    shipped = draft.collection(place)
    digest = subject_digest(place, one.face.subject or "")
    times = [each.time for each in shipped.forgotten if each.digest == digest] if shipped else []
    return "this subject was erased from the fleet since" if any(one.face.created < moment for moment in times) else ""
