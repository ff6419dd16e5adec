"""A look of which a person said that it is not somebody is held away from that name in the endpoint as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.services import ReviewSettings
from edge.core.types import Box
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue

People = Callable[[int], list[bytes]]
ANYTHING = {"FaceMatchThreshold": 0}


@pytest.fixture
def alike(rekognition: Any, collection: str, people: People) -> bytes:
    """A picture that looks like ann, who is in the collection with one face and as a user; eve is another person."""
    pictures = people(0)
    for picture, name in ((pictures[0], "ann"), (people(1)[0], "eve")):
        answer = rekognition.index_faces(
            CollectionId=collection, Image={"Bytes": picture}, ExternalImageId=name, MaxFaces=1
        )
        rekognition.create_user(CollectionId=collection, UserId=f"user-{name}")
        faces = [answer["FaceRecords"][0]["Face"]["FaceId"]]
        rekognition.associate_faces(CollectionId=collection, UserId=f"user-{name}", FaceIds=faces)
    return pictures[1]


def reject(server: ApiServer, rekognition: Any, collection: str, picture: bytes, subject: str) -> None:
    """A person says that the picture is not ``subject``."""
    answer = rekognition.index_faces(CollectionId=collection, Image={"Bytes": picture}, MaxFaces=1)
    face_id = answer["FaceRecords"][0]["Face"]["FaceId"]
    vector = server.service.collections.get(collection).vectors([face_id])[0]
    rekognition.delete_faces(CollectionId=collection, FaceIds=[face_id])
    space = server.service.vision.space
    with ReviewQueue(server.service.collections.store.path.parent, ReviewSettings()) as queue:
        where = ("door", "1-1", "face", collection, space, Box(0, 0, 1, 1), 0.9, 0.9)
        queue.put([ReviewQuestion("audit", time.time(), *where, subject, (), vector)])
        queue.answer(queue.doubts(limit=1000)[-1], "rejected", subject)


def names(answer: Any) -> list[str]:
    return [match["Face"].get("ExternalImageId", "") for match in answer["FaceMatches"]]


def users(answer: Any) -> list[str]:
    return [match["User"]["UserId"] for match in answer["UserMatches"]]


def test_what_was_rejected_matches_neither_the_faces_nor_the_user_at_any_threshold(
    server: ApiServer, rekognition: Any, collection: str, people: People, alike: bytes
) -> None:
    def seen(picture: bytes) -> tuple[list[str], list[str]]:
        about: dict[str, Any] = {"CollectionId": collection, "Image": {"Bytes": picture}}
        found = rekognition.search_users_by_image(**about, UserMatchThreshold=0)
        return names(rekognition.search_faces_by_image(**about, **ANYTHING)), users(found)

    assert seen(alike) == (["ann", "eve"], ["user-ann", "user-eve"])
    reject(server, rekognition, collection, alike, "ann")
    assert seen(alike) == (["eve"], ["user-eve"])
    assert seen(people(0)[0]) == (["ann", "eve"], ["user-ann", "user-eve"]), "ann herself is found as before"


def test_a_face_of_the_collection_is_held_away_and_the_subjects_own_are_not(
    server: ApiServer, rekognition: Any, collection: str, people: People, alike: bytes
) -> None:
    reject(server, rekognition, collection, alike, "ann")

    def indexed(picture: bytes, name: str) -> str:
        answer = rekognition.index_faces(
            CollectionId=collection, Image={"Bytes": picture}, ExternalImageId=name, MaxFaces=1
        )
        return str(answer["FaceRecords"][0]["Face"]["FaceId"])

    twin = indexed(alike, "twin")
    more = indexed(people(0)[2], "ann")
    found = rekognition.search_faces(CollectionId=collection, FaceId=twin, **ANYTHING)
    assert "ann" not in names(found)
    found = rekognition.search_faces(CollectionId=collection, FaceId=more, **ANYTHING)
    assert "ann" in names(found), "a face that was indexed under the name is the name's"
