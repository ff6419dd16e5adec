"""Comparison of embedders on the owner's pictures: some are enrolled, the others identified."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.core.errors import InputError
from edge.core.imaging import image as pictures
from edge.core.storage import files
from edge.recognition.enrollment import Enroller, best, new_face
from edge.recognition.identification import identity, subject_search
from edge.recognition.store.collections import Collections

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.core.types import Match
    from edge.recognition.extraction import ExtractedFace, FaceExtractor
    from edge.recognition.subject_search import SubjectSearch

COLLECTION = "comparison"
FEWEST = 2
"""minimum pictures per person, half of which are enrolled"""


@dataclass(frozen=True, slots=True)
class NamingFigures:
    """Accuracy of one embedder on the people of a folder."""

    embedder: str
    people: int
    pictures: int
    """number of pictures that were not enrolled and have a face of sufficient quality"""
    right: float
    """share of pictures with the correct name"""
    wrong: float
    """share of pictures with a wrong name"""
    strangers: float
    """share of pictures that would get another person's name if their person were not enrolled"""
    likeness: float
    """likeness 0..100 that a match had to reach"""
    milliseconds: float
    """CPU time to detect and embed the face of one picture"""


def people_of(folder: Path, paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Person -> pictures, by the subfolders of ``folder``. Raises InputError for fewer than two people."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        parts = path.relative_to(folder).parts
        if len(parts) > 1:
            found.setdefault(parts[0], []).append(path)
    found = {name: ones for name, ones in found.items() if len(ones) >= FEWEST}
    if len(found) < 2:
        raise InputError(
            f"{folder}: expected a folder of {FEWEST} or more pictures for each of 2 or more people, got {len(found)}",
            "create FOLDER/NAME/picture.jpg",
            code="people",
        )
    return found


def compare(
    people: Mapping[str, Sequence[Path]],
    finder: FaceExtractor,
    settings: Settings,
    state: Path,
    advance: Callable[[], None] = lambda: None,
) -> NamingFigures:
    """Enroll every other picture of each person and identify the rest. ``state``: an empty folder.

    Raises InputError if no picture has a face of sufficient quality.
    """
    with Collections(state, settings.collection, maintain=False) as collections:
        collection = collections.create(COLLECTION)
        enroller = Enroller(collection)
        probes: list[tuple[str, ExtractedFace]] = []
        spent: list[float] = []
        for name, paths in people.items():
            for number, path in enumerate(paths):
                advance()
                began = time.process_time()
                face = _face(path, finder)
                if face is None or face.embedding is None:
                    continue
                spent.append(time.process_time() - began)
                if number % 2 == 0:
                    enroller.add(new_face(face, files.sha256(path), name), face.embedding.space)
                else:
                    probes.append((name, face))
        search = subject_search(settings, finder.label, finder.embedder.scorer, collection)
        return _figures(probes, search, finder.embedder.card.name, 1e3 * float(np.median(spent)) if spent else 0.0)


def _face(path: Path, finder: FaceExtractor) -> ExtractedFace | None:
    try:
        picture = pictures.read(path)
    except InputError:
        return None
    found = finder.detect(picture)
    return finder.embed(picture, [best(found)])[0] if found else None


def _figures(
    probes: Sequence[tuple[str, ExtractedFace]], search: SubjectSearch, embedder: str, milliseconds: float
) -> NamingFigures:
    if not probes or not search.count:
        raise InputError("no picture has a face of sufficient quality", "use sharp frontal pictures", code="none")
    right = wrong = strangers = 0
    for name, face in probes:
        assert face.embedding is not None  # noqa: S101
        matches = search.subjects(face.embedding.vector[np.newaxis], face.embedding.space)[0]
        given = _named(matches, search)
        right += given == name
        wrong += given not in (None, name)
        strangers += _named([match for match in matches if match.name != name], search) is not None
    count = len(probes)
    return NamingFigures(
        embedder, search.count, count, right / count, wrong / count, strangers / count, search.needed, milliseconds
    )


def _named(matches: Sequence[Match], search: SubjectSearch) -> str | None:
    found = identity(matches, search.needed, search.policy.margin, search.name)
    return found.subject if found.state.value == "known" else None
