"""Enrollment: detect, select, check quality, embed, store. An invalid picture never stops the run."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge.core import subjects
from edge.core.errors import ConflictError, InputError, NotFoundError, SpaceError
from edge.core.imaging import image as pictures
from edge.core.storage import files
from edge.core.types import WHOLE, Box, Detection, Face, Picture, Space
from edge.recognition.enrollment_check import check_enrollment
from edge.recognition.extraction import ExtractedFace, FaceExtractor, image_files
from edge.recognition.store.collection import Collection
from edge.recognition.store.face_rows import NewFace, check, from_new
from edge.recognition.store.users import Users
from edge.recognition.store.vectors import checked

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.recognition.review.stranger_store import Stranger
    from edge.recognition.subject_search import SubjectSearch


Status = Literal["added", "already_there", "skipped"]

HINTS = {
    "no_face": "no {label} was found",
    "no_subject": "lies in no subject's folder",
    "too_small": "the {label} is too small",
    "blurred": "the {label} is blurred",
    "turned_away": "the {label} is turned away",
    "cut_off": "the {label} is cut off by the border",
    "dark": "the {label} is too dark",
    "low_quality": "the {label} is of too low quality",
}
"""reason code -> text; InputError has its own text"""


@dataclass(frozen=True, slots=True)
class ToEnroll:
    """A picture and its subject."""

    path: Path
    subject: str | None
    """None: not in a subject's folder"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one picture; faces are on disk before it is yielded."""

    path: Path
    subject: str | None
    status: Status
    face: Face | None = None
    """the face, added or existing (possibly of another subject)"""
    reason: str = ""
    """code of why it was skipped"""
    message: str = ""
    """text of the reason"""
    others: int = 0
    """number of further detections, not enrolled"""


def planned(path: Path, subject: str | None) -> list[ToEnroll]:
    """The pictures to enroll: all of ``path`` as ``subject``, or a folder with one subfolder per person.

    Raises InputError for a missing path, a file without a subject, or an invalid name.
    """
    if subject is not None:
        name = subjects.checked(subject)
        return [ToEnroll(file, name) for file in image_files(path)]
    if path.is_file():
        raise InputError(f"{path}: no subject is given", "name the subject with --subject NAME", code="no_subject")
    return [ToEnroll(file, _folder_of(file, path)) for file in image_files(path)]


def enroll_images(plan: Iterable[ToEnroll], finder: FaceExtractor, collection: Collection) -> Iterator[Outcome]:
    """Enroll the best detection of each picture; one outcome per picture, in order.

    Raises SpaceError, ModelError and StoreError, which affect all pictures.
    """
    collection.check_space(finder.embedder.space)
    enroller = Enroller(collection)
    for one in plan:
        try:
            yield _enroll(one, finder, enroller)
        except SpaceError:
            raise
        except InputError as error:
            yield Outcome(one.path, one.subject, "skipped", reason=error.code, message=error.message)


@dataclass(frozen=True, slots=True)
class EnrolledPicture:
    """Result of one picture's best detection."""

    face: Face | None
    """None: nothing was enrolled"""
    added: bool = False
    """False if the face already existed"""
    reason: str = ""
    """code of ``HINTS`` if there is no face"""
    others: int = 0
    """number of further detections, not enrolled"""


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    """A face of the collection, and whether it is new."""

    face: Face
    added: bool


class Enroller:
    """Adds faces of subjects to one collection; used by commands, page, review, endpoint and hub.

    The ExternalImageId of a new face is that of most of the subject's faces, else the subject's name if Rekognition's
    alphabet allows it. The face joins the user with most of the subject's faces, or the user of that name.
    Raises SpaceError, InputError, StoreError.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    def add(self, new: NewFace, space: Space) -> EnrolledFace:
        """Store a face. The same face of the same picture is stored once, regardless of subject and ExternalImageId."""
        check(new)
        (vector,) = checked([new.vector], space.dimensions)
        others = self._others(new.subject) if new.subject is not None else []
        face = from_new(self.collection.name, space.fingerprint, replace(new, external_image_id=None))
        known = self.collection.known([face.face_id])
        named = replace(face, external_image_id=new.external_image_id or _external(new.subject, others))
        (stored,) = self.collection.merge([(named, vector)], space.fingerprint, space.dimensions)
        self._join(stored, new.subject, others)
        return EnrolledFace(stored, not known)

    def add_indexed(self, new: Sequence[NewFace], space: Space) -> list[Face]:
        """Store faces unchanged for a Rekognition client, which associates them with users itself."""
        return self.collection.add(new, space)

    def adopt(self, face: Face, vector: FloatArray, space: str) -> Face:
        """Store a face of another device with its FaceId. ``space``: fingerprint."""
        others = self._others(face.subject) if face.subject is not None else []
        named = replace(face, external_image_id=face.external_image_id or _external(face.subject, others))
        (stored,) = self.collection.merge([(named, vector)], space, len(vector))
        self._join(stored, face.subject, others)
        return stored

    def enroll_picture(
        self, picture: Picture, image_sha256: str, subject: str, finder: FaceExtractor
    ) -> EnrolledPicture:
        """Store the best detection of one picture."""
        detections = finder.detect(picture)
        if not detections:
            return EnrolledPicture(None, reason="no_face")
        chosen = finder.embed(picture, [best(detections)])[0]
        reason = chosen.reason
        if not reason and chosen.quality.score < finder.embedder.card.quality.enroll:
            reason = "low_quality"
        if reason:
            return EnrolledPicture(None, reason=reason, others=len(detections) - 1)
        done = self.add(new_face(chosen, image_sha256, subject), finder.embedder.space)
        return EnrolledPicture(done.face, done.added, others=len(detections) - 1)

    def _others(self, subject: str) -> list[Face]:
        return self.collection.faces(limit=MOST_LOOKED_AT, subject=subject)

    def _join(self, face: Face, subject: str | None, others: Sequence[Face]) -> None:
        """Associate a face with the subject's user, without a similarity check: the subject is given."""
        if subject is None or face.subject != subject:
            return
        users = self.collection.users()
        user = _user(users, subject, [other.face_id for other in others])
        if user is not None:
            users.associate(user, [face.face_id])


