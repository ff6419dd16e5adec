"""A doubt: a question to a person, and how it is stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge.core.storage.vault import Stored, Vault
from edge.core.types import Box, Match, Space
from edge.recognition.review import database

if TYPE_CHECKING:
    from edge.core.types import FloatArray

Reason = Literal["uncertain", "margin", "unmatched", "retracted", "audit", "faint", "threshold"]


@dataclass(frozen=True, slots=True)
class Nearest:
    """A subject that the doubtful face resembles."""

    subject: str
    face_id: str
    similarity: float
    """cosine"""


@dataclass(frozen=True, slots=True)
class ReviewQuestion:
    """A question to a person: is it ``subject`` that is seen here."""

    reason: Reason
    time: float
    """seconds since the epoch"""
    camera: str
    track: str
    label: str
    collection: str
    space: Space
    box: Box
    score: float
    """the detector's, 0..1"""
    quality: float
    """of the crop, 0..1"""
    subject: str | None
    """the name in doubt, or that was given; None: nobody is near"""
    nearest: tuple[Nearest, ...]
    """best of each of the nearest subjects, best first"""
    vector: FloatArray
    crop: bytes = b""
    """JPEG; empty where pictures are not kept"""
    id: int = 0
    """given by the queue"""
    pseudonym: str = ""
    """of a stranger who came again: an answer that names him names all that is kept of him"""
    version: str = ""
    """of the custom labels that ask, ``helmets/3``: ``subject`` is a label then, similarities are probabilities"""


def nearest_of(matches: Sequence[Match], most: int = 5) -> tuple[Nearest, ...]:
    """The first of the matches, one a subject, as a question shows them."""
    return tuple(Nearest(match.name, match.face_id, match.similarity) for match in matches[:most])


def row_of(vault: Vault, doubt: ReviewQuestion) -> tuple[object, ...]:
    """A row of the table ``doubts``."""
    number = doubt.id
    document = vault.seal_text(_document(doubt), database.DOCUMENT, number)
    vector = vault.seal(doubt.vector.astype("<f4").tobytes(), database.VECTOR, number)
    crop = database.sealed_crop(vault, doubt.crop, database.CROP, number)
    return number, doubt.time, doubt.reason, vault.name(doubt.subject), document, vector, crop


def doubt_of(vault: Vault, number: int, document: Stored, blob: bytes, crop: bytes | None) -> ReviewQuestion:
    """The doubt of a row. Raises StoreError."""
    values: dict[str, Any] = json.loads(vault.open_text(document, database.DOCUMENT, number))
    values["space"], values["box"] = Space(**values["space"]), Box(**values["box"])
    values["nearest"] = tuple(Nearest(**one) for one in values["nearest"])
    vector = np.frombuffer(vault.open(blob, database.VECTOR, number), "<f4").astype(np.float32)
    return ReviewQuestion(
        **values, vector=vector, crop=database.opened_crop(vault, crop, database.CROP, number), id=number
    )


def _document(doubt: ReviewQuestion) -> str:
    values = asdict(replace(doubt, vector=np.zeros(0, np.float32), crop=b""))
    return json.dumps({name: value for name, value in values.items() if name not in ("vector", "crop", "id")},
                      ensure_ascii=False)  # fmt: skip
