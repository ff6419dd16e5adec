"""Known people and strangers on stills, through a collection and the search that the product uses."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core.settings.schema import Settings
from edge.core.types import Box, IdentityState, Space
from edge.inference.embedder import Embedder
from edge.recognition.enrollment import Enroller
from edge.recognition.identification import identity, subject_search
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.subject_search import SubjectSearch
from evaluation.embeddings import QUALITIES, FaceTable
from evaluation.sets import people_of

COLLECTION, LABEL = "people", "face"
PICTURES = 3
"""of each known person, enrolled"""
ENDPOINT = 80.0
"""threshold of SearchFacesByImage where a request says nothing in a small collection"""


@dataclass
class Counts:
    """What became of probes."""

    known: int = 0
    right: int = 0
    wrong: int = 0
    strangers: int = 0
    named: int = 0
    """strangers that were given a name"""
    matched: int = 0
    """strangers that SearchFacesByImage matches at ENDPOINT"""
    subjects: int = 0
    """enrolled, in the last draw"""
    needed: float = 0.0
    """likeness that a match had to reach, in the last draw"""

    def add(self, other: Counts) -> None:
        for name in ("known", "right", "wrong", "strangers", "named", "matched"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.subjects, self.needed = other.subjects, other.needed


@dataclass(frozen=True)
class Split:
    """Rows of a table: who is enrolled, and who appears."""

    enrolled: NDArray[np.int64]
    known: NDArray[np.int64]
    strangers: NDArray[np.int64]


def split(table: FaceTable, subjects: int, random: np.random.Generator, people: Sequence[str] = ()) -> Split:
    """Enroll ``subjects`` people with up to PICTURES pictures; the rest of theirs are probes, all others strangers.

    ``people``: who may be enrolled; else those with most pictures come first where known probes are wanted.
    """
    names = people_of(table)
    counted, counts = np.unique(names, return_counts=True)
    able = [one for one, count in zip(counted, counts, strict=True) if count > 1 and (not people or one in people)]
    if not people and len(able) < subjects:
        able = list(counted)
    chosen = set(random.permutation(able)[:subjects].tolist())
    enrolled, known, strangers = [], [], []
    for name in counted:
        rows = random.permutation(np.flatnonzero(names == name))
        if name not in chosen:
            strangers.append(rows[:1])
            continue
        most = min(PICTURES, max(1, len(rows) - 1))
        enrolled.append(rows[:most])
        known.append(rows[most:])
    if people:
        strangers = [rows for rows in strangers if names[rows[0]] not in people]
    empty = np.zeros(0, np.int64)
    return Split(*(np.concatenate([empty, *part]).astype(np.int64) for part in (enrolled, known, strangers)))


def photo_splits(photos: FaceTable, most: int, least: float, random: np.random.Generator) -> Iterator[Split]:
    """For each group picture: half of its people, at most ``most``, are enrolled and the others appear.

    ``least``: quality 0..1 from which a face may be enrolled.
    """
    good = photos.quality[:, QUALITIES.index("score")] >= least
    for name in np.unique(photos.people):
        rows = random.permutation(np.flatnonzero(photos.people == name))
        enrolled = rows[good[rows]][: min(most, len(rows) // 2)]
        if len(enrolled):
            yield Split(enrolled, np.zeros(0, np.int64), np.setdiff1d(rows, enrolled))


@contextmanager
def enrolled(
    table: FaceTable, rows: NDArray[np.int64], names: NDArray[np.str_], embedder: Embedder, settings: Settings
) -> Iterator[tuple[Collections, SubjectSearch]]:
    """Collections with these faces as COLLECTION, in a folder of their own, and the search in it by the settings."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Collections(Path(folder), settings.collection, maintain=False) as collections,
    ):
        collection = collections.create(COLLECTION)
        enroller = Enroller(collection)
        for row in rows.tolist():
            digest = hashlib.sha256(f"{table.files[row]} {row}".encode()).hexdigest()
            new = NewFace(table.stills[row], names[row].replace("/", " "), digest, Box(0.2, 0.2, 0.8, 0.8))
            enroller.add(new, embedder.space)
        yield collections, subject_search(settings, LABEL, embedder.scorer, collection)


def counted(table: FaceTable, how: Split, embedder: Embedder, settings: Settings, unlike: bool = False) -> Counts:
    """Probe a gallery. ``unlike``: every row is somebody else, whatever its name says."""
    names = np.array([f"{name} {row}" for row, name in enumerate(table.people)]) if unlike else people_of(table)
    found = Counts()
    with enrolled(table, how.enrolled, names, embedder, settings) as (_, search):
        found.subjects, found.needed = search.count, search.needed
        for row, subject in zip(how.known.tolist(), _named(table, how.known, search, embedder.space), strict=True):
            found.known += 1
            found.right += subject == names[row].replace("/", " ")
            found.wrong += subject is not None and subject != names[row].replace("/", " ")
        found.strangers = len(how.strangers)
        found.named = sum(one is not None for one in _named(table, how.strangers, search, embedder.space))
        if len(how.strangers):
            nearest = search.faces(table.stills[how.strangers], embedder.space, 1)
            found.matched = sum(bool(one) and one[0].likeness >= ENDPOINT for one in nearest)
    return found


def _named(table: FaceTable, rows: NDArray[np.int64], search: SubjectSearch, space: Space) -> list[str | None]:
    """The name that each probe is given as a still, as ``edge search`` gives it."""
    if not len(rows):
        return []
    found = search.subjects(table.stills[rows], space)
    who = [identity(matches, search.needed, search.policy.margin, search.name) for matches in found]
    return [one.subject if one.state is IdentityState.KNOWN else None for one in who]