MOST_LOOKED_AT = 200
"""maximum faces of a subject from which ExternalImageId and user are derived"""


def best(detections: Iterable[Detection]) -> Detection:
    """The main detection of a portrait: the largest, of equal ones the nearest to the center."""

    def weight(detection: Detection) -> float:
        middle = detection.box.center
        away = math.hypot(middle.x - 0.5, middle.y - 0.5)
        return detection.box.area * (1.0 - min(0.9, away))

    return max(detections, key=weight)


def new_face(seen: ExtractedFace, image_sha256: str, subject: str) -> NewFace:
    """The face to store for a detection with an embedding."""
    assert seen.embedding is not None  # noqa: S101
    return NewFace(
        vector=seen.embedding.vector,
        subject=subject,
        image_sha256=image_sha256,
        box=seen.detection.box,
        confidence=seen.detection.score,
        quality=seen.quality.score,
    )


def _enroll(one: ToEnroll, finder: FaceExtractor, enroller: Enroller) -> Outcome:
    if one.subject is None:
        return _skipped(one, "no_subject", finder.label)
    subject = subjects.checked(one.subject)
    done = enroller.enroll_picture(pictures.read(one.path), files.sha256(one.path), subject, finder)
    if done.face is None:
        return _skipped(one, done.reason, finder.label, done.others)
    return Outcome(one.path, subject, "added" if done.added else "already_there", face=done.face, others=done.others)


def _skipped(one: ToEnroll, reason: str, label: str, others: int = 0) -> Outcome:
    words = HINTS.get(reason, reason).format(label=label)
    return Outcome(one.path, one.subject, "skipped", reason=reason, message=f"{one.path}: {words}", others=others)


def _folder_of(file: Path, base: Path) -> str | None:
    parts = file.relative_to(base).parts
    return subjects.composed(parts[0]) if len(parts) > 1 else None


EXTERNAL = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")
"""pattern of ExternalImageId in Rekognition"""


@dataclass(frozen=True, slots=True)
class EmbeddedFace:
    """An embedding of a subject, with data of its source picture."""

    vector: FloatArray
    box: Box = WHOLE
    score: float = 0.0
    quality: float = 0.0


def add_embedded(collection: Collection, subject: str, seen: EmbeddedFace, space: Space) -> str:
    """Add a face of ``subject`` without a picture; returns its FaceId.

    Raises ConflictError if the same embedding is already a face of another subject, SpaceError, StoreError.
    """
    new = NewFace(seen.vector, subject, _sha256(seen.vector), seen.box, seen.score, seen.quality)
    face = Enroller(collection).add(new, space).face
    if face.subject != subject:
        raise ConflictError(f"this very picture is a face of {face.subject} already", "delete that face first")
    return face.face_id


def fits(collection: Collection, space: Space, what: str, hint: str) -> None:
    """Raises SpaceError if an embedding of ``space`` was made by another embedder than the collection's faces."""
    if collection.count and collection.space not in (None, space.fingerprint):
        raise SpaceError(
            f"{what} seen by another embedder than the faces of {collection.name!r} are of now", hint, code="space"
        )


def name_stranger(search: SubjectSearch, stranger: Stranger, subject: str, force: bool = False) -> list[str]:
    """Enroll the stored embeddings of a stranger as ``subject``; returns the FaceIds of those that were added.

    ``search``: of the stranger's collection. Embeddings that fail the consistency check or are duplicates are skipped.
    Raises ConflictError if all fail the check, SpaceError for a collection of another embedder.
    """
    collection = search.collection
    fits(collection, stranger.space, f"{stranger.name} was", "edge strangers forget, and name whoever comes again")
    added, refused = [], []
    for vector in stranger.looks:
        verdict = check_enrollment(search, vector, subject)
        if verdict.harm and not force:
            refused.append(verdict.harm)
        elif not verdict.redundant:
            added.append(
                add_embedded(collection, subject, EmbeddedFace(vector, quality=stranger.quality), stranger.space)
            )
    if len(refused) == len(stranger.looks):
        raise ConflictError(f"{stranger.name}: {refused[0]}", "choose another name, or name it anyway: --force")
    return added


def _sha256(vector: FloatArray) -> str:
    """Replacement for the picture's digest of a face with only an embedding: the digest of the embedding."""
    return hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()


def _external(subject: str | None, others: Sequence[Face]) -> str | None:
    """The ExternalImageId of most of the subject's faces, else its name if Rekognition's alphabet allows it."""
    if subject is None:
        return None
    known = Counter(face.external_image_id for face in others if face.external_image_id is not None)
    if known:
        return known.most_common(1)[0][0]
    return subject if EXTERNAL.fullmatch(subject) else None


def _user(users: Users, subject: str, face_ids: Sequence[str]) -> str | None:
    """The user that has most of the subject's faces; else the user of the same name."""
    owners = Counter(users.owners(face_ids).values())
    if owners:
        return owners.most_common(1)[0][0]
    try:
        return users.get(subject).user_id
    except NotFoundError:
        return None
