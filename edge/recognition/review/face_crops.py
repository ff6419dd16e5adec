"""Face crops of enrolled faces that came from a question whose picture was kept.

They go with the answers: after ``review.days``, with ``ReviewQueue.clear``, and when their subject is forgotten.
"""

from __future__ import annotations

from pathlib import Path

from edge.core.errors import NotFoundError
from edge.recognition.review.database import ANSWER, opened, opened_crop

FaceCrops = dict[tuple[str, str], dict[str, int]]
"""(collection, subject) -> FaceId -> number of its picture, the oldest first"""


class FaceCropStore:
    """The pictures of a state folder. Any thread. Raises StoreError."""

    def __init__(self, state: Path) -> None:
        self._db = opened(state)

    def all(self) -> FaceCrops:
        """Which faces have a picture."""
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
            raise NotFoundError(f"no picture {number} is kept", "pictures are deleted after review.days")
        return picture

    def close(self) -> None:
        self._db.close()
