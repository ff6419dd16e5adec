"""``review.sqlite``: tables of the review queue; deleted rows are overwritten (secure_delete)."""

from __future__ import annotations

from pathlib import Path

from edge.core.errors import StoreError
from edge.core.storage import ages, layout
from edge.core.storage.sqlite import Connection, Database
from edge.core.storage.vault import Resealing, Stored, Vault

FILE = layout.REVIEW.name
SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS doubts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, reason TEXT NOT NULL, subject TEXT,
    document TEXT NOT NULL, vector BLOB NOT NULL, crop BLOB);
CREATE INDEX IF NOT EXISTS doubts_time ON doubts (time);
CREATE TABLE IF NOT EXISTS question_groups (
    id INTEGER PRIMARY KEY REFERENCES doubts (id) ON DELETE CASCADE, face INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS question_groups_face ON question_groups (face);
CREATE TABLE IF NOT EXISTS ignored (
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, space TEXT NOT NULL, time REAL NOT NULL, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, answer TEXT NOT NULL, subject TEXT, collection TEXT NOT NULL,
    label TEXT NOT NULL, face_id TEXT, crop BLOB);
CREATE TABLE IF NOT EXISTS anchors (
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, subject TEXT NOT NULL, space TEXT NOT NULL, time REAL NOT NULL,
    vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS strangers (
    id INTEGER PRIMARY KEY, number INTEGER UNIQUE, collection TEXT NOT NULL, label TEXT NOT NULL, space TEXT NOT NULL,
    first REAL NOT NULL, last REAL NOT NULL, times INTEGER NOT NULL, quality REAL NOT NULL, looks BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS examples (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, name TEXT NOT NULL, label TEXT, space TEXT NOT NULL,
    vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, name TEXT NOT NULL, proposed TEXT NOT NULL,
    jpeg BLOB NOT NULL, boxes TEXT, learned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS question_pictures (
    id INTEGER PRIMARY KEY REFERENCES doubts (id) ON DELETE CASCADE, picture INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS box_examples (
    id INTEGER PRIMARY KEY AUTOINCREMENT, picture INTEGER NOT NULL, time REAL NOT NULL, name TEXT NOT NULL, label TEXT,
    space TEXT NOT NULL, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
    + ages.SCHEMA
)


DOCUMENT, VECTOR, CROP, ANSWER, ANCHOR, STRANGER, EXAMPLE, IGNORED, PICTURE, PROPOSED, BOXES, BOX_EXAMPLE = (
    "question", "question vector", "question crop", "answer crop", "anchor", "stranger", "label example",
    "ignored face", "question picture", "proposed boxes", "corrected boxes", "box example",
)  # fmt: skip
"""contexts of sealed values"""


def sealed_crop(vault: Vault, crop: bytes, *place: object) -> bytes:
    """A sealed crop; an empty crop stays empty."""
    return vault.seal(crop, *place) if crop else b""


def opened_crop(vault: Vault, blob: bytes | None, *place: object) -> bytes:
    """The crop of a sealed value. Raises StoreError."""
    return vault.open(blob, *place) if blob else b""


def reseal(db: Connection, change: Resealing) -> int:
    """Re-encrypt every row; damaged rows are deleted. Returns their number. Runs in the caller's transaction."""
    damaged = 0
    for table, columns, anew in (
        ("doubts", "id, subject, document, vector, crop", _doubt),
        ("answers", "id, subject, crop", _answer),
        ("anchors", "id, subject, collection, space, vector", _anchor),
        ("strangers", "id, collection, label, first, looks", _stranger),
        ("examples", "id, vector", _example),
        ("ignored", "id, collection, space, vector", _ignored),
        ("pictures", "id, proposed, jpeg, boxes", _picture),
        ("box_examples", "id, picture, vector", _box_example),
    ):
        for number, *values in db.execute(f"SELECT {columns} FROM {table}").fetchall():  # noqa: S608
            try:
                changed = anew(change, number, *values)
            except StoreError:
                damaged += db.execute(f"DELETE FROM {table} WHERE id = ?", (number,)).rowcount  # noqa: S608
            else:
                names = ", ".join(f"{name} = ?" for name in changed)
                db.execute(f"UPDATE {table} SET {names} WHERE id = ?", (*changed.values(), number))  # noqa: S608
    return damaged


def _doubt(
    change: Resealing, number: int, subject: Stored | None, document: Stored, vector: bytes, crop: bytes | None
) -> dict[str, object]:
    return {
        "subject": change.name(subject),
        "document": change.text(document, DOCUMENT, number),
        "vector": change.data(vector, VECTOR, number),
        "crop": change.data(crop, CROP, number) if crop else b"",
    }


def _answer(change: Resealing, number: int, subject: Stored | None, crop: bytes | None) -> dict[str, object]:
    return {"subject": change.name(subject), "crop": change.data(crop, ANSWER, number) if crop else b""}


def _anchor(
    change: Resealing, _: int, subject: Stored, collection: str, space: str, vector: bytes
) -> dict[str, object]:
    place = (ANCHOR, collection, change.old.named(subject), space)
    return {"subject": change.name(subject), "vector": change.data(vector, *place)}


def _stranger(change: Resealing, _: int, collection: str, label: str, first: float, looks: bytes) -> dict[str, object]:
    return {"looks": change.data(looks, STRANGER, collection, label, first)}


def _example(change: Resealing, number: int, vector: bytes) -> dict[str, object]:
    return {"vector": change.data(vector, EXAMPLE, number)}


def _ignored(change: Resealing, _: int, collection: str, space: str, vector: bytes) -> dict[str, object]:
    return {"vector": change.data(vector, IGNORED, collection, space)}


def _picture(change: Resealing, number: int, proposed: Stored, jpeg: bytes, boxes: Stored | None) -> dict[str, object]:
    return {
        "proposed": change.text(proposed, PROPOSED, number),
        "jpeg": change.data(jpeg, PICTURE, number),
        "boxes": None if boxes is None else change.text(boxes, BOXES, number),
    }


def _box_example(change: Resealing, _: int, picture: int, vector: bytes) -> dict[str, object]:
    return {"vector": change.data(vector, BOX_EXAMPLE, picture)}


def opened(state: Path) -> Database:
    """The database of a state folder. Raises StoreError."""
    return Database(state / FILE, SCHEMA)
