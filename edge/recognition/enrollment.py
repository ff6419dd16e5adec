"""From pictures to faces of a collection: detect, choose, judge, embed, store. A bad picture never stops the run."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.core import subjects
from edge.core.errors import InputError, SpaceError
from edge.core.imaging import image as pictures
from edge.core.storage import files
from edge.core.types import Detection, Face, Picture
from edge.recognition.extraction import Finder, Seen, image_files
from edge.recognition.store import Collection, NewFace
from edge.recognition.store.face_rows import face_id

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
"""reason code -> words; a code of InputError brings its own"""


@dataclass(frozen=True, slots=True)
class ToEnroll:
    """A picture and whom it shows."""

    path: Path
    subject: str | None
    """None: it lies in no subject's folder"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture. When it is told, it is on disk."""

    path: Path
    subject: str | None
    status: Status
    face: Face | None = None
    """added, or there already (perhaps as another subject)"""
    reason: str = ""
    """why it was skipped: a code"""
    message: str = ""
    """the reason in words"""
    others: int = 0
    """further detections in the picture, which were not enrolled"""


def planned(path: Path, subject: str | None) -> list[ToEnroll]:
    """The pictures to enroll: all of ``path`` as ``subject``, or a folder with a folder a subject.

    Raises InputError for a path that is not there, a file without a subject, or a name that breaks the rule.
    """
    if subject is not None:
        name = subjects.checked(subject)
        return [ToEnroll(file, name) for file in image_files(path)]
    if path.is_file():
        raise InputError(f"{path}: whom does it show?", "name the subject with --subject NAME", code="no_subject")
    return [ToEnroll(file, _folder_of(file, path)) for file in image_files(path)]


def enroll_images(plan: Iterable[ToEnroll], finder: Finder, collection: Collection) -> Iterator[Outcome]:
    """Enroll each picture's best detection; one outcome a picture, in order.

    Raises SpaceError, ModelError and StoreError, which would befall every other picture as well.
    """
    collection.check_space(finder.embedder.space)
    for one in plan:
        try:
            yield _enroll(one, finder, collection)
        except SpaceError:
            raise
        except InputError as error:
            yield Outcome(one.path, one.subject, "skipped", reason=error.code, message=error.message)


def enroll_picture(
    picture: Picture, image_sha256: str, subject: str, finder: Finder, collection: Collection
) -> tuple[Face | None, bool, str, int]:
    """Store the best detection of one picture.

    Returns its face, whether it is new, the reason where there is none, and the number of other detections.
    """
    detections = finder.detect(picture)
    if not detections:
        return None, False, "no_face", 0
    chosen = finder.embed(picture, [best(detections)])[0]
    if chosen.embedding is None:
        return None, False, chosen.reason, len(detections) - 1
    new = new_face(chosen, image_sha256, subject)
    known = collection.known([face_id(finder.embedder.space.fingerprint, new)])
    face = collection.add([new], finder.embedder.space)[0]
    return face, not known, "", len(detections) - 1


def best(detections: Iterable[Detection]) -> Detection:
    """Whom a portrait is of: the largest, of equals the one nearer to the middle."""

    def weight(detection: Detection) -> float:
        middle = detection.box.center
        away = math.hypot(middle.x - 0.5, middle.y - 0.5)
        return detection.box.area * (1.0 - min(0.9, away))

    return max(detections, key=weight)


def new_face(seen: Seen, image_sha256: str, subject: str) -> NewFace:
    """What is stored of a detection that has an embedding."""
    assert seen.embedding is not None  # noqa: S101
    return NewFace(
        vector=seen.embedding.vector,
        subject=subject,
        image_sha256=image_sha256,
        box=seen.detection.box,
        confidence=seen.detection.score,
        quality=seen.quality.score,
    )


def _enroll(one: ToEnroll, finder: Finder, collection: Collection) -> Outcome:
    if one.subject is None:
        return _skipped(one, "no_subject", finder.label)
    subject = subjects.checked(one.subject)
    picture = pictures.read(one.path)
    face, new, reason, others = enroll_picture(picture, files.sha256(one.path), subject, finder, collection)
    if face is None:
        return _skipped(one, reason, finder.label, others)
    return Outcome(one.path, subject, "added" if new else "already_there", face=face, others=others)


def _skipped(one: ToEnroll, reason: str, label: str, others: int = 0) -> Outcome:
    words = HINTS.get(reason, reason).format(label=label)
    return Outcome(one.path, one.subject, "skipped", reason=reason, message=f"{one.path}: {words}", others=others)


def _folder_of(file: Path, base: Path) -> str | None:
    parts = file.relative_to(base).parts
    # macOS writes decomposed names, everybody else composed ones: the same person
    return unicodedata.normalize("NFC", parts[0]) if len(parts) > 1 else None
