"""What becomes of a person's answer: applied at once, after the gate."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.core import subjects
from edge.core.errors import ConflictError, InputError, ModelError, NotFoundError, SpaceError
from edge.core.settings.schema import Settings
from edge.core.storage import files
from edge.inference import model
from edge.inference.scoring import scorer_of
from edge.labels import ground_truth
from edge.labels.examples import Annotation, Example, label_name
from edge.recognition.enrollment import EmbeddedFace, add_embedded, fits, name_stranger
from edge.recognition.enrollment_check import EnrollmentCheck, check_enrollment
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import Answer, AnsweredQuestion, ReviewQueue
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections

SIDE = 160
"""pixels of a kept picture"""
MOST_UNDOABLE = 500
"""answers that are held to be taken back"""


@dataclass(frozen=True, slots=True)
class _Given:
    doubt: ReviewQuestion
    faces: tuple[str, ...] = ()
    """that were added"""
    stranger: Stranger | None = None
    """who was named by it"""


class ReviewService:
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
        if doubt.version:
            return self._learned(doubt, "confirmed", doubt.subject)
        return self._add(doubt, "confirmed", doubt.subject, force)

    def rename(self, number: int, subject: str, force: bool = False) -> str:
        """It is another subject of the collection."""
        doubt = self._queue.get(number)
        if doubt.version:
            return self._learned(doubt, "renamed", subject)
        if subject not in self._collection(doubt).subjects():
            raise NotFoundError(
                f"collection {doubt.collection!r} has no subject {subject!r}", "check the name, or answer 'new'"
            )
        return self._add(doubt, "renamed" if subject != doubt.subject else "confirmed", subject, force)

    def new(self, number: int, subject: str, force: bool = False) -> str:
        """It is somebody whom the collection does not have yet."""
        doubt = self._queue.get(number)
        if doubt.version:
            return self._learned(doubt, "new", subject)
        if subject in self._collection(doubt).subjects():
            raise ConflictError(f"collection {doubt.collection!r} has {subject!r} already", "answer 'rename'")
        return self._add(doubt, "new", subjects.checked(subject), force)

    def reject(self, number: int) -> str:
        """It is not the subject in question: from now on looks like this one are held away from that name."""
        doubt = self._queue.get(number)
        if doubt.subject is None:
            raise InputError(f"question {number} names nobody", "discard it, or say who it is", code="subject")
        if doubt.version:
            self._learned(doubt, "rejected", None)
        else:
            self._given(doubt, "rejected", doubt.subject)
        return doubt.subject

    def discard(self, number: int) -> None:
        """Nothing is to be learned from it."""
        self._given(self._queue.get(number), "discarded", None)

    def undo(self, number: int | None = None) -> ReviewQuestion:
        """Take back an answer that was given here, the last one where no number is told: the question waits again.

        Raises NotFoundError for one that was not given here, or lies too far back.
        """
        given = self._undoable.get(number) if number is not None else next(reversed(self._undoable.values()), None)
        if given is None:
            raise NotFoundError("no such answer was given here", "only the latest answers can be taken back")
        self._queue.restore(given.doubt)
        del self._undoable[given.doubt.id]
        if given.faces:
            self._collection(given.doubt).delete_faces(given.faces)
        if given.stranger is not None:
            self._queue.strangers.restore(given.stranger)
        return given.doubt

    @property
    def undoable(self) -> list[int]:
        """Numbers of the questions whose answers can be taken back, the last one last."""
        return list(self._undoable)

    def verdict(self, doubt: ReviewQuestion, subject: str) -> EnrollmentCheck:
        """What the gate says of adding this look to ``subject``."""
        return check_enrollment(self._collection(doubt), doubt.vector, subject, self._match.get(doubt.label, 1.0))

    def _learned(self, doubt: ReviewQuestion, answer: Answer, label: str | None) -> str:
        """An example of custom labels, from which the next refit learns. ``label``: None for none of them."""
        name = label_name(label) if label is not None else None
        self._queue.examples.put(doubt.id, doubt.version.partition("/")[0], name, doubt.space.fingerprint, doubt.vector)
        self._given(doubt, answer, label)
        return label or ""

    def _add(self, doubt: ReviewQuestion, answer: Answer, subject: str, force: bool) -> str:
        collection = self._collection(doubt)
        fits(collection, doubt.space, f"question {doubt.id}: it was", "discard it, and answer newer ones")
        verdict = self.verdict(doubt, subject)
        if verdict.harm and not force:
            raise ConflictError(
                f"question {doubt.id}: {verdict.harm}", "discard it, or add it all the same with --force"
            )
        faces: list[str] = []
        if not verdict.redundant:
            seen = EmbeddedFace(doubt.vector, doubt.box, doubt.score, doubt.quality)
            faces = [add_embedded(collection, subject, seen, doubt.space)]
        stranger = self._named(doubt, subject, faces)
        self._given(doubt, answer, subject, _Given(doubt, tuple(faces), stranger))
        return subject

    def _named(self, doubt: ReviewQuestion, subject: str, faces: list[str]) -> Stranger | None:
        """Whoever was known by a pseudonym is known by the name now, with all looks that do no harm."""
        with suppress(NotFoundError, ConflictError, SpaceError):
            stranger = self._queue.strangers.get(doubt.pseudonym)
            faces += name_stranger(self._collections, stranger, subject, self._match.get(doubt.label, 1.0))
            self._queue.strangers.remove([stranger.id])
            return stranger
        return None

    def _given(self, doubt: ReviewQuestion, answer: Answer, subject: str | None, given: _Given | None = None) -> None:
        given = given or _Given(doubt)
        self._queue.answer(doubt, answer, subject, given.faces[0] if given.faces else None)
        self._undoable[doubt.id] = given
        while len(self._undoable) > MOST_UNDOABLE:
            del self._undoable[next(iter(self._undoable))]

    def _collection(self, doubt: ReviewQuestion) -> Collection:
        return self._collections.get(doubt.collection)


def matches(settings: Settings, state: Path) -> dict[str, float]:
    """The cosine that makes a match, by label, as the daemon has it; labels whose model is not there are left out."""
    found: dict[str, float] = {}
    folders = model.folders(settings.models, state)
    for name, label in settings.labels.items():
        try:
            embedder = model.find(label.embedder, folders) if label.embedder else None
            scorer = scorer_of(embedder) if embedder else None
        except (NotFoundError, ModelError):
            continue
        if embedder is not None and scorer is not None:
            likeness = embedder.card.thresholds.similarity if label.similarity is None else label.similarity
            found[name] = scorer.typical_cosine(likeness)
    return found


def export(folder: Path, answers: Sequence[AnsweredQuestion], when: float | None = None) -> int:
    """Pictures of what was confirmed, and ``output.manifest`` beside them. Returns the number of lines.

    Answers whose picture was not kept are left out. Raises OSError.
    """
    lines = []
    for one in answers:
        if not one.crop or one.subject is None or one.answer not in ("confirmed", "renamed", "new"):
            continue
        name = f"{one.id}.jpg"
        files.write_bytes(folder / name, one.crop)
        example = Example(folder / name, (Annotation(one.subject),), name)
        lines.append(ground_truth.line(example, (SIDE, SIDE), "edge-review", when or one.time))
    files.write_bytes(folder / "output.manifest", "".join(f"{line}\n" for line in lines).encode())
    return len(lines)


def document(doubt: ReviewQuestion) -> dict[str, object]:
    """A question as commands and pages show it, without the embedding and the picture."""
    return {
        "id": doubt.id,
        "reason": doubt.reason,
        "time": doubt.time,
        "camera": doubt.camera,
        "track": doubt.track,
        "label": doubt.label,
        "collection": doubt.collection,
        "version": doubt.version,
        "subject": doubt.subject,
        "pseudonym": doubt.pseudonym,
        "quality": round(doubt.quality, 3),
        "score": round(doubt.score, 3),
        "picture": bool(doubt.crop),
        "nearest": [
            {"subject": one.subject, "face_id": one.face_id, "similarity": round(one.similarity, 4)}
            for one in doubt.nearest
        ],
    }
