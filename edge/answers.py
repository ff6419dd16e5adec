"""What becomes of a person's answer: applied at once, after the gate.

A face that is added must not harm those that are there. The test set is the collection itself: a new face that is
nearer to somebody else than to its own subject, or that would draw somebody else's face to its name, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge import files, subjects
from edge.collection import Collection, Collections, NewFace
from edge.doubts import vector_sha256
from edge.errors import ConflictError, InputError, ModelError, NotFoundError
from edge.inference import model
from edge.labels import Example, Mark, manifests
from edge.review import Answered, Doubt, ReviewQueue
from edge.review.queue import Answer
from edge.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.types import FloatArray

SAME = 0.98
"""cosine from which a look tells nothing that a face does not tell already"""
UNLIKE = 0.4
"""share of the cosine of a match: a look that has less of every face of its subject teaches nothing of it"""
LEAD = 0.1
"""cosine by which somebody else may be nearer, at most: people who err name others at random"""
SIDE = 160
"""pixels of a kept picture"""
MOST_UNDOABLE = 500
"""answers that are held to be taken back"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a face that is to be added."""

    harm: str = ""
    """why it must not be added; empty: it may"""
    redundant: bool = False
    """a face of the same subject is nearly the same look"""


@dataclass(frozen=True, slots=True)
class _Given:
    doubt: Doubt
    face_id: str | None
    """of the face that was added"""


class Answers:
    """Applies answers to the collections of a state folder. ``match``: cosine that makes a match, by label.

    Raises NotFoundError for a question that is gone, ConflictError where the gate says no, SpaceError, StoreError.
    """

    def __init__(self, queue: ReviewQueue, collections: Collections, match: dict[str, float]) -> None:
        self._queue, self._collections, self._match = queue, collections, match
        self._undoable: dict[int, _Given] = {}

    def confirm(self, number: int, force: bool = False) -> str:
        """It is the subject in question. Returns the name."""
        doubt = self._queue.get(number)
        if doubt.subject is None:
            raise InputError(f"question {number} names nobody", "say who it is: rename, or new", code="subject")
        return self._add(doubt, "confirmed", doubt.subject, force)

    def rename(self, number: int, subject: str, force: bool = False) -> str:
        """It is another subject of the collection."""
        doubt = self._queue.get(number)
        if subject not in self._collection(doubt).subjects():
            raise NotFoundError(
                f"collection {doubt.collection!r} has no subject {subject!r}", "check the name, or answer 'new'"
            )
        return self._add(doubt, "renamed" if subject != doubt.subject else "confirmed", subject, force)

    def new(self, number: int, subject: str, force: bool = False) -> str:
        """It is somebody whom the collection does not have yet."""
        doubt = self._queue.get(number)
        if subject in self._collection(doubt).subjects():
            raise ConflictError(f"collection {doubt.collection!r} has {subject!r} already", "answer 'rename'")
        return self._add(doubt, "new", subjects.checked(subject), force)

    def reject(self, number: int) -> str:
        """It is not the subject in question: from now on looks like this one are held away from that name."""
        doubt = self._queue.get(number)
        if doubt.subject is None:
            raise InputError(f"question {number} names nobody", "discard it, or say who it is", code="subject")
        self._given(doubt, "rejected", doubt.subject)
        return doubt.subject

    def discard(self, number: int) -> None:
        """Nothing is to be learned from it."""
        self._given(self._queue.get(number), "discarded", None)

    def undo(self, number: int | None = None) -> Doubt:
        """Take back an answer that was given here, the last one where no number is told: the question waits again.

        Raises NotFoundError for one that was not given here, or lies too far back.
        """
        given = self._undoable.get(number) if number is not None else next(reversed(self._undoable.values()), None)
        if given is None:
            raise NotFoundError("no such answer was given here", "only the latest answers can be taken back")
        self._queue.restore(given.doubt)
        del self._undoable[given.doubt.id]
        if given.face_id is not None:
            self._collection(given.doubt).delete_faces([given.face_id])
        return given.doubt

    @property
    def undoable(self) -> list[int]:
        """Numbers of the questions whose answers can be taken back, the last one last."""
        return list(self._undoable)

    def verdict(self, doubt: Doubt, subject: str) -> Verdict:
        """What the gate says of adding this look to ``subject``."""
        return judged(self._collection(doubt), doubt.vector, subject, self._match.get(doubt.label, 1.0))

    def _add(self, doubt: Doubt, answer: Answer, subject: str, force: bool) -> str:
        collection = self._collection(doubt)
        verdict = self.verdict(doubt, subject)
        if verdict.harm and not force:
            raise ConflictError(
                f"question {doubt.id}: {verdict.harm}", "discard it, or add it all the same with --force"
            )
        face_id = None
        if not verdict.redundant:
            new = NewFace(doubt.vector, subject, vector_sha256(doubt.vector), doubt.box, doubt.score, doubt.quality)
            face = collection.add([new], doubt.space)[0]
            if face.subject != subject:
                raise ConflictError(f"this very look is a face of {face.subject} already", "delete that face first")
            face_id = face.face_id
        self._given(doubt, answer, subject, face_id)
        return subject

    def _given(self, doubt: Doubt, answer: Answer, subject: str | None, face_id: str | None = None) -> None:
        self._queue.answer(doubt, answer, subject, face_id)
        self._undoable[doubt.id] = _Given(doubt, face_id)
        while len(self._undoable) > MOST_UNDOABLE:
            del self._undoable[next(iter(self._undoable))]

    def _collection(self, doubt: Doubt) -> Collection:
        return self._collections.get(doubt.collection)


