"""The sets that names are measured on, and who of them is kept aside from training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from evaluation import embeddings
from evaluation.embeddings import FaceTable, Portrait

KEPT_ASIDE = {"lfw": 0.10, "broad": 0.15}
"""share of the people that training never sees, by set; ``scripts/training/data.py`` splits alike"""
GROUP_FOLDERS = ("stills", "tv_cast/group", "face_pairs", "coco_sample/images", "pennfudan/images")
DOUBLES = ("John_Burnett",)
"""people that a set has under two names (John_Barnett)"""
MOST_PICTURES = 6
"""of a person of lfw_train, so that nobody's look-alike counts ten times"""
LFW_OTHERS = 1000
"""people of lfw_train that are not kept aside and are embedded for cohorts, one picture each"""


@dataclass(frozen=True)
class FaceSets:
    """The faces that are at hand."""

    lfw: FaceTable
    """of lfw_train"""
    broad: FaceTable
    """of faces_broad"""
    photos: FaceTable
    """everybody in group pictures; ``people`` is the picture"""

    def kept(self, name: str) -> NDArray[np.bool_]:
        """Which rows of ``lfw`` or ``broad`` are of people kept aside."""
        table: FaceTable = getattr(self, name)
        return np.array([kept_aside(person, KEPT_ASIDE[name]) for person in people_of(table)], bool)


def kept_aside(person: str, share: float) -> bool:
    """Whether training never sees a person, by the name alone."""
    digest = hashlib.sha256(person.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share


def people_of(table: FaceTable) -> NDArray[np.str_]:
    """Names as the split knows them: a generated portrait is known by its file's stem."""
    stems = [person.rsplit("/", 1)[-1].rsplit(".", 1)[0] if "/" in person else person for person in table.people]
    return np.array(stems, str)


def read(data: Path, work: Path, detector: Detector, embedder: Embedder, quality: float) -> FaceSets:
    """All sets, embedded once for each model; faces below ``quality`` are left out as the product leaves them out."""

    def table(name: str, portraits: list[Portrait], everybody: bool = False) -> FaceTable:
        return embeddings.embedded(name, portraits, detector, embedder, work, everybody).good(quality)

    return FaceSets(
        _few_of_each(table("lfw_some", some_of_lfw(data / "lfw_train", work))),
        table("faces_broad", embeddings.broad_set(data / "faces_broad", work)),
        table("groups", embeddings.group_set([data / name for name in GROUP_FOLDERS]), everybody=True),
    )


def some_of_lfw(folder: Path, work: Path) -> list[Portrait]:
    """All pictures of the people kept aside, and one picture of each of some others."""
    portraits = embeddings.folder_set(embeddings.unpacked(folder, work), "lfw")
    aside = [one for one in portraits if kept_aside(one.person, KEPT_ASIDE["lfw"])]
    firsts: dict[str, Portrait] = {}
    for one in portraits:
        if not kept_aside(one.person, KEPT_ASIDE["lfw"]):
            firsts.setdefault(one.person, one)
    others = np.random.default_rng(1).permutation(sorted(firsts))[:LFW_OTHERS]
    return aside + [firsts[person] for person in others]


def _few_of_each(table: FaceTable) -> FaceTable:
    seen: dict[str, int] = {}
    rows = []
    for row, person in enumerate(table.people.tolist()):
        seen[person] = seen.get(person, 0) + 1
        if seen[person] <= MOST_PICTURES and person not in DOUBLES:
            rows.append(row)
    return table.rows(np.array(rows, np.int64))
