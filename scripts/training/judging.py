"""What the shipped code makes of labeled pictures: faces embedded, people named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.cli.output import bar
from edge.core.imaging import image as pictures
from edge.core.types import Detection
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.recognition.store.centroid import robust_centroid
from edge.recognition.subject_search import subject_cosine
from training import data, measures

MISSING = -1.0
"""Cosine of a pair of which one picture had no face that was found."""


@dataclass(frozen=True)
class Faces:
    """One picture's central face each."""

    people: NDArray[np.str_]
    """(N,) names"""
    vectors: NDArray[np.float32]
    """(N, D) of unit length, as in a camera's frame; zero where no face was found"""
    stills: NDArray[np.float32]
    """(N, D) the same faces as they are enrolled"""
    central: NDArray[np.bool_]
    """(N,) whether a face was found that covers the picture's middle"""

    @property
    def found(self) -> NDArray[np.bool_]:
        return self.vectors.any(axis=1)


def central(found: Sequence[Detection]) -> Detection | None:
    """The detection nearest to the picture's middle."""
    return min(
        found,
        key=lambda d: (d.box.center.x - 0.5) ** 2 + (d.box.center.y - 0.5) ** 2,
        default=None,
    )


def embed_folder(folder: Path, detector: Detector, embedder: Embedder, scores: Mapping[str, float]) -> Faces:
    """The central face of every picture in a folder with a folder per person."""
    files = [path for path in data.picture_files(folder) if path.parent != folder]
    vectors, stills = np.zeros((2, len(files), embedder.space.dimensions), np.float32)
    covered = np.zeros(len(files), bool)
    with bar("embedding", len(files)) as progress:
        for row, path in enumerate(files):
            progress.advance()
            picture = pictures.read(path)
            target = central(detector.detect(picture, scores))
            if target is None:
                continue
            box = target.box
            covered[row] = box.left <= 0.5 <= box.right and box.top <= 0.5 <= box.bottom
            vectors[row] = embedder.embed(picture, [target])[0].vector
            stills[row] = embedder.embed(picture, [target], still=True)[0].vector
    return Faces(np.array([path.parent.name for path in files]), vectors, stills, covered)


def pair_cosines(faces: Faces) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines of all pairs of one person, and of all pairs of two; a missing face spoils its pair."""
    return _told_apart(faces, faces.vectors @ faces.vectors.T, np.triu(np.ones((len(faces.people),) * 2, bool), 1))


def enrolled_cosines(faces: Faces) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """As `pair_cosines`, every face as it is enrolled against every other one as a camera sees it."""
    return _told_apart(faces, faces.stills @ faces.vectors.T, ~np.eye(len(faces.people), dtype=bool))


def _told_apart(
    faces: Faces, cosines: NDArray[np.float32], pairs: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    numbers = np.unique(faces.people, return_inverse=True)[1]
    known = faces.found[:, None] & faces.found[None]
    equal = numbers[:, None] == numbers[None]
    same = np.where(known, cosines, MISSING)[equal & pairs]
    return same, cosines[~equal & pairs & known]


@dataclass(frozen=True)
class Identification:
    """Naming known people among strangers."""

    rank1: float
    rate: float
    """share of probes named rightly where 1 % of strangers are named too"""
    threshold: float
    probes: int
    strangers: int


def identify(known: Sequence[tuple[bool, float]], strangers: Sequence[float], share: float = 0.01) -> Identification:
    """From (named rightly, score) of each probe, and the best score of each stranger."""
    threshold = measures.threshold_at(np.array(strangers, np.float32), share)
    return Identification(
        float(np.mean([right for right, _ in known])),
        float(np.mean([right and score > threshold for right, score in known])),
        threshold,
        len(known),
        len(strangers),
    )


def identification(faces: Faces, strangers: set[str], gallery: int) -> Identification:
    """Enroll the first pictures of everybody who is not a stranger, probe with all others as a camera sees them."""
    rank = np.zeros(len(faces.people), int)
    for name in np.unique(faces.people):
        rows = np.flatnonzero(faces.people == name)
        rank[rows] = np.arange(len(rows))
    stranger = np.isin(faces.people, sorted(strangers))
    enrolled = ~stranger & (rank < gallery) & faces.found
    names = np.unique(faces.people[enrolled])
    alike = np.stack([_alike(faces, enrolled & (faces.people == name)) for name in names], axis=1)
    named, best = names[alike.argmax(axis=1)], alike.max(axis=1)
    known = [
        (bool(named[row] == faces.people[row] and faces.found[row]), float(best[row]))
        for row in np.flatnonzero(~stranger & (rank >= gallery))
    ]
    return identify(known, best[stranger].tolist())


def _alike(faces: Faces, enrolled: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(N,) how like one subject, whose ``enrolled`` faces these are, every face is; as a collection tells it."""
    stills = faces.stills[enrolled]
    whole = robust_centroid(stills) if len(stills) > 1 else None
    nearest = (faces.vectors @ stills.T).max(axis=1)
    alike = [subject_cosine(float(near), query, whole) for near, query in zip(nearest, faces.vectors, strict=True)]
    return np.where(faces.found, alike, MISSING).astype(np.float32)
