"""Subject search: search by cosine, rejections applied, candidates rescored.

The score of a subject is the mean of the scores of its nearest face and of the centroid of its faces. The nearest face
alone is sensitive to outliers, the centroid alone misses rare poses; both scores are normalized.
Scores are normalized by the model's cohort, by the other subjects of the collection and, if strangers are
stored, by the site's strangers: a moderate similarity to many people is not a match with one.
The statistics of enrolled faces are computed from their embeddings when they first become candidates, and cached
until the collection changes: they are not stored, and a new cohort needs no new enrollment.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge.core.types import Match, Space
from edge.inference.scoring import NEUTRAL, NO_STRANGERS, NOBODY, FaceScorer, Statistics
from edge.recognition.review.rejections import rejected
from edge.recognition.score_policy import ScorePolicy
from edge.recognition.store.centroid import robust_centroid
from edge.recognition.store.snapshot import Neighbor, Snapshot, name_of

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.recognition.review.rejections import RejectionIndex
    from edge.recognition.store.collection import Collection

SUBJECTS = 5
"""number of nearest subjects that are rescored"""
FACES = 32
"""number of nearest faces in a search by subject: more than a subject usually has, so that a second subject is
among them"""
MOST_FACES = 100
"""maximum faces of a subject in its centroid, the newest ones"""
MOST_SUBJECTS = 10_000
"""maximum faces with cached statistics"""
MOST_STRANGERS = 500
"""maximum strangers of the site in the cohort, the latest ones"""
SAME_STRANGER = 70.0
"""likeness from which a stranger may be the same person as the query, and is excluded from the cohort"""
MOST_STATISTICS = 100_000
"""of single faces"""


class StrangerVectors(Protocol):
    """Source of the embeddings of strangers (unknown faces)."""

    def version(self) -> int:
        """Number that changes with every update."""

    def vectors(self, collection: str, space: str) -> FloatArray:
        """(n, dimensions) of length 1, oldest first, for ``collection`` and embedding space (fingerprint)."""


@dataclass(frozen=True, slots=True)
class EnrolledSubject:
    """Cached values of the faces of a subject."""

    centroid: FloatArray | None
    """(dimensions,) of length 1; None: the subject has only one face"""
    statistics: Statistics
    """statistics of the centroid"""
    faces: dict[str, Statistics]
    """statistics of the faces by FaceId"""


def subject_cosine(nearest: float, query: FloatArray, centroid: FloatArray | None) -> float:
    """Cosine, -1..1, of a (dimensions,) query to a subject.

    ``nearest``: to its nearest face. ``centroid``: ``robust_centroid`` of its faces; None: it has only one.
    """
    return nearest if centroid is None else (nearest + float(query.dot(centroid))) / 2.0


class SubjectSearch:
    """Search of one collection with one embedder's scores. Thread-safe.

    Searches raise InputError for vectors that are not unit vectors of the collection's dimensions, SpaceError for
    another embedding space, StoreError.
    """

    def __init__(
        self,
        collection: Collection,
        scorer: FaceScorer | None = None,
        policy: ScorePolicy | None = None,
        rejections: RejectionIndex | None = None,
        strangers: StrangerVectors | None = None,
    ) -> None:
        self.collection = collection
        self._given_scorer = self._scorer = scorer or FaceScorer()
        self.policy = policy or ScorePolicy()
        self._rejections = rejections
        self.strangers = strangers
        """strangers of the site, added to the cohort"""
        self._strangers_version = -1
        self._stranger_columns: FloatArray | None = None
        self._lock = threading.Lock()
        self._state: object = None
        self._space: str | None = None
        self._subjects: dict[str, EnrolledSubject] = {}
        self._faces: dict[str, Statistics] = {}
        self._count: int | None = None
        self._needed: float | None = None

    def within(self, collection: Collection) -> SubjectSearch:
        """The same search in another collection."""
        return SubjectSearch(collection, self._given_scorer, self.policy, self._rejections, self.strangers)

    @property
    def name(self) -> str:
        """The collection's."""
        return self.collection.name

    @property
    def scorer(self) -> FaceScorer:
        """The scorer of this collection; generic scores if its faces are of another embedder."""
        with self._lock:
            self._renewed()
            return self._scorer

    @property
    def count(self) -> int:
        """Subjects enrolled; a face without a subject counts as one."""
        with self._lock:
            self._renewed()
            return self._subject_count()

    @property
    def needed(self) -> float:
        """Likeness 0..100 that a match must reach now."""
        with self._lock:
            self._renewed()
        return self.latest_needed

    @property
    def latest_needed(self) -> float:
        """``needed`` as of the latest search: the database is not asked for changes."""
        with self._lock:
            if self._needed is None:
                fixed = self.policy.likeness
                self._needed = self.policy.needed(self._subject_count()) if fixed is None else fixed
            return self._needed

    def subjects(
        self,
        vectors: FloatArray,
        space: Space | None = None,
        most: int = SUBJECTS,
        highest: FloatArray | None = None,
    ) -> list[list[Match]]:
        """For each of (k, dimensions) vectors one match per subject for the ``most`` nearest subjects, best first.

        ``face_id`` is the nearest face's. A face without a subject counts as a subject. ``highest``: as
        ``Cohort.highest`` gives it, of vectors that are part of the cohort themselves.
        """
        with self._lock:
            snapshot = self._renewed()
        found = [_nearest(neighbors) for neighbors in self._found(vectors, max(FACES, most), space, snapshot)]
        chosen = [neighbors[:most] for neighbors in found]
        named = {subject for neighbors in chosen for _, _, subject in neighbors if subject is not None}
        loose = [face_id for neighbors in chosen for _, face_id, subject in neighbors if subject is None]
        subjects, faces = self._known(named, loose, snapshot)
        own = self._statistics(vectors, found, most, highest)
        return [
            sorted(
                [self._as_subject(query, *pair, subjects, faces) for pair in zip(neighbors, its, strict=True)],
                key=_by_likeness,
            )
            for query, its, neighbors in zip(vectors, own, chosen, strict=True)
        ]

    def faces(self, vectors: FloatArray, space: Space | None = None, limit: int = 5) -> list[list[Match]]:
        """For each of (k, dimensions) vectors the ``limit`` most similar faces, best first."""
        with self._lock:
            snapshot = self._renewed()
        found = self._found(vectors, max(FACES, 2 * limit), space, snapshot)
        _, faces = self._known((), [face_id for neighbors in found for _, face_id, _ in neighbors], snapshot)
        own = self._scorer.statistics(vectors)
        return [
            sorted([self._as_face(one, its, faces) for one in neighbors], key=_by_likeness)[:limit]
            for its, neighbors in zip(own, found, strict=True)
        ]

    def _statistics(
        self, vectors: FloatArray, found: Sequence[Sequence[Neighbor]], most: int, highest: FloatArray | None
    ) -> list[list[Statistics]]:
        """Of each vector, for each of its first ``most`` neighbors: all other subjects found are added to the cohort.

        A face without a subject may be the same person as another, and is not added.
        """
        cohort = self._scorer.cohort
        if cohort is None:
            return [[NEUTRAL] * len(neighbors[:most]) for neighbors in found]
        rows = zip(
            cohort.highest(vectors) if highest is None else highest, self._strangers_of(vectors), found, strict=True
        )
        return [
            cohort.with_others(
                top,
                [NOBODY if subject is None else cosine for cosine, _, subject in neighbors],
                len(neighbors[:most]),
                strangers,
            )
            for top, strangers, neighbors in rows
        ]

    def _strangers_of(self, vectors: FloatArray) -> Sequence[FloatArray]:
        """(m,) cosines of each vector (dimensions,) with the site's strangers; NOBODY for a likely same person."""
        columns = self._stranger_columns
        if columns is None or not columns.size or columns.shape[0] != vectors.shape[1]:
            return [NO_STRANGERS] * len(vectors)
        cosines = vectors @ columns
        cosines[cosines >= self._scorer.typical_cosine(SAME_STRANGER)] = NOBODY
        return list(cosines)

    def _found(self, vectors: FloatArray, limit: int, space: Space | None, snapshot: Snapshot) -> list[list[Neighbor]]:
        """The ``limit`` nearest faces of each vector, without those of subjects that were rejected for it."""
        found = self.collection.neighbors(vectors, limit, space, snapshot)
        if self._rejections is None or self._space is None:
            return found
        anchors = self._rejections.subjects(self.name, self._space)
        if not anchors:
            return found
        return [_without_rejected(query, one, anchors) for query, one in zip(vectors, found, strict=True)]

    def _as_subject(
        self,
        query: FloatArray,
        neighbor: Neighbor,
        own: Statistics,
        subjects: dict[str, EnrolledSubject],
        faces: dict[str, Statistics],
    ) -> Match:
        cosine, face_id, name = neighbor
        subject = subjects.get(name) if name is not None else None
        if subject is None:
            return self._as_face(neighbor, own, faces)
        scorer = self._scorer
        score = scorer.score(cosine, own, subject.faces.get(face_id, subject.statistics))
        if subject.centroid is not None:
            to_centroid = float(query.dot(subject.centroid))
            score = (score + scorer.score(to_centroid, own, subject.statistics)) / 2.0
            cosine = (cosine + to_centroid) / 2.0  # as ``subject_cosine``, without a second product
        return Match(face_id, name, cosine, scorer.calibration.likeness(score))

    def _as_face(self, neighbor: Neighbor, own: Statistics, faces: dict[str, Statistics]) -> Match:
        cosine, face_id, subject = neighbor
        statistics = faces.get(face_id)
        if statistics is None:  # deleted concurrently
            return Match(face_id, subject, cosine)
        return Match(face_id, subject, cosine, self._scorer.likeness(cosine, own, statistics))

    def _known(
        self, subjects: set[str] | tuple[()], face_ids: Sequence[str], snapshot: Snapshot
    ) -> tuple[dict[str, EnrolledSubject], dict[str, Statistics]]:
        with self._lock:
            missing = [name for name in subjects if name not in self._subjects]
            if missing:
                self._subjects.update(self._together(missing, snapshot))
            unread = [face_id for face_id in dict.fromkeys(face_ids) if face_id not in self._faces]
            if unread:
                self._faces.update(self._read(unread))
            return {name: self._subjects[name] for name in subjects if name in self._subjects}, self._faces

    def _subject_count(self) -> int:
        if self._count is None:
            self._count = self.collection.subject_count()
        return self._count

    def _renewed(self) -> Snapshot:
        """The current state of the collection; cached values are discarded if it or the strangers have changed."""
        snapshot = self.collection.snapshot()
        if self.strangers is not None:
            version = self.strangers.version()
            if version != self._strangers_version:
                vectors = self.strangers.vectors(self.name, snapshot.space or "")
                self._stranger_columns = np.ascontiguousarray(vectors[-MOST_STRANGERS:].T)
                self._strangers_version, self._state = version, None
        state = snapshot.revision
        if state != self._state:
            self._space = snapshot.space
            self._scorer = self._given_scorer.fitting(self._space)
        if state != self._state or len(self._subjects) > MOST_SUBJECTS or len(self._faces) > MOST_STATISTICS:
            self._state, self._subjects, self._faces = state, {}, {}
            self._count = self._needed = None
        return snapshot

    def _together(self, names: Sequence[str], snapshot: Snapshot) -> dict[str, EnrolledSubject]:
        """These subjects by name: one search and one product with the cohort for all their faces."""
        newest = self.collection.newest(names, MOST_FACES, snapshot)
        if not newest:
            return {}
        centroids = {name: robust_centroid(of) if len(of) > 1 else None for name, (_, of) in newest.items()}
        every = [
            of if (centroid := centroids[name]) is None else np.concatenate([of, centroid[np.newaxis]])
            for name, (_, of) in newest.items()
        ]
        statistics = self._enrolled_statistics([*newest], every, snapshot)
        return {
            name: EnrolledSubject(centroids[name], its[-1], dict(zip(face_ids, its, strict=False)))
            for (name, (face_ids, _)), its in zip(newest.items(), statistics, strict=True)
        }

    def _enrolled_statistics(
        self, names: Sequence[str], every: Sequence[FloatArray], snapshot: Snapshot
    ) -> list[list[Statistics]]:
        """For each subject of ``names`` those of its (n, dimensions) vectors; it is no part of its own cohort."""
        cohort = self._scorer.cohort
        if cohort is None:
            return [[NEUTRAL] * len(vectors) for vectors in every]
        stacked = np.concatenate(every)
        limits = [FACES + len(vectors) for vectors in every]
        found = self.collection.neighbors(stacked, max(limits), snapshot=snapshot)
        rows = zip(found, cohort.highest(stacked), self._strangers_of(stacked), strict=True)
        made: list[list[Statistics]] = []
        for name, limit, vectors in zip(names, limits, every, strict=True):
            made.append([])
            for neighbors, top, strangers in itertools.islice(rows, len(vectors)):
                nearest = _nearest(neighbors[:limit])
                others = [cosine for cosine, _, subject in nearest if subject is not None and subject != name]
                made[-1] += cohort.with_others(top, [NOBODY, *others], 1, strangers)
        return made

    def _read(self, face_ids: Sequence[str]) -> dict[str, Statistics]:
        there = self.collection.known_vectors(face_ids)
        if not there:
            return {}
        return dict(zip(there, self._scorer.statistics(np.stack(list(there.values()))), strict=True))


def _nearest(neighbors: Sequence[Neighbor]) -> list[Neighbor]:
    """The nearest face of each subject; ``neighbors`` come best first."""
    nearest: dict[str, Neighbor] = {}
    for neighbor in neighbors:
        nearest.setdefault(neighbor[2] or neighbor[1], neighbor)  # ``name_of``, of up to 32 faces per look
    return list(nearest.values())


def _without_rejected(
    query: FloatArray, neighbors: list[Neighbor], anchors: Mapping[str, FloatArray]
) -> list[Neighbor]:
    """``neighbors`` without the subjects that were rejected for a (dimensions,) query."""
    away = rejected(query, {name_of(one): one[0] for one in reversed(neighbors)}, anchors)
    return [one for one in neighbors if name_of(one) not in away] if away else neighbors


def _by_likeness(match: Match) -> tuple[float, float]:
    return -match.likeness, -match.similarity
