"""Rows of ``faces``, and the deterministic FaceId."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.core import subjects
from edge.core.errors import InputError, NotFoundError, StoreError
from edge.core.storage.sqlite import Connection
from edge.core.storage.vault import Resealing, Stored, Vault
from edge.core.types import Box, Face

if TYPE_CHECKING:
    from edge.core.types import FloatArray

NAMESPACE = uuid.UUID("5c2f0b1e-6d0a-5f0e-9a51-5f1c0edce001")
"""UUID namespace of FaceIds and ImageIds; changing it changes all ids"""
DECIMALS = 3
"""decimals of a box in a FaceId, so that the same detection gives the same id"""
COLUMNS = (
    "face_id, subject, image_id, external_image_id, box_left, box_top, box_right, box_bottom, "
    "confidence, quality, created, origin"
)
VECTOR, EXTERNAL = "face vector", "face external"
"""contexts of sealed values"""
MOST_PARAMETERS = 500
"""maximum ids in one statement"""


@dataclass(frozen=True, slots=True)
class NewFace:
    """A face to store."""

    vector: FloatArray
    """(dimensions,) float32, length 1"""
    subject: str | None
    image_sha256: str
    """hex digest of the bytes of the picture's file"""
    box: Box
    confidence: float = 0.0
    """score of the detector, 0..1"""
    quality: float = 0.0
    """0..1"""
    external_image_id: str | None = None

    def __post_init__(self) -> None:
        if self.subject is not None:
            object.__setattr__(self, "subject", subjects.composed(self.subject))


def check(new: NewFace) -> None:
    """Raises InputError for an invalid subject or box."""
    if new.subject is not None:
        subjects.checked(new.subject)
    box = new.box
    if not all(map(math.isfinite, (box.left, box.top, box.right, box.bottom))):
        raise InputError(f"box of a face: expected fractions of the frame, got {box}", "check the detector", code="box")


def image_id(image_sha256: str) -> str:
    """The ImageId of a picture, the same for the same bytes."""
    return str(uuid.uuid5(NAMESPACE, image_sha256))


def face_id(space: str, new: NewFace) -> str:
    """The FaceId: the same for the same place in the same picture, ExternalImageId and embedding space.

    So it is the same in two collections, as in Rekognition, and differs after a change of model. Another
    ExternalImageId gives another face.
    """
    box = (new.box.left, new.box.top, new.box.right, new.box.bottom)
    place = ",".join(f"{round(value, DECIMALS) + 0.0:.{DECIMALS}f}" for value in box)
    return str(uuid.uuid5(NAMESPACE, "\n".join((space, new.image_sha256, place, new.external_image_id or ""))))


def from_new(collection: str, space: str, new: NewFace, created: float | None = None) -> Face:
    """The face that ``new`` becomes in ``collection``, which holds embeddings of ``space`` (its fingerprint)."""
    return Face(
        face_id=face_id(space, new),
        collection=collection,
        subject=new.subject,
        image_id=image_id(new.image_sha256),
        external_image_id=new.external_image_id,
        box=new.box,
        confidence=new.confidence,
        quality=new.quality,
        created=time.time() if created is None else created,
    )


def insert(db: Connection, collection: int, space: str, faces: Iterable[tuple[Face, FloatArray]]) -> None:
    """Store new faces; existing faces are unchanged."""
    db.executemany(
        f"INSERT INTO faces (collection, space, vector, {COLUMNS}) VALUES ({', '.join('?' * 15)}) "  # noqa: S608
        "ON CONFLICT (collection, face_id) DO NOTHING",
        (
            (collection, space, sealed(db.vault, vector, collection, face), *_values(db.vault, collection, face))
            for face, vector in faces
        ),
    )


def select(
    db: Connection, name: str, where: str, parameters: Sequence[object], limit: int = -1
) -> list[tuple[int, Face]]:
    """(row, face) in the order of enrollment. ``where`` must be a constant, never user input."""
    # with a list of ids, SQLite would scan the whole collection for the order
    order = "+row" if "face_id IN" in where else "row"
    sql = f"SELECT row, collection, {COLUMNS} FROM faces WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
    return [(row[0], _face(db.vault, row[1], name, row[2:])) for row in db.execute(sql, (*parameters, limit))]


def select_ids(db: Connection, name: str, collection: int, ids: Iterable[str]) -> dict[str, Face]:
    """The faces of ``collection`` with these FaceIds; unknown ones are left out."""
    found: dict[str, Face] = {}
    for where, parameters in among(collection, ids):
        found.update((face.face_id, face) for _, face in select(db, name, where, parameters))
    return found


def vectors(db: Connection, collection: int, ids: Iterable[str]) -> dict[str, FloatArray]:
    """The embeddings of the faces of ``collection`` with these FaceIds; unknown ones are left out."""
    found: dict[str, FloatArray] = {}
    for where, parameters in among(collection, ids):
        sql = f"SELECT face_id, vector, subject FROM faces WHERE {where}"  # noqa: S608
        for face_id, blob, subject in db.execute(sql, parameters):
            found[face_id] = vector(opened(db.vault, blob, collection, face_id, subject))
    return found


def delete(db: Connection, where: str, parameters: Sequence[object]) -> list[str]:
    """Delete faces; returns their FaceIds. ``where`` must be a constant, never user input."""
    found = [row[0] for row in db.execute(f"SELECT face_id FROM faces WHERE {where} ORDER BY row", parameters)]  # noqa: S608
    db.execute(f"DELETE FROM faces WHERE {where}", parameters)  # noqa: S608
    return found


