"""Data erasure of a subject: faces, questions, answers, rejections and local events; then a scan for residual data.

Where a daemon runs, it does this itself, on its own: what it holds in memory could else be written again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.rekognition.state_store import FILE as API
from edge.api.rekognition.videos.store import FILE as VIDEOS
from edge.api.rekognition.videos.store import FINDING
from edge.core import subjects
from edge.core.errors import InputError, NotFoundError, StoreError
from edge.core.settings.schema import Settings
from edge.core.storage import layout, vault
from edge.core.storage.lock import Lock
from edge.core.storage.repair import delete_personal_leftovers, repair
from edge.core.storage.sqlite import rewriting
from edge.core.subjects import checked
from edge.daemon import residue as traces
from edge.daemon import retained as leftovers
from edge.mqtt import erasure_notices
from edge.mqtt.messages import to_json
from edge.mqtt.outbox import store as codec
from edge.mqtt.outbox import store as outbox
from edge.mqtt.outbox.store import Change
from edge.pipeline.history import FILE as HISTORY
from edge.pipeline.history import HistoryStore
from edge.recognition.review.database import FILE as REVIEW
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.store.collections import Collections
from edge.recognition.store.store import FILE as COLLECTIONS
from edge.recognition.store.users import Users
from edge.releases import update_state as erasures

if TYPE_CHECKING:
    from edge.daemon.context import DeviceContext
    from edge.pipeline.pipeline import Pipeline


RECORDS = layout.RECORDS.name


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """Counts of removed data."""

    faces: int
    questions: int
    """and answers, anchors, and jobs over stored videos"""
    events: int
    """pending for the broker: they are delivered without the name"""
    left: tuple[Path, ...]
    """files that still hold the name, or an embedding of a face"""
    by_collection: dict[str, int] = field(default_factory=dict)
    """collection -> faces"""

    def joined(self, other: ErasureReport) -> ErasureReport:
        """Both together."""
        counts = Counter(self.by_collection) + Counter(other.by_collection)
        return ErasureReport(
            self.faces + other.faces, self.questions + other.questions, self.events + other.events,
            tuple(dict.fromkeys((*self.left, *other.left))), dict(counts),
        )  # fmt: skip

    @property
    def anything(self) -> bool:
        return bool(self.faces or self.questions or self.events)


def forget(subject: str, settings: Settings, state: Path, live: SubjectEraser | None = None) -> ErasureReport:
    """Erase a subject from a state folder. Repeating it is no error.

    Raises ConflictError while a daemon runs that is not ``live``, StoreError where a file cannot be written; what was
    removed until then is removed.
    """
    if live is not None:
        return _all_forms(subject, settings, state, live.collections, live)
    with Lock(state):
        repair(state)
        with Collections(state, settings.collection, maintain=False) as collections:
            return _all_forms(subject, settings, state, collections, None)


def document(gone: ErasureReport) -> dict[str, Any]:
    """The report as commands return it."""
    return {
        "faces": gone.faces,
        "questions": gone.questions,
        "events": gone.events,
        "left": [str(path) for path in gone.left],
        "collections": gone.by_collection,
    }


def _all_forms(
    subject: str, settings: Settings, state: Path, collections: Collections, live: SubjectEraser | None
) -> ErasureReport:
    """Also the forms in which an older version stored the name, in whatever file."""
    first, *others = subjects.forms(subject)
    gone = _forgotten(first, settings, state, collections, live)
    for other in others:
        gone = gone.joined(_forgotten(other, settings, state, collections, live))
    return gone


def _forgotten(
    subject: str, settings: Settings, state: Path, collections: Collections, live: SubjectEraser | None
) -> ErasureReport:
    delete_personal_leftovers(state)
    vectors = traces.of(collections, subject)
    erasure_notices.note(state, settings.device.name, subject, _latest(state, live))
    faces = {name: _faces(collections, name, subject, state) for name in collections.names()}
    if live is not None:
        live.erase(subject)
    with rewriting(state / COLLECTIONS):
        pass
    questions = _questions(subject, settings, state)
    _without_history(subject, settings, state)
    events = live.rewrite(_nameless(subject)) if live is not None else _anonymised(state / outbox.FILE, subject)
    erasure_notices.note(
        state, settings.device.name, subject, _latest(state, live)
    )  # the latest event that may name the subject
    _without_replays(state / API)
    questions += _without_videos(state / VIDEOS, subject)
    _without_records(state / RECORDS, subject)
    if live is None:
        _without_pictures(state)
    gone = {name: count for name, count in faces.items() if count}
    left = tuple(traces.left(state, subject, vectors))
    return ErasureReport(sum(gone.values()), questions, events, left, gone)


def _latest(state: Path, live: SubjectEraser | None) -> tuple[int, int] | None:
    return outbox.position(state / outbox.FILE) if live is None else live.latest()


def _faces(collections: Collections, name: str, subject: str, state: Path) -> int:
    collection = collections.get(name)
    if any(face.origin == "hub" for face in collection.faces(limit=-1, subject=subject)):
        erasures.erase(state, name, subject)
    deleted = collection.delete_subject(subject)
    with collections.store.writing() as db:
        # a removal is known by its row; the FaceId, made of the picture, would tell whose it was
        gone = [(collection.number, face_id) for face_id in deleted]
        db.executemany("UPDATE removed SET face_id = '' WHERE collection = ? AND face_id = ?", gone)
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
        with suppress(NotFoundError):
            gone += queue.strangers.remove([queue.strangers.get(subject).id])
        queue.compact()
    return gone


def _without_history(subject: str, settings: Settings, state: Path) -> None:
    if not (state / HISTORY).exists():
        return
    store = HistoryStore(state, settings.history)
    try:
        store.forget(subject)
    finally:
        store.close()


def _anonymised(path: Path, subject: str) -> int:
    """Pending events keep their position without the name: each track still gets its end event."""
    if not path.exists():
        return 0
    known = vault.of(path.parent)
    with rewriting(path) as db:
        return outbox.rewrite(db, known, known, _nameless(subject))[0]


def _nameless(subject: str) -> Callable[[str], str | None]:
    def changed(body: str) -> str | None:
        try:
            event = subjects.nameless(codec.load(body), subject)
        except ValueError:
            return None
        return None if event is None else codec.dump(event)

    return changed


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


def _without_pictures(state: Path) -> None:
    """Whoever is on the pictures that lie at the broker: a daemon that runs takes them back at once."""
    try:
        leftovers.forget_pictures(state)
    except OSError as error:
        raise StoreError(f"{state / leftovers.FILE}: cannot be written: {error.strerror}", "check its owner") from error


def _without_records(folder: Path, subject: str) -> None:
    """Records of stream processors name the subjects that matched."""
    try:
        for path in sorted(folder.glob("*.jsonl*")):
            traces.without_lines(path, subject)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be rewritten: {error.strerror}", "check its owner") from error


class SubjectEraser:
    """Erases subjects while the daemon runs. Any thread but the inference thread."""

    def __init__(self, context: DeviceContext) -> None:
        self._context = context

    @property
    def collections(self) -> Collections:
        return self._context.collections

    def say(self) -> None:
        """Publish the erasure notices, now and at every connect."""
        said = erasure_notices.read(self._context.state)
        if said.forgotten:
            self._context.client.retain(self._context.topics.forgotten, to_json(said))

    def forget(self, subject: str) -> ErasureReport:
        """Raises StoreError, BusyError: what was removed until then is removed."""
        gone = forget(subject, self._context.settings, self._context.state, self)
        self.say()
        return gone

    def erase(self, subject: str) -> None:
        """Remove the subject from memory: tracks, votes, pending review questions, pages, what is present."""
        context = self._context
        components = list(context.components)

        def erase(pipeline: Pipeline) -> None:
            pipeline.erase(subject)
            while components:
                components.pop(0).erase(subject)

        context.engine.between(erase)
        context.reporter.erase(subject)

    def latest(self) -> tuple[int, int] | None:
        box = self._context.outbox
        return box.epoch, box.last

    def rewrite(self, change: Change) -> int:
        return self._context.outbox.rewrite(change)

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """For ``edge.daemon.control``."""
        return {"forget": self._asked}

    def _asked(self, given: dict[str, Any]) -> dict[str, Any]:
        subject = given.get("subject")
        if not isinstance(subject, str):
            raise InputError("subject: expected text", "give the argument 'subject'", code="subject")
        return document(self.forget(checked(subject)))
