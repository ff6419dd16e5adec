"""Groups the questions of the whole fleet by face: one answer for all devices that saw it.

Crops of one device's question stay together. A new question joins the face of the nearest stored crop of the same label
and embedding space, if their cosine reaches the match threshold of the questions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge.recognition.review.sharing import SharedLook

if TYPE_CHECKING:
    from edge.core.storage.sqlite import Connection
    from edge.core.types import FloatArray

MAX_COMPARED = 4000
"""maximum stored crops, the newest, that a new one is compared with"""


def kind_of(look: SharedLook) -> str:
    """Crops of the same kind are comparable; empty: not comparable, the question stays by itself."""
    return "" if look.version or look.match <= 0 else f"{look.label}\n{look.space}"


@dataclass(slots=True)
class _Compared:
    faces: list[int] = field(default_factory=list)
    vectors: list[FloatArray] = field(default_factory=list)


class FaceGroups:
    """The stored crops, within one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._kinds: dict[str, _Compared] = {}
        self._questions: dict[tuple[str, int], int] = {}

    def face_of(self, device: str, look: SharedLook, vector: FloatArray) -> int:
        """The face that a new crop shows; 0: none of the stored ones. ``vector``: (dimensions,), of length 1."""
        if known := self._question(device, look.group):
            return known
        kind = kind_of(look)
        stored = self._stored(kind) if kind else _Compared()
        if not stored.faces:
            return 0
        similarities = np.stack(stored.vectors) @ vector
        best = int(similarities.argmax())
        return stored.faces[best] if float(similarities[best]) >= look.match else 0

    def add(self, device: str, look: SharedLook, vector: FloatArray, face: int) -> None:
        """A crop was stored as one of ``face``."""
        self._questions[device, look.group] = face
        if kind := kind_of(look):
            stored = self._stored(kind)
            stored.faces.append(face)
            stored.vectors.append(vector)

    def _question(self, device: str, question: int) -> int:
        if (device, question) not in self._questions:
            sql = "SELECT face FROM looks WHERE device = ? AND question = ? AND face > 0 LIMIT 1"
            row = self._db.execute(sql, (device, question)).fetchone()
            self._questions[device, question] = row[0] if row else 0
        return self._questions[device, question]

    def _stored(self, kind: str) -> _Compared:
        if kind not in self._kinds:
            sql = "SELECT face, vector FROM looks WHERE kind = ? AND face > 0 ORDER BY number DESC LIMIT ?"
            rows = self._db.execute(sql, (kind, MAX_COMPARED)).fetchall()
            vectors = [np.frombuffer(blob, "<f4") for _, blob in rows]
            self._kinds[kind] = _Compared([face for face, _ in rows], vectors)
        return self._kinds[kind]