def named(vault: Vault, name: str) -> tuple[str, list[Stored | None]]:
    """SQL condition with parameters for the faces of a subject, in any stored form of its name."""
    forms = [vault.name(form) for form in subjects.forms(name)]
    return f"subject IN ({', '.join('?' * len(forms))})", forms


def compose_subjects(db: Connection) -> int:
    """Normalize every subject's name to Unicode NFC; returns the number of renamed faces.

    Two forms of a name become one subject. A name or an embedding that cannot be decrypted is unchanged.
    """
    renamed = 0
    for (name_stored,) in db.execute("SELECT DISTINCT subject FROM faces WHERE subject IS NOT NULL").fetchall():
        with suppress(StoreError):
            old = db.vault.named(name_stored) or ""
            if (new := subjects.composed(old)) == old:
                continue
            rows = db.execute("SELECT row, collection, face_id, vector FROM faces WHERE subject = ?", (name_stored,))
            for row, collection, face_id, blob in rows.fetchall():
                data = opened(db.vault, blob, collection, face_id, name_stored)
                sealed_again = db.vault.seal(data, VECTOR, collection, face_id, new)
                db.execute(
                    "UPDATE faces SET subject = ?, vector = ? WHERE row = ?", (db.vault.name(new), sealed_again, row)
                )
                renamed += 1
    return renamed


def row_of(db: Connection, name: str, collection: int, face_id: str) -> int:
    """Row of a face, which may have been deleted; 0 for an empty FaceId. Raises NotFoundError."""
    if not face_id:
        return 0
    sql = (
        "SELECT row FROM faces WHERE collection = ?1 AND face_id = ?2 "
        "UNION ALL SELECT max(row) FROM removed WHERE collection = ?1 AND face_id = ?2"
    )
    found = db.execute(sql, (collection, face_id)).fetchone()
    if found is None or found[0] is None:
        raise missing(name, face_id)
    return int(found[0])


def missing(name: str, face_id: str) -> NotFoundError:
    return NotFoundError(f"collection {name!r} has no face {face_id!r}", f"edge collection show {name} lists its faces")


def sealed(vault: Vault, vector: FloatArray, collection: int, face: Face) -> bytes:
    """An embedding as ``faces.vector``, encrypted with face and subject as context."""
    return vault.seal(vector.astype("<f4").tobytes(), VECTOR, collection, face.face_id, face.subject)


def opened(vault: Vault, blob: bytes, collection: int, face_id: str, subject: Stored | None) -> bytes:
    """The decrypted bytes of a ``faces.vector``; ``subject`` as stored. Raises StoreError."""
    return vault.open(blob, VECTOR, collection, face_id, vault.named(subject)) if vault.key else blob


def vector(data: bytes) -> FloatArray:
    """The embedding of decrypted bytes."""
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)


def among(collection: int, ids: Iterable[str]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """SQL conditions with parameters that together select the faces of ``collection`` with these FaceIds."""
    for part in parts(ids):
        yield f"collection = ? AND face_id IN ({', '.join('?' * len(part))})", (collection, *part)


def parts(values: Iterable[str]) -> Iterator[list[str]]:
    """``values`` in chunks for one statement each."""
    iterator = iter(values)
    while piece := list(islice(iterator, MOST_PARAMETERS)):
        yield piece


def reseal(db: Connection, change: Resealing) -> int:
    """Re-encrypt every face and user; damaged faces are deleted. Returns their number.

    Runs in the caller's transaction. Raises SettingsError.
    """
    sql = "SELECT row, collection, face_id, subject, external_image_id, vector FROM faces WHERE row > ? ORDER BY row"
    damaged = last = 0
    while rows := db.execute(f"{sql} LIMIT 1000", (last,)).fetchall():
        for row in rows:
            last = row[0]
            try:
                changed = _resealed(change, *row[1:])
            except StoreError:
                damaged += db.execute("DELETE FROM faces WHERE row = ?", (last,)).rowcount
            else:
                db.execute(
                    "UPDATE faces SET subject = ?, external_image_id = ?, vector = ? WHERE row = ?", (*changed, last)
                )
    for number, name in db.execute("SELECT id, user_id FROM users").fetchall():
        db.execute("UPDATE users SET user_id = ? WHERE id = ?", (change.name(name), number))
    return damaged


def _resealed(
    change: Resealing, number: int, face_id: str, subject: Stored | None, external: Stored | None, blob: bytes
) -> tuple[object, ...]:
    outer = None if external is None else change.text(external, EXTERNAL, number, face_id)
    vector = change.data(blob, VECTOR, number, face_id, change.old.named(subject))
    return change.name(subject), outer, vector


def _values(vault: Vault, collection: int, face: Face) -> tuple[object, ...]:
    box = face.box
    corners = (None, None, None, None) if box is None else (box.left, box.top, box.right, box.bottom)
    external = face.external_image_id
    if external is not None:
        external = vault.seal_text(external, EXTERNAL, collection, face.face_id)  # type: ignore[assignment]
    named = (face.face_id, vault.name(face.subject), face.image_id, external)
    return (*named, *corners, face.confidence, face.quality, face.created, face.origin)


def _face(vault: Vault, number: int, collection: str, row: Sequence[Any]) -> Face:
    face_id, subject, image, external = row[:4]
    if external is not None:
        external = vault.open_text(external, EXTERNAL, number, face_id)
    box = None if row[4] is None else Box(*row[4:8])
    return Face(face_id, collection, vault.named(subject), image, external, box, *row[8:12])
