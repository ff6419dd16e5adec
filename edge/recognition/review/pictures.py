"""Pictures of questions of custom labels, with predicted boxes and boxes corrected by a reviewer.

A picture is deleted like other questions and answers (``review.days``, ``review.most``); the embeddings of its
corrected boxes are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.core.errors import NotFoundError
from edge.core.imaging import image
from edge.core.storage.sqlite import Connection, Database
from edge.core.storage.vault import Vault
from edge.core.types import Box
from edge.labels.examples import Annotation
from edge.recognition.review.database import BOX_EXAMPLE, BOXES, PICTURE, PROPOSED

if TYPE_CHECKING:
    from edge.core.types import Picture
    from edge.labels.examples import ConfirmedExample
    from edge.labels.trainer import LabelTrainer
    from edge.labels.version import Version

SIDE = 1280
"""maximum length of the longer side of a stored picture, pixels"""
QUALITY = 85
"""JPEG quality of it"""
MOST_BOXES = 200
"""maximum boxes of one picture"""
COLUMNS = "SELECT id, time, name, proposed, jpeg, boxes FROM pictures "


@dataclass(frozen=True, slots=True)
class ProposedBox:
    """A region with its predicted label."""

    label: str
    box: Box
    probability: float
    """0..1"""
    found: bool
    """whether the probability reached the threshold of the label"""


@dataclass(frozen=True, slots=True)
class ReviewPicture:
    """A picture with its predicted and corrected boxes."""

    name: str
    """name of the custom labels"""
    time: float
    """seconds since the epoch"""
    jpeg: bytes
    proposed: tuple[ProposedBox, ...]
    boxes: tuple[Annotation, ...] | None = None
    """boxes corrected by a reviewer; None: not yet corrected"""
    id: int = 0
    """assigned by the store"""


class ReviewPictures:
    """The pictures of a state folder's ``review.sqlite``. Thread-safe. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, picture: ReviewPicture) -> int:
        """Store a picture; returns its number."""
        with self._db.writing() as db:
            number = _next(db)
            text = db.vault.seal_text(_proposed_text(picture.proposed), PROPOSED, number)
            jpeg = db.vault.seal(picture.jpeg, PICTURE, number)
            row = (number, picture.time, picture.name, text, jpeg)
            db.execute("INSERT INTO pictures (id, time, name, proposed, jpeg) VALUES (?,?,?,?,?)", row)
            return number

    def get(self, number: int) -> ReviewPicture:
        """The picture of this number. Raises NotFoundError if it was deleted."""
        with self._db.reading() as db:
            row = db.execute(f"{COLUMNS} WHERE id = ?", (number,)).fetchone()
            if row is None:
                raise NotFoundError("the picture of this question was deleted", "pictures are kept for review.days")
            return _picture(db.vault, row)

    def correct(self, number: int, boxes: Sequence[Annotation] | None) -> None:
        """Store the corrected boxes of a picture; None: undo. Raises NotFoundError."""
        with self._db.writing() as db:
            text = None if boxes is None else db.vault.seal_text(_boxes_text(boxes), BOXES, number)
            sql = "UPDATE pictures SET boxes = ?, learned = 0 WHERE id = ?"
            if not db.execute(sql, (text, number)).rowcount:
                raise NotFoundError("the picture of this question was deleted", "pictures are kept for review.days")
            db.execute("DELETE FROM box_examples WHERE picture = ?", (number,))

    def corrected(self) -> list[ReviewPicture]:
        """The stored pictures with corrected boxes, oldest first."""
        with self._db.reading() as db:
            rows = db.execute(f"{COLUMNS} WHERE boxes IS NOT NULL ORDER BY id").fetchall()
            return [_picture(db.vault, row) for row in rows]

    def pending(self, name: str) -> list[int]:
        """Numbers of the corrected pictures of the custom labels ``name`` that are not embedded yet."""
        with self._db.reading() as db:
            sql = "SELECT id FROM pictures WHERE name = ? AND boxes IS NOT NULL AND NOT learned ORDER BY id"
            return [number for (number,) in db.execute(sql, (name,))]

    def embed(self, version: Version, trainer: LabelTrainer) -> None:
        """Create examples from the pending pictures of a version, with its detectors, as in training.

        Raises SpaceError for a trainer of another embedder than the version's, ModelError.
        """
        from edge.labels.classifier import check_space
        from edge.labels.dataset import confirmed_regions

        check_space(version, trainer.embedder.space.fingerprint)
        for number in self.pending(version.name):
            one = self.get(number)
            found = confirmed_regions(
                image.decode(one.jpeg), one.boxes or (), trainer.embedder, trainer.detectors, version.regions, -number
            )
            self._embedded(number, version, found)

    def _embedded(self, number: int, version: Version, examples: Sequence[ConfirmedExample]) -> None:
        with self._db.writing() as db:
            if not db.execute("UPDATE pictures SET learned = 1 WHERE id = ? AND NOT learned", (number,)).rowcount:
                return
            for one in examples:
                vector = db.vault.seal(one.vector.astype("<f4").tobytes(), BOX_EXAMPLE, number)
                row = (number, time.time(), version.name, one.label, version.space, vector)
                db.execute(
                    "INSERT INTO box_examples (picture, time, name, label, space, vector) VALUES (?,?,?,?,?,?)", row
                )


def stored_jpeg(picture: Picture) -> bytes:
    """A picture as JPEG, downscaled to at most SIDE pixels on its longer side."""
    scale = min(1.0, SIDE / max(picture.width, picture.height))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return image.encode_jpeg(image.resized_rgb(picture, *size), QUALITY)


def _next(db: Connection) -> int:
    sql = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'pictures'"
    return int(db.execute(sql).fetchone()[0])


def _picture(vault: Vault, row: Sequence[Any]) -> ReviewPicture:
    number, moment, name, proposed, jpeg, boxes = row
    found = json.loads(vault.open_text(proposed, PROPOSED, number))
    marks = None if boxes is None else json.loads(vault.open_text(boxes, BOXES, number))
    return ReviewPicture(
        name=name,
        time=moment,
        jpeg=vault.open(jpeg, PICTURE, number),
        proposed=tuple(ProposedBox(label, Box(*box), score, there) for label, box, score, there in found),
        boxes=None if marks is None else tuple(Annotation(label, Box(*box)) for label, box in marks),
        id=number,
    )


def _proposed_text(boxes: Sequence[ProposedBox]) -> str:
    return json.dumps([[one.label, _edges(one.box), one.probability, one.found] for one in boxes], ensure_ascii=False)


def _boxes_text(boxes: Sequence[Annotation]) -> str:
    return json.dumps([[one.label, _edges(one.box)] for one in boxes if one.box is not None], ensure_ascii=False)


def _edges(box: Box) -> list[float]:
    return [box.left, box.top, box.right, box.bottom]
