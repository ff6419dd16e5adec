"""Rows of ``faces``: what a face is in the database, and its deterministic FaceId."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from edge.types import Box, Face

if TYPE_CHECKING:
    from edge.types import FloatArray

NAMESPACE = uuid.UUID("5c2f0b1e-6d0a-5f0e-9a51-5f1c0edce001")
"""of all FaceIds and ImageIds; changing it makes every picture a new one"""
DECIMALS = 3
"""of a box in a FaceId: the same face found again by the same detector"""
COLUMNS = (
    "face_id, subject, image_id, external_image_id, box_left, box_top, box_right, box_bottom, "
    "confidence, quality, created, origin"
)
MOST_PARAMETERS = 500
"""names in one statement"""


@dataclass(frozen=True, slots=True)
class NewFace:
    """A face that is to be stored."""

    vector: FloatArray
    """(dimensions,) float32, length 1"""
    subject: str | None
    image_sha256: str
    """hex digest of the bytes of the picture's file"""
    box: Box
    confidence: float = 0.0
    """the detector's score, 0..1"""
    quality: float = 0.0
    """0..1"""
    external_image_id: str | None = None


def image_id(image_sha256: str) -> str:
    """The ImageId of a picture, the same for the same bytes."""
    return str(uuid.uuid5(NAMESPACE, image_sha256))


def face_id(space: str, new: NewFace) -> str:
    """The FaceId: the same for the same place in the same picture, ExternalImageId and embedding space.

    So it is the same in two collections, as in Rekognition, and another one after a change of model. Another
    ExternalImageId makes another face: it never relabels one.
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


def insert(db: sqlite3.Connection, collection: int, space: str, faces: Iterable[tuple[Face, FloatArray]]) -> None:
    """Store what is not there yet; a face that is stays as it was."""
    db.executemany(
        f"INSERT INTO faces (collection, space, vector, {COLUMNS}) VALUES ({', '.join('?' * 15)}) "  # noqa: S608
        "ON CONFLICT (collection, face_id) DO NOTHING",
        ((collection, space, vector.astype("<f4").tobytes(), *_values(face)) for face, vector in faces),
    )


def select(
    db: sqlite3.Connection, name: str, where: str, parameters: Sequence[object], limit: int = -1
) -> list[tuple[int, Face]]:
    """(row, face) in the order of enrollment. ``where`` is ours, never a caller's text."""
    # with a list of ids, SQLite would walk through the whole collection for the sake of the order
    order = "+row" if "face_id IN" in where else "row"
    sql = f"SELECT row, {COLUMNS} FROM faces WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
    return [(row[0], _face(name, row[1:])) for row in db.execute(sql, (*parameters, limit))]


def select_ids(db: sqlite3.Connection, name: str, collection: int, ids: Iterable[str]) -> dict[str, Face]:
    """The faces of ``collection`` with these FaceIds; unknown ones are left out."""
    found: dict[str, Face] = {}
    for part in parts(ids):
        where = f"collection = ? AND face_id IN ({', '.join('?' * len(part))})"
        found.update((face.face_id, face) for _, face in select(db, name, where, (collection, *part)))
    return found


def vector(blob: bytes) -> FloatArray:
    """The embedding in a ``faces.vector``."""
    return np.frombuffer(blob, "<f4").astype(np.float32, copy=False)


def parts(values: Iterable[str]) -> Iterator[list[str]]:
    """``values`` in pieces that fit into one statement."""
    iterator = iter(values)
    while piece := list(islice(iterator, MOST_PARAMETERS)):
        yield piece


def _values(face: Face) -> tuple[object, ...]:
    box = face.box
    corners = (None, None, None, None) if box is None else (box.left, box.top, box.right, box.bottom)
    named = (face.face_id, face.subject, face.image_id, face.external_image_id)
    return (*named, *corners, face.confidence, face.quality, face.created, face.origin)


def _face(collection: str, row: Sequence[object]) -> Face:
    values: list[object] = list(row)
    box = None if values[4] is None else Box(*values[4:8])  # type: ignore[arg-type]
    return Face(values[0], collection, values[1], values[2], values[3], box, *values[8:12])  # type: ignore[arg-type]
