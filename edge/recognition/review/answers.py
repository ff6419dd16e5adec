"""Review answers: applies reviewers' decisions to the collections after the consistency check, with undo and export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.core import subjects
from edge.core.errors import ConflictError, InputError, ModelError, NotFoundError, SpaceError
from edge.core.imaging import image
from edge.core.settings.schema import Settings
from edge.core.storage import files
from edge.core.types import Space
from edge.inference import model
from edge.inference.scoring import UNNORMALIZED, FaceScorer, scorer_of
from edge.labels import ground_truth
from edge.labels.examples import Annotation, Example, label_name
from edge.recognition.enrollment import EmbeddedFace, add_embedded, fits, name_stranger
from edge.recognition.enrollment_check import EnrollmentCheck, check_enrollment
from edge.recognition.identification import subject_search
from edge.recognition.review.pictures import ReviewPicture
from edge.recognition.review.question import Nearest, ReviewQuestion, asked_subject, nearest_of
from edge.recognition.review.queue import Answer, AnsweredQuestion, ReviewQueue
from edge.recognition.review.rejections import RejectionIndex
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.subject_search import SubjectSearch

SearchOf = Callable[[str, Collection], SubjectSearch]
"""label, collection -> the search of that label in it"""

SIDE = 160
"""side of a stored crop, pixels"""
MAX_RESOLVED = 1000
"""maximum pending questions that are compared with the collection after an answer"""
MOST_UNDOABLE = 500
"""maximum answers that can be undone"""


@dataclass(frozen=True, slots=True)
class _Given:
    doubt: ReviewQuestion
    faces: tuple[str, ...] = ()
    """FaceIds that were added"""
    stranger: Stranger | None = None
    """the stranger named by the answer"""
    looks: tuple[ReviewQuestion, ...] = ()
    """further crops of the same face, answered together"""
    resolved: tuple[ReviewQuestion, ...] = ()
    """questions resolved by this answer: their face is now recognized"""
    picture: int = 0
    """number of the picture whose boxes were corrected"""


class ReviewService:
    """Applies answers to the collections of a state folder.

    ``search`` returns the search of a label in a collection; None: generic scores. Raises NotFoundError for a
    deleted question, ConflictError if the consistency check fails, SpaceError, StoreError.
    """

    def __init__(self, queue: ReviewQueue, collections: Collections, search: SearchOf | None = None) -> None:
        self._queue, self._collections = queue, collections
        self._search = search or (lambda _, collection: SubjectSearch(collection, rejections=queue.rejections))
        self._undoable: dict[int, _Given] = {}

    def confirm(self, number: int, force: bool = False, subject: str = "") -> str:
        """Confirm the subject of the question, or ``subject`` if another one was shown. Returns the name."""
        doubt = self._best_look(number)
        if subject and subject != doubt.subject:
            return self.rename(number, subject, force)
        if doubt.subject is None:
            raise InputError(f"question {number} names no subject", "give a name: rename, or new", code="subject")
        if doubt.version:
            return self._learned(doubt, "confirmed", doubt.subject)
        return self._add(doubt, "confirmed", doubt.subject, force)

    def rename(self, number: int, subject: str, force: bool = False) -> str:
        """Assign another existing subject of the collection. Returns the name."""
        subject = subjects.composed(subject)
        doubt = self._best_look(number)
        if doubt.version:
            return self._learned(doubt, "renamed", subject)
        if subject not in self._collection(doubt).subjects():
            raise NotFoundError(
                f"collection {doubt.collection!r} has no subject {subject!r}", "check the name, or answer 'new'"
            )
        return self._add(doubt, "renamed" if subject != doubt.subject else "confirmed", subject, force)

    def new(self, number: int, subject: str, force: bool = False) -> str:
        """Enroll the face as a new subject. Returns the name."""
        subject = subjects.composed(subject)
        doubt = self._best_look(number)
        if doubt.version:
            return self._learned(doubt, "new", subject)
        if subject in self._collection(doubt).subjects():
            raise ConflictError(f"collection {doubt.collection!r} has {subject!r} already", "answer 'rename'")
        return self._add(doubt, "new", subjects.checked(subject), force)

    def name(self, number: int, subject: str, force: bool = False) -> str:
        """Confirm, assign or enroll ``subject``, whichever applies in the collection. Returns the name."""
        subject = subjects.composed(subject)
        doubt = self._best_look(number)
        if doubt.version or subject in self._collection(doubt).subjects():
            return self.confirm(number, force, subject)
        return self.new(number, subject, force)

    def reject(self, number: int, subject: str = "") -> str:
        """Reject the subject of the question, or ``subject``: similar faces are no longer matched with it."""
        doubt = self._best_look(number)
        name = subjects.composed(subject) or doubt.subject
        if name is None:
            raise InputError(f"question {number} names no subject", "discard it, or give a name", code="subject")
        if doubt.version:
            self._learned(doubt, "rejected", None)
        else:
            self._given(doubt, "rejected", name, _Given(doubt, looks=self._further_looks(doubt)))
        return name

    def discard(self, number: int) -> None:
        """Discard the question; this face is not queued again for ``review.days``."""
        doubt = self._best_look(number)
        self._given(doubt, "discarded", None, _Given(doubt, looks=self._further_looks(doubt)))

    def correct(self, number: int, boxes: Sequence[Annotation]) -> list[int]:
        """Replace the boxes of the picture. Answers every question about it; returns their numbers."""
        doubt = self._queue.get(number)
        if not doubt.picture:
            raise InputError(f"question {number} has no picture with boxes", "answer it by a label", code="picture")
        about = self._queue.about_picture(doubt.picture)
        self._queue.pictures.correct(doubt.picture, boxes)
        others = tuple(one for one in about if one.id != doubt.id)
        self._given(doubt, "corrected", None, _Given(doubt, looks=others, picture=doubt.picture))
        return [one.id for one in about]

    def current(self, questions: Sequence[ReviewQuestion]) -> list[ReviewQuestion]:
        """The questions with the nearest subjects of the current collections, and the subject to ask about by name.

        Questions of custom labels are unchanged, as are those of a deleted collection or model.
        """
        found = {one.id: self._asked_now(one, near, needed) for one, near, needed in self._nearest_now(questions)}
        return [found.get(one.id, one) for one in questions]

    def undo(self, number: int | None = None) -> ReviewQuestion:
        """Undo an answer of this service, by default the last one: the question is pending again.

        Raises NotFoundError for an unknown answer, or one that is too old.
        """
        given = self._undoable.get(number) if number is not None else next(reversed(self._undoable.values()), None)
        if given is None:
            raise NotFoundError("no such answer was given here", "only the latest answers can be taken back")
        for look in (given.doubt, *given.looks):
            self._queue.restore(look)
        if given.picture:
            self._queue.pictures.correct(given.picture, None)
        self._queue.put_back(given.resolved)
        del self._undoable[given.doubt.group]
        if given.faces:
            self._collection(given.doubt).delete_faces(given.faces)
        if given.stranger is not None:
            self._queue.strangers.restore(given.stranger)
        return given.doubt

    @property
    def undoable(self) -> list[int]:
        """Numbers of the questions whose answers can be undone, latest last."""
        return list(self._undoable)

    def verdict(self, doubt: ReviewQuestion, subject: str) -> EnrollmentCheck:
        """Result of the consistency check for adding this face to ``subject``."""
        return check_enrollment(self._search(doubt.label, self._collection(doubt)), doubt.vector, subject)

    def _learned(self, doubt: ReviewQuestion, answer: Answer, label: str | None) -> str:
        """Store an example of custom labels for the next refit. ``label``: None for a negative example."""
        name = label_name(label) if label is not None else None
        self._queue.examples.put(doubt.id, doubt.version.partition("/")[0], name, doubt.space.fingerprint, doubt.vector)
        self._given(doubt, answer, label)
        return label or ""

    def _add(self, doubt: ReviewQuestion, answer: Answer, subject: str, force: bool) -> str:
        collection = self._collection(doubt)
        fits(collection, doubt.space, f"question {doubt.id}: it was", "discard it, and answer newer ones")
        verdict = self.verdict(doubt, subject)
        if verdict.harm and not force:
            raise ConflictError(f"question {doubt.id}: {verdict.harm}", "discard it, or add it anyway with --force")
        looks = self._further_looks(doubt)
        faces: list[str] = []
        for look in (doubt, *looks):
            check = verdict if look is doubt else self.verdict(look, subject)
            if check.redundant or (check.harm and look is not doubt):
                continue
            seen = EmbeddedFace(look.vector, look.box, look.score, look.quality)
            faces.append(add_embedded(collection, subject, seen, look.space))
        stranger = self._named(doubt, subject, faces)
        resolved = tuple(self._resolved({doubt.id, *(look.id for look in looks)}, doubt))
        self._given(doubt, answer, subject, _Given(doubt, tuple(faces), stranger, looks, resolved))
        self._queue.remove([one.id for one in resolved])
        return subject

    def _best_look(self, number: int) -> ReviewQuestion:
        return self._queue.looks(self._queue.get(number))[0]

    def _further_looks(self, doubt: ReviewQuestion) -> tuple[ReviewQuestion, ...]:
        return tuple(look for look in self._queue.looks(doubt) if look.id != doubt.id)

    def _resolved(self, answered: set[int], doubt: ReviewQuestion) -> Iterator[ReviewQuestion]:
        """Pending questions that the collection now resolves: most crops of the face match one subject with a lead."""
        waiting = [one for one in self._queue.doubts(limit=MAX_RESOLVED) if one.id not in answered]
        same = [one for one in waiting if (one.collection, one.space) == (doubt.collection, doubt.space)]
        groups: dict[int, list[tuple[ReviewQuestion, bool]]] = {}
        for one, near, needed in self._nearest_now(same):
            known = one.match > 0 and asked_subject(near, needed) is not None
            groups.setdefault(one.group, []).append((one, known))
        for looks in groups.values():
            if 2 * sum(known for _, known in looks) > len(looks):
                yield from (one for one, _ in looks)

    def _nearest_now(
        self, questions: Sequence[ReviewQuestion]
    ) -> Iterator[tuple[ReviewQuestion, tuple[Nearest, ...], float]]:
        """Each question with the current nearest subjects, and the likeness 0..100 that a match requires."""
        places: dict[tuple[str, str, Space], list[ReviewQuestion]] = {}
        for one in questions:
            if one.collection and not one.version:
                places.setdefault((one.label, one.collection, one.space), []).append(one)
        for (label, name, space), same in places.items():
            with suppress(NotFoundError, SpaceError):
                search = self._search(label, self._collections.get(name))
                if not search.collection.count:
                    yield from ((one, (), search.needed) for one in same)
                    continue
                found = search.subjects(np.stack([one.vector for one in same]), space)
                for one, matches in zip(same, found, strict=True):
                    yield one, nearest_of(matches), search.needed

    def _asked_now(self, doubt: ReviewQuestion, nearest: tuple[Nearest, ...], needed: float) -> ReviewQuestion:
        if doubt.reason == "audit" or not doubt.match:
            return replace(doubt, nearest=nearest, needed=needed)
        return replace(doubt, nearest=nearest, needed=needed, subject=asked_subject(nearest, needed))

    def _named(self, doubt: ReviewQuestion, subject: str, faces: list[str]) -> Stranger | None:
        """Name the stranger of a question: add those of its embeddings that pass the consistency check."""
        with suppress(NotFoundError, ConflictError, SpaceError):
            stranger = self._queue.strangers.get(doubt.pseudonym)
            search = self._search(doubt.label, self._collections.get(stranger.collection))
            faces += name_stranger(search, stranger, subject)
            self._queue.strangers.remove([stranger.id])
            return stranger
        return None

    def _given(self, doubt: ReviewQuestion, answer: Answer, subject: str | None, given: _Given | None = None) -> None:
        given = given or _Given(doubt)
        self._queue.answer(doubt, answer, subject, given.faces[0] if given.faces else None)
        for look in given.looks:
            self._queue.answer(look, answer, subject)
        self._undoable[doubt.group] = given
        while len(self._undoable) > MOST_UNDOABLE:
            del self._undoable[next(iter(self._undoable))]

    def _collection(self, doubt: ReviewQuestion) -> Collection:
        return self._collections.get(doubt.collection)


def searches(settings: Settings, state: Path, rejections: RejectionIndex | None) -> SearchOf:
    """Factory of searches by label and collection. Labels without an available model get generic scores."""
    scorers = _scorers(settings, state)
    held: dict[tuple[str, str], SubjectSearch] = {}

    def search(label: str, collection: Collection) -> SubjectSearch:
        found = held.get((label, collection.name))
        if found is None or found.collection is not collection:
            scorer = scorers.get(label, UNNORMALIZED)
            found = subject_search(settings, label, scorer, collection, rejections=rejections)
            held[label, collection.name] = found
        return found

    return search


def _scorers(settings: Settings, state: Path) -> dict[str, FaceScorer]:
    """Scorers by label; labels without an available embedder are omitted."""
    found = {}
    folders = model.folders(settings.models, state)
    for name, label in settings.labels.items():
        with suppress(NotFoundError, ModelError):
            if label.embedder:
                found[name] = scorer_of(model.find(label.embedder, folders))
    return found


def export(
    folder: Path,
    answers: Sequence[AnsweredQuestion],
    pictures: Sequence[ReviewPicture] = (),
    when: float | None = None,
) -> int:
    """Write the confirmed or corrected pictures and ``output.manifest``. Returns the number of lines.

    Answers without a stored picture are omitted. Raises OSError.
    """
    lines = []
    for one in answers:
        if not one.crop or one.subject is None or one.answer not in ("confirmed", "renamed", "new"):
            continue
        name = f"{one.id}.jpg"
        files.write_bytes(folder / name, one.crop)
        example = Example(folder / name, (Annotation(one.subject),), name)
        lines.append(ground_truth.line(example, (SIDE, SIDE), "edge-review", when or one.time))
    for picture in pictures:
        name = f"picture-{picture.id}.jpg"
        files.write_bytes(folder / name, picture.jpeg)
        shown = image.decode(picture.jpeg, name)
        example = Example(folder / name, picture.boxes or (), name)
        lines.append(ground_truth.line(example, (shown.width, shown.height), "edge-review", when or picture.time))
    files.write_bytes(folder / "output.manifest", "".join(f"{line}\n" for line in lines).encode())
    return len(lines)


def document(doubt: ReviewQuestion) -> dict[str, object]:
    """A question as JSON for commands and pages, without embedding and picture."""
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
            {
                "subject": one.subject,
                "face_id": one.face_id,
                "similarity": round(one.similarity, 4),
                "likeness": round(one.likeness, 1),
            }
            for one in doubt.nearest
        ],
    }
