"""Forget a subject: faces, questions, answers, anchors and local events, and then look for what is left.

It happens with the daemon stopped: what a process holds in memory could be written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edge import vault
from edge.api.videos.store import FILE as VIDEOS
from edge.api.videos.store import FINDING
from edge.collection import Collections
from edge.collection.store import FILE as COLLECTIONS
from edge.collection.users import Users
from edge.database import rewriting
from edge.errors import NotFoundError
from edge.lock import Lock
from edge.outbox import codec
from edge.outbox import store as outbox
from edge.review import ReviewQueue
from edge.review.database import FILE as REVIEW
from edge.settings import Settings
from edge.types import Identity, IdentityState

CHUNK = 1 << 20
SHORTEST = 4
"""bytes of a name that is looked for in files: shorter ones are found in anything"""
OUTBOX, API = "outbox.sqlite", "api.sqlite"


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
            traces = _vectors(collections, subject)
            faces = sum(_faces(collections, name, subject) for name in collections.names())
        with rewriting(state / COLLECTIONS):
            pass
        questions = _questions(subject, settings, state)
        events = _anonymised(state / OUTBOX, subject)
        _without_replays(state / API)
        questions += _without_videos(state / VIDEOS, subject)
        return Forgotten(faces, questions, events, tuple(left(state, subject, traces)))


def left(state: Path, subject: str, vectors: list[bytes]) -> Iterator[Path]:
    """Files of a state folder that hold the name (as text, in JSON or sealed) or one of the embeddings."""
    name, stored = subject.encode("utf-8"), vault.of(state).name(subject)
    wanted = {name, json.dumps(subject)[1:-1].encode(), *vectors} if len(name) >= SHORTEST else set(vectors)
    wanted |= {stored} if isinstance(stored, bytes) else set()
    for path in sorted(state.rglob("*")):
        if path.is_file() and not path.is_symlink() and _holds(path, wanted):
            yield path


def _vectors(collections: Collections, subject: str) -> list[bytes]:
    """The embeddings of a subject, as they are and as they are stored."""
    with collections.store.reading() as db:
        where = (db.vault.name(subject),)
        found = [blob for (blob,) in db.execute("SELECT vector FROM faces WHERE subject = ?", where)]
    for name in collections.names() if collections.store.vault.key else ():
        collection = collections.get(name)
        ids = [face.face_id for face in collection.faces(limit=-1, subject=subject)]
        found += [vector.astype("<f4").tobytes() for vector in collection.vectors(ids)]
    return found


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
    known = vault.of(path.parent)
    with rewriting(path) as db:
        return outbox.rewrite(db, known, known, lambda body: _nameless(body, subject))[0]


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
        with rewriting(path) as db:
            db.execute("DELETE FROM tokens")


def _without_videos(path: Path, subject: str) -> int:
    """What was found in videos names users and pictures: a job that names the subject goes as a whole."""
    if not path.exists():
        return 0
    name, known = json.dumps(subject), vault.of(path.parent)
    with rewriting(path) as db:
        rows = db.execute("SELECT job, time, document FROM findings").fetchall()
        jobs = {(job,) for job, time, text in rows if name in known.open_text(text, FINDING, job, time)}
        db.executemany("DELETE FROM findings WHERE job = ?", jobs)
        db.executemany("DELETE FROM jobs WHERE id = ?", jobs)
    return len(jobs)


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
