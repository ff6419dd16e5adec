"""How like a subject a look is: half by the subject's nearest face, half by all of its faces together.

The nearest face alone is fooled by one odd picture, all together miss a pose that one picture shows. Half and half
names more than either and takes fewer strangers for somebody: the figures are in the README's decision notes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from edge.core.types import Match
from edge.recognition.store import snapshot as views
from edge.recognition.store.centroid import robust_centroid

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.recognition.store.store import CollectionStore

SUBJECTS = 5
"""the nearest, of which it is asked how alike they are"""
MOST_FACES = 100
"""of a subject, the newest, that are taken together"""
MOST_SUBJECTS = 10_000
"""whose faces are held together; the rest are read again"""

_State = tuple[int | None, int, int]


def likeness(nearest: float, query: FloatArray, whole: FloatArray | None) -> float:
    """Cosine, -1..1, of a (dimensions,) query to a subject.

    ``nearest``: to its nearest face. ``whole``: all its faces ``robust_centroid``; None: it has but one.
    """
    return nearest if whole is None else (nearest + float(query @ whole)) / 2.0


class SubjectScorer:
    """The subjects of one collection, each with all its faces together. Threads may share it."""

    def __init__(self, store: CollectionStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._state: _State = (None, 0, 0)
        self._wholes: dict[str, FloatArray | None] = {}

    def by_subject(
        self, view: views.Snapshot, queries: FloatArray, found: Sequence[Sequence[Match]], most: int
    ) -> list[list[Match]]:
        """For each of the (k, dimensions) queries: a match for each of the ``most`` nearest subjects, most alike first.

        ``face_id`` is the nearest face's. A face without a subject stands for itself.
        """
        nearest = [_nearest(matches, most) for matches in found]
        named = {match.subject for matches in nearest for match in matches if match.subject is not None}
        wholes = self._of(view, named) if named else {}
        return [_ranked(query, matches, wholes) for query, matches in zip(queries, nearest, strict=True)]

    def _of(self, view: views.Snapshot, names: Iterable[str]) -> dict[str, FloatArray | None]:
        state = (view.collection, view.last_row, view.last_removal)
        with self._lock:
            if self._state != state or len(self._wholes) > MOST_SUBJECTS:
                self._state, self._wholes = state, {}
            missing = [name for name in names if name not in self._wholes]
            if missing:
                self._wholes.update(self._read(view, missing))
            return {name: self._wholes[name] for name in names}

    def _read(self, view: views.Snapshot, names: Sequence[str]) -> dict[str, FloatArray | None]:
        with self._store.reading() as db:
            return {name: _whole(views.of_subject(db, view, name, MOST_FACES)) for name in names}


def _whole(vectors: FloatArray) -> FloatArray | None:
    return robust_centroid(vectors) if len(vectors) > 1 else None


def _nearest(matches: Sequence[Match], most: int) -> list[Match]:
    """The nearest face of each of the ``most`` nearest subjects; ``matches`` come best first."""
    nearest: dict[str, Match] = {}
    for match in matches:
        if len(nearest) == most:
            break
        nearest.setdefault(match.name, match)
    return list(nearest.values())


def _ranked(query: FloatArray, nearest: Sequence[Match], wholes: dict[str, FloatArray | None]) -> list[Match]:
    alike = []
    for one in nearest:
        whole = wholes.get(one.name)
        alike.append(one if whole is None else Match(one.face_id, one.subject, likeness(one.similarity, query, whole)))
    return sorted(alike, key=lambda match: -match.similarity)
