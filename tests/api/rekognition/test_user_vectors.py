"""Searching for users beats searching for single faces, on people and strangers of a development set."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import settings_for

from edge.api.rekognition.vision import Vision
from edge.core.imaging import image as pictures
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box
from edge.inference.pool import ModelPool
from edge.inference.scoring import FaceScorer
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.users import Users
from edge.recognition.subject_search import SubjectSearch

FALSE_POSITIVES = 0.01
"""share of strangers that may be taken for somebody"""
ENROLLED = 4
"""pictures of each person, at most; no more than half of what there is"""
SPLITS = 5


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_users_are_recognized_more_often_than_faces_at_the_same_rate_of_false_names(
    shared: Path, tmp_path: Path
) -> None:
    vision = Vision(settings := settings_for(shared / "models"), ModelPool(settings.models, tmp_path))
    folder = shared / "data" / "lfw_dev"
    split = json.loads((folder / "split.json").read_text())
    people = {name: embeddings(vision, folder / name) for name in split["gallery_ids"]}
    strangers = [vector for name in split["distractor_ids"] for vector in embeddings(vision, folder / name)]

    rates = [rates_of(people, strangers, vision, tmp_path / str(seed), seed) for seed in range(SPLITS)]

    faces, users = (round(float(np.mean(column)), 4) for column in zip(*rates, strict=True))
    print({"people": len(people), "strangers": len(strangers), "splits": SPLITS, "by face": faces, "by user": users})
    assert users > faces


def rates_of(
    people: dict[str, Any], strangers: list[Any], vision: Vision, folder: Path, seed: int
) -> tuple[float, float]:
    """How often people are recognized by face and by user, with a random choice of pictures enrolled."""
    chance = random.Random(seed)
    probes: list[tuple[str, Any]] = []
    with Collections(folder, CollectionSettings()) as collections:
        collection = collections.create("people")
        users = Users(collections.store, "people", collection.number)
        for name, vectors in people.items():
            mixed = chance.sample(vectors, len(vectors))
            enrolled = mixed[: min(ENROLLED, len(mixed) // 2)]
            new = [NewFace(one, name, f"{name} {i}", Box(0, 0, 1, 1)) for i, one in enumerate(enrolled)]
            users.create(name)
            users.associate(name, [face.face_id for face in collection.add(new, vision.space)])
            probes += [(name, vector) for vector in mixed[len(enrolled) :]]
        search = SubjectSearch(collection, vision.scorer)
        by_face = rate(probes, strangers, lambda vector: best_face(search, vector))
        by_user = rate(probes, strangers, lambda vector: best_user(users, vector, vision.scorer))
    return by_face, by_user


def embeddings(vision: Vision, folder: Path) -> list[Any]:
    """A vector for the largest face of each picture that has one."""
    found = []
    for path in sorted(folder.glob("*.jpg")):
        picture = pictures.read(path)
        faces = vision.faces(picture)
        found += [one.vector for one in vision.embed(picture, faces[:1], still=True)]
    return found


def best_face(search: SubjectSearch, vector: Any) -> tuple[str | None, float]:
    match = search.faces(vector[np.newaxis], limit=1)[0][0]
    return match.subject, match.likeness


def best_user(users: Users, vector: Any, scorer: FaceScorer) -> tuple[str, float]:
    match = users.search(vector, 1, scorer)[0]
    return match.user_id, match.likeness


def rate(probes: list[tuple[str, Any]], strangers: list[Any], best: Any) -> float:
    """The share of probes whose best match is right and above what all but FALSE_POSITIVES of strangers reach."""
    threshold = float(np.quantile([best(vector)[1] for vector in strangers], 1 - FALSE_POSITIVES))
    found = [(name, *best(vector)) for name, vector in probes]
    return round(sum(name == who and likeness > threshold for name, who, likeness in found) / len(found), 4)
