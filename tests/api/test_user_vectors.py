"""Searching for users beats searching for single faces, on people and strangers of a development set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import settings_for

from edge import pictures
from edge.api.vision import Vision
from edge.collection.collections import Collections
from edge.collection.faces import NewFace
from edge.collection.users import Users
from edge.settings import CollectionSettings

FALSE_POSITIVES = 0.01
"""share of strangers that may be taken for somebody"""
ENROLLED = 4
"""pictures of each person, at most"""


@pytest.mark.long
@pytest.mark.timeout(900)
def test_users_are_recognised_more_often_than_faces_at_the_same_rate_of_false_names(
    shared: Path, tmp_path: Path
) -> None:
    vision = Vision(settings_for(shared / "models"), tmp_path)
    folder = shared / "data" / "lfw_dev"
    split = json.loads((folder / "split.json").read_text())
    probes: list[tuple[str, Any]] = []
    with Collections(tmp_path, CollectionSettings()) as collections:
        collection = collections.create("people")
        users = Users(collections.store, "people", collection.number)
        for name in split["gallery_ids"]:
            embedded = list(embeddings(vision, sorted((folder / name).glob("*.jpg"))))
            enrolled = embedded[: min(ENROLLED, len(embedded) // 2)]
            users.create(name)
            users.associate(name, [add(collection, vision, name, *one) for one in enrolled], -1)
            probes += [(name, vector) for _, vector in embedded[len(enrolled) :]]
        strangers = [
            vector
            for name in split["distractor_ids"]
            for _, vector in embeddings(vision, sorted((folder / name).glob("*.jpg")))
        ]

        by_face = rate(probes, strangers, lambda vector: best_face(collection, vector))
        by_user = rate(probes, strangers, lambda vector: best_user(users, vector))

    print({"people": len(split["gallery_ids"]), "probes": len(probes), "strangers": len(strangers),
           "recognised by face": by_face, "recognised by user": by_user})  # fmt: skip
    assert by_user > by_face


def embeddings(vision: Vision, paths: list[Path]) -> Iterator[tuple[str, Any]]:
    """(digest, vector) of the largest face of each picture that has one."""
    for path in paths:
        data = path.read_bytes()
        picture = pictures.decode(data)
        faces = vision.faces(picture)
        if faces:
            (found,) = vision.embed(picture, faces[:1])
            yield hashlib.sha256(data).hexdigest(), found.vector


def add(collection: Any, vision: Vision, name: str, digest: str, vector: Any) -> str:
    from edge.types import Box

    return collection.add([NewFace(vector, name, digest, Box(0, 0, 1, 1))], vision.space)[0].face_id


def best_face(collection: Any, vector: Any) -> tuple[str, float]:
    match = collection.search(vector[np.newaxis], 1)[0][0]
    return match.subject, match.similarity


def best_user(users: Users, vector: Any) -> tuple[str, float]:
    match = users.search(vector, 1)[0]
    return match.user_id, match.similarity


def rate(probes: list[tuple[str, Any]], strangers: list[Any], best: Any) -> float:
    """The share of probes whose best match is right and above what all but FALSE_POSITIVES of strangers reach."""
    threshold = float(np.quantile([best(vector)[1] for vector in strangers], 1 - FALSE_POSITIVES))
    found = [(name, *best(vector)) for name, vector in probes]
    return round(sum(name == who and similarity > threshold for name, who, similarity in found) / len(found), 4)
