"""Face crops of enrolled faces from answered questions with a stored picture.

They are deleted with the answers: after ``review.days``, by ``ReviewQueue.clear``, and when the subject is erased.
"""

from __future__ import annotations

from pathlib import Path

from edge.core.errors import NotFoundError
from edge.recognition.review.database import ANSWER, opened, opened_crop

FaceCrops = dict[tuple[str, str], dict[str, int]]
"""(collection, subject) -> FaceId -> number of its picture, oldest first"""


class FaceCropStore:
    """The face crops of a state folder. Thread-safe. Raises StoreError."""

    def __init__(self, state: Path) -> None:
        self._db = opened(state)

    def all(self) -> FaceCrops:
        """The faces with a picture."""
        sql = "SELECT collection, subject, face_id, id FROM answers WHERE face_id IS NOT NULL AND length(crop) > 0"
        found: FaceCrops = {}
        with self._db.reading() as db:
            for collection, stored, face_id, number in db.execute(f"{sql} ORDER BY time, id"):
                subject = db.vault.named(stored) or ""
                found.setdefault((collection, subject), {})[face_id] = number
        return found

    def picture(self, number: int) -> bytes:
        """A JPEG. Raises NotFoundError."""
        with self._db.reading() as db:
            row = db.execute("SELECT crop FROM answers WHERE id = ?", (number,)).fetchone()
            picture = opened_crop(db.vault, row[0], ANSWER, number) if row else b""
        if not picture:
            raise NotFoundError(f"picture {number} does not exist", "pictures are deleted after review.days")
        return picture

    def close(self) -> None:
        self._db.close()
