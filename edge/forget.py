"""Forget a subject: faces, questions, answers, anchors and local events, and then look for what is left.

It happens with the daemon stopped: what a process holds in memory could be written again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edge.collection import Collections
from edge.collection.store import FILE as COLLECTIONS
from edge.collection.users import Users
from edge.errors import NotFoundError, StoreError
from edge.lock import Lock
from edge.outbox import codec
from edge.review import ReviewQueue
from edge.review.database import FILE as REVIEW
from edge.settings import Settings
from edge.types import Identity, IdentityState

CHUNK = 1 << 20
SHORTEST = 4
"""bytes of a name that is looked for in files: shorter ones are found in anything"""
OUTBOX, API, VIDEOS = "outbox.sqlite", "api.sqlite", "videos.sqlite"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed."""

    faces: int
    questions: int
    """and answers, anchors, and jobs over stored videos"""
    events: int
    """that still wait for the broker: they go on without the name"""
    left: tuple[Path, ...]
    """files that still hold the name, or an embedding of a face"""


def forget(subject: str, settings: Settings, state: Path) -> Forgotten:
    """Remove a subject everywhere in a state folder. Forgetting twice is no error.

    Raises ConflictError while a daemon runs, StoreError where a file cannot be written; what was removed until then
    is removed.
    """
    with Lock(state):
        with Collections(state, settings.collection, maintain=False) as collections:
            traces = [blob for name in collections.names() for blob in _vectors(collections, name, subject)]
            faces = sum(_faces(collections, name, subject) for name in collections.names())
        with _changing(state / COLLECTIONS):
            pass
        questions = _questions(subject, settings, state)
        events = _anonymised(state / OUTBOX, subject)
        _without_replays(state / API)
        questions += _without_videos(state / VIDEOS, subject)
        return Forgotten(faces, questions, events, tuple(left(state, subject, traces)))


def left(state: Path, subject: str, vectors: list[bytes]) -> Iterator[Path]:
    """Files of a state folder that hold the name (as text or in JSON) or one of the embeddings."""
    name = subject.encode("utf-8")
    wanted = {name, json.dumps(subject)[1:-1].encode(), *vectors} if len(name) >= SHORTEST else set(vectors)
    for path in sorted(state.rglob("*")):
        if path.is_file() and not path.is_symlink() and _holds(path, wanted):
            yield path


def _vectors(collections: Collections, name: str, subject: str) -> list[bytes]:
    collection = collections.get(name)
    ids = [face.face_id for face in collection.faces(limit=-1, subject=subject)]
    return [vector.astype("<f4").tobytes() for vector in collection.vectors(ids)]


def _faces(collections: Collections, name: str, subject: str) -> int:
    collection = collections.get(name)
    deleted = collection.delete_subject(subject)
    with suppress(NotFoundError):
        Users(collections.store, name, collection.number).delete(subject)
    if deleted and collection.state.kind == "annoy":
        collection.rebuild()  # the old index holds the embeddings still
    return len(deleted)


def _questions(subject: str, settings: Settings, state: Path) -> int:
    if not (state / REVIEW).exists():
        return 0
    with ReviewQueue(state, settings.review) as queue:
        gone = queue.forget(subject)
        queue.compact()
    return gone


def _anonymised(path: Path, subject: str) -> int:
    """Events that wait keep their place and lose the name: each track still gets its end."""
    if not path.exists():
        return 0
    with _changing(path) as db:
        for place, body in db.execute("SELECT position, body FROM events").fetchall():
            if (nameless := _nameless(body, subject)) is not None:
                db.execute("UPDATE events SET body = ? WHERE position = ?", (nameless, place))
        for camera, track, body in db.execute("SELECT camera, track, body FROM journal").fetchall():
            if (nameless := _nameless(body, subject)) is not None:
                db.execute("UPDATE journal SET body = ? WHERE camera = ? AND track = ?", (nameless, camera, track))
        return db.total_changes


def _nameless(body: str, subject: str) -> str | None:
    """The event without its identity; None where it names somebody else, or nobody."""
    try:
        event = codec.load(body)
    except ValueError:
        return None
    if event.identity.subject != subject:
        return None
    return codec.dump(replace(event, identity=Identity(IdentityState.UNKNOWN, collection=event.identity.collection)))


def _without_replays(path: Path) -> None:
    """First answers to repeated requests hold names of users and pictures; without them, a repetition is done anew."""
    if path.exists():
        with _changing(path) as db:
            db.execute("DELETE FROM tokens")


def _without_videos(path: Path, subject: str) -> int:
    """What was found in videos names users and pictures: a job that names the subject goes as a whole."""
    if not path.exists():
        return 0
    name = json.dumps(subject)
    with _changing(path) as db:
        rows = db.execute("SELECT job, document FROM findings").fetchall()
        jobs = {(job,) for job, document in rows if name in document}
        db.executemany("DELETE FROM findings WHERE job = ?", jobs)
        db.executemany("DELETE FROM jobs WHERE id = ?", jobs)
    return len(jobs)


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    """A file that nobody else has open: changed, then written anew without what was in it. Raises StoreError."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be rewritten: {error}", "check the space on disk, and try again") from error


def _holds(path: Path, wanted: set[bytes]) -> bool:
    longest = max(map(len, wanted), default=0)
    if not longest:
        return False
    tail = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                block = tail + chunk
                if any(one in block for one in wanted):
                    return True
                tail = block[-longest:]
    except OSError:
        return False
    return False
