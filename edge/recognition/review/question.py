"""A review question, and how it is stored."""

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
    """cosine; for custom labels the probability"""
    likeness: float = 0.0
    """likeness 0..100; 0: unknown"""


@dataclass(frozen=True, slots=True)
class ReviewQuestion:
    """A question to a reviewer about one detection."""

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
    """score of the detector, 0..1"""
    quality: float
    """quality of the crop, 0..1"""
    subject: str | None
    """the doubtful or assigned name; None: no similar subject"""
    nearest: tuple[Nearest, ...]
    """the best match of each of the nearest subjects, best first"""
    vector: FloatArray
    crop: bytes = b""
    """JPEG; empty if pictures are not stored"""
    id: int = 0
    """assigned by the queue"""
    pseudonym: str = ""
    """pseudonym of a stranger seen again: a name in the answer applies to all its stored embeddings"""
    version: str = ""
    """version of custom labels, ``helmets/3``: then ``subject`` is a label, similarities are probabilities"""
    match: float = 0.0
    """cosine from which two crops count as one face; 0: unknown, the question is not grouped"""
    needed: float = 0.0
    """likeness 0..100 that a match required when it was queued"""
    group: int = 0
    """number of the group of crops of one face, assigned by the queue: the id of its first crop"""
    picture: int = 0
    """number of the stored picture that contains the region, assigned by the queue; 0: none"""


COLUMNS = ("vector", "crop", "id", "group", "picture")
"""fields with their own column"""
LEAD = 0.06
"""minimum lead in cosine over the second subject for a question by name"""
SAME_FACE = 80.0
"""likeness 0..100 from which two single crops count as one face"""


def asked_subject(nearest: Sequence[Nearest], needed: float) -> str | None:
    """The subject that a question asks about by name ("Is it X?"); None: it asks "Who is it?".

    ``needed``: likeness 0..100 that a match requires. Only a match with a lead is asked about by name: otherwise a
    habitual confirmation would name strangers.
    """
    if not nearest or nearest[0].likeness < needed:
        return None
    leads = len(nearest) < 2 or nearest[0].similarity - nearest[1].similarity >= LEAD
    return nearest[0].subject if leads else None


def nearest_of(matches: Sequence[Match], most: int = 5) -> tuple[Nearest, ...]:
    """The first ``most`` matches, one per subject, for a question."""
    return tuple(Nearest(match.name, match.face_id, match.similarity, match.likeness) for match in matches[:most])


def row_of(vault: Vault, doubt: ReviewQuestion) -> tuple[object, ...]:
    """A row of the table ``doubts``."""
    number = doubt.id
    document = vault.seal_text(_document(doubt), database.DOCUMENT, number)
    vector = vault.seal(doubt.vector.astype("<f4").tobytes(), database.VECTOR, number)
    crop = database.sealed_crop(vault, doubt.crop, database.CROP, number)
    return number, doubt.time, doubt.reason, vault.name(doubt.subject), document, vector, crop


def doubt_of(
    vault: Vault,
    number: int,
    document: Stored,
    blob: bytes,
    crop: bytes | None,
    group: int | None,
    picture: int | None = None,
) -> ReviewQuestion:
    """The question of a row. Raises StoreError."""
    values: dict[str, Any] = json.loads(vault.open_text(document, database.DOCUMENT, number))
    values["space"], values["box"] = Space(**values["space"]), Box(**values["box"])
    values["nearest"] = tuple(Nearest(**one) for one in values["nearest"])
    vector = np.frombuffer(vault.open(blob, database.VECTOR, number), "<f4").astype(np.float32)
    return ReviewQuestion(
        **values,
        vector=vector,
        crop=database.opened_crop(vault, crop, database.CROP, number),
        id=number,
        group=group or number,
        picture=picture or 0,
    )


def _document(doubt: ReviewQuestion) -> str:
    values = asdict(replace(doubt, vector=np.zeros(0, np.float32), crop=b""))
    kept = {name: value for name, value in values.items() if name not in COLUMNS}
    return json.dumps(kept, ensure_ascii=False)