def matches(settings: Settings, state: Path) -> dict[str, float]:
    """The cosine that makes a match, by label, as the daemon has it; labels whose model is not there are left out."""
    found: dict[str, float] = {}
    folders = model.folders(settings.models, state)
    for name, label in settings.labels.items():
        try:
            card = model.find(label.embedder, folders).card if label.embedder else None
        except (NotFoundError, ModelError):
            continue
        if card is not None:
            similarity = card.thresholds.similarity if label.similarity is None else label.similarity
            found[name] = card.map.cosine(similarity)
    return found


def judged(collection: Collection, vector: FloatArray, subject: str, match: float) -> Verdict:
    """Whether one more face of ``subject`` would make the collection worse. ``match``: cosine that makes a match."""
    everything = collection.everything()
    names = np.array([name or face_id for name, face_id in zip(everything.subjects, everything.face_ids, strict=True)])
    if not len(names):
        return Verdict()
    similarities = everything.vectors @ vector
    own, others = similarities[names == subject], similarities[names != subject]
    nearest_own = float(own.max()) if len(own) else -1.0
    if nearest_own >= SAME:
        return Verdict(redundant=True)
    if len(own) and nearest_own < UNLIKE * match:
        return Verdict(f"it looks nothing like {subject} ({nearest_own:.2f})")
    if not len(others):
        return Verdict()
    rival, nearest = str(names[names != subject][int(others.argmax())]), float(others.max())
    if (nearest >= match and nearest > nearest_own) or (len(own) and nearest - nearest_own > LEAD):
        return Verdict(f"it looks more like {rival} ({nearest:.2f}) than like {subject} ({nearest_own:.2f})")
    stolen = _stolen(everything.vectors, names, similarities, subject, match)
    return Verdict(f"a face of {stolen} would be taken for {subject}" if stolen else "")


def export(folder: Path, answers: Sequence[Answered], when: float | None = None) -> int:
    """Pictures of what was confirmed, and ``output.manifest`` beside them. Returns the number of lines.

    Answers whose picture was not kept are left out. Raises OSError.
    """
    lines = []
    for one in answers:
        if not one.crop or one.subject is None or one.answer not in ("confirmed", "renamed", "new"):
            continue
        name = f"{one.id}.jpg"
        files.write_bytes(folder / name, one.crop)
        example = Example(folder / name, (Mark(one.subject),), name)
        lines.append(manifests.line(example, (SIDE, SIDE), "edge-review", when or one.time))
    files.write_bytes(folder / "output.manifest", "".join(f"{line}\n" for line in lines).encode())
    return len(lines)


def document(doubt: Doubt) -> dict[str, object]:
    """A question as commands and pages show it, without the embedding and the picture."""
    return {
        "id": doubt.id,
        "reason": doubt.reason,
        "time": doubt.time,
        "camera": doubt.camera,
        "track": doubt.track,
        "label": doubt.label,
        "collection": doubt.collection,
        "subject": doubt.subject,
        "quality": round(doubt.quality, 3),
        "score": round(doubt.score, 3),
        "picture": bool(doubt.crop),
        "nearest": [
            {"subject": one.subject, "face_id": one.face_id, "similarity": round(one.similarity, 4)}
            for one in doubt.nearest
        ],
    }


def _stolen(vectors: FloatArray, named: NDArray[np.str_], similarities: FloatArray, subject: str, match: float) -> str:
    """A subject one of whose faces would be nearest to the new one, though others of its own are there; or empty."""
    for row in np.flatnonzero((named != subject) & (similarities >= match)).tolist():
        mine = (named == named[row]) & (np.arange(len(named)) != row)
        if mine.any() and float((vectors[mine] @ vectors[row]).max()) < float(similarities[row]):
            return str(named[row])
    return ""
