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
    """cosine; of custom labels the probability"""
    likeness: float = 0.0
    """0..100, as people see it; 0 where it was not known yet"""


@dataclass(frozen=True, slots=True)
class ReviewQuestion:
    """A question to a reviewer: whether this is ``subject``."""

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
    """of a stranger seen again: an answer that names it names all looks kept of it"""
    version: str = ""
    """of the custom labels that ask, ``helmets/3``: ``subject`` is a label then, similarities are probabilities"""
    match: float = 0.0
    """cosine from which two looks are taken for one face; 0: not known, the question stays by itself"""
    needed: float = 0.0
    """likeness 0..100 that made a match when it was asked"""
    group: int = 0
    """number of the group of looks of one face, given by the queue: the id of its first look"""
    picture: int = 0
    """number of the stored picture that it is a region of, given by the queue; 0: none is stored"""


COLUMNS = ("vector", "crop", "id", "group", "picture")
"""members with a column of their own"""
LEAD = 0.06
"""cosine by which the nearest subject must lead the second to be asked about by name"""
SAME_FACE = 80.0
"""likeness 0..100 of two single looks from which they are taken for one face"""


def asked_subject(nearest: Sequence[Nearest], needed: float) -> str | None:
    """The subject that a question asks about by name ("Is it X?"); None: it asks "Who is it?".

    ``needed``: likeness 0..100 that makes a match. Only a match that leads is asked about by name: with less, a
    reviewer who confirms by habit names strangers.
    """
    if not nearest or nearest[0].likeness < needed:
        return None
    leads = len(nearest) < 2 or nearest[0].similarity - nearest[1].similarity >= LEAD
    return nearest[0].subject if leads else None


def nearest_of(matches: Sequence[Match], most: int = 5) -> tuple[Nearest, ...]:
    """The first of the matches, one a subject, as a question shows them."""
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
