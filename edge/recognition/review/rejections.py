"""Rejections: negative anchors, which are embeddings that a reviewer rejected as a subject.

If an embedding is nearer to an anchor than to the subject's faces, the subject is removed from the
matches, and the next best may match. Embeddings that are nearer to the subject are not affected.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import StoreError
from edge.core.storage.sqlite import Database
from edge.core.types import Match
from edge.recognition.review.database import ANCHOR, FILE, opened

if TYPE_CHECKING:
    from edge.core.types import FloatArray


log = logging.getLogger(__name__)

RETRY = 60.0
"""seconds"""


class RejectionIndex:
    """The anchors of a state folder, including those added by other processes. Thread-safe.

    If the file cannot be read, identification continues without rejections; it is logged and retried after ``RETRY``.
    """

    def __init__(self, state: Path) -> None:
        self._state, self._file = state, str(state / FILE)
        self._db: Database | None = None
        self._version = -1
        self._retry = 0.0
        """monotonic time of the next attempt after a failure, seconds"""
        self._held: dict[tuple[str, str], dict[str, FloatArray]] = {}
        """(collection, space) -> subject -> (n, dimensions)"""

    def held_away(
        self, collection: str, space: str, vectors: FloatArray, matches: list[list[Match]]
    ) -> list[list[Match]]:
        """``matches`` of each of (k, dimensions) vectors, without rejected subjects.

        ``space``: fingerprint.
        """
        held = self.subjects(collection, space)
        if not held:
            return matches
        return [without(vector, found, held) for vector, found in zip(vectors, matches, strict=True)]

    def subjects(self, collection: str, space: str) -> dict[str, FloatArray]:
        """Subjects with anchors -> anchors (n, dimensions)."""
        return self._current().get((collection, space), {})

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None

    def _current(self) -> dict[tuple[str, str], dict[str, FloatArray]]:
        if time.monotonic() < self._retry:
            return self._held
        try:
            return self._read_anew()
        except (StoreError, OSError) as error:
            log.error("rejections cannot be read, identification continues without them: %s", error)
            self._retry = time.monotonic() + RETRY
            with suppress(StoreError, sqlite3.Error):
                self.close()
            return self._held

    def _read_anew(self) -> dict[tuple[str, str], dict[str, FloatArray]]:
        if self._db is None:
            if not os.path.exists(self._file):  # noqa: PTH110  # asked at every search: a Path costs more
                return {}
            self._db = opened(self._state)
        version = self._db.version()
        if version != self._version:
            self._held, self._version = _read(self._db), version
        return self._held


def _read(database: Database) -> dict[tuple[str, str], dict[str, FloatArray]]:
    found: dict[tuple[str, str], dict[str, list[FloatArray]]] = {}
    with database.reading() as db:
        for name, space, stored, blob in db.execute("SELECT collection, space, subject, vector FROM anchors"):
            subject = db.vault.named(stored) or ""
            data = db.vault.open(blob, ANCHOR, name, subject, space)
            found.setdefault((name, space), {}).setdefault(subject, []).append(np.frombuffer(data, "<f4"))
    return {place: {subject: np.stack(ones) for subject, ones in held.items()} for place, held in found.items()}


def without(vector: FloatArray, matches: list[Match], anchors: Mapping[str, FloatArray]) -> list[Match]:
    """``matches`` without the subjects whose anchors are nearer than their best face."""
    best: dict[str, float] = {}
    for match in matches:
        best[match.name] = max(match.similarity, best.get(match.name, -1.0))
    away = rejected(vector, best, anchors)
    return [match for match in matches if match.name not in away] if away else matches


def rejected(vector: FloatArray, best: Mapping[str, float], anchors: Mapping[str, FloatArray]) -> set[str]:
    """The subjects of ``best`` (cosine of their best face) whose anchors are nearer to a (dimensions,) vector."""
    return {
        subject
        for subject, cosine in best.items()
        if subject in anchors and float((anchors[subject] @ vector).max()) > cosine
    }
