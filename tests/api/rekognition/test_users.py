"""Users: named persons whose faces make one vector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import ConflictError, NotFoundError
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
from edge.inference.scoring import GENERAL
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.users import MOST_FACES, Users

People = Callable[[int], list[bytes]]
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def faces(rekognition: Any, collection: str, people: People) -> dict[int, list[str]]:
    """The FaceIds of three faces of each of three persons."""
    found = {}
    for number in range(3):
        answers = [
            rekognition.index_faces(CollectionId=collection, Image={"Bytes": picture}, MaxFaces=1)
            for picture in people(number)[:3]
        ]
        found[number] = [answer["FaceRecords"][0]["Face"]["FaceId"] for answer in answers]
    return found


def test_a_user_lives_from_created_to_active_and_back(
    rekognition: Any, collection: str, faces: dict[int, list[str]]
) -> None:
    rekognition.create_user(CollectionId=collection, UserId="ann")
    with pytest.raises(rekognition.exceptions.ConflictException):
        rekognition.create_user(CollectionId=collection, UserId="ann")
    assert rekognition.list_users(CollectionId=collection)["Users"] == [{"UserId": "ann", "UserStatus": "CREATED"}]

    tied = rekognition.associate_faces(CollectionId=collection, UserId="ann", FaceIds=faces[0])

    assert [one["FaceId"] for one in tied["AssociatedFaces"]] == faces[0]
    assert tied["UserStatus"] == "ACTIVE"
    assert rekognition.describe_collection(CollectionId=collection)["UserCount"] == 1
    listed = rekognition.list_faces(CollectionId=collection, UserId="ann")["Faces"]
    assert {face["FaceId"]: face["UserId"] for face in listed} == dict.fromkeys(faces[0], "ann")

    untied = rekognition.disassociate_faces(CollectionId=collection, UserId="ann", FaceIds=[*faces[0], UNKNOWN])
    assert [one["FaceId"] for one in untied["DisassociatedFaces"]] == faces[0]
    assert untied["UserStatus"] == "CREATED"
    assert untied["UnsuccessfulFaceDisassociations"] == [{"FaceId": UNKNOWN, "Reasons": ["FACE_NOT_FOUND"]}]
    rekognition.delete_user(CollectionId=collection, UserId="ann")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.delete_user(CollectionId=collection, UserId="ann")


def test_faces_that_cannot_be_tied_say_why(rekognition: Any, collection: str, faces: dict[int, list[str]]) -> None:
    for name in ("ann", "bob"):
        rekognition.create_user(CollectionId=collection, UserId=name)
    rekognition.associate_faces(CollectionId=collection, UserId="bob", FaceIds=faces[1][:1])
    rekognition.associate_faces(CollectionId=collection, UserId="ann", FaceIds=faces[0][:2])

    answer = rekognition.associate_faces(
        CollectionId=collection,
        UserId="ann",
        FaceIds=[faces[0][0], faces[0][2], faces[1][0], faces[2][0], UNKNOWN],
    )

    assert [one["FaceId"] for one in answer["AssociatedFaces"]] == [faces[0][2]]
    refused = {one["FaceId"]: one for one in answer["UnsuccessfulFaceAssociations"]}
    assert refused[faces[1][0]]["Reasons"] == ["ASSOCIATED_TO_A_DIFFERENT_USER"]
    assert refused[faces[1][0]]["UserId"] == "bob"
    assert refused[faces[2][0]]["Reasons"] == ["LOW_MATCH_CONFIDENCE"]
    assert refused[faces[2][0]]["Confidence"] < 75
    assert refused[UNKNOWN]["Reasons"] == ["FACE_NOT_FOUND"]
    assert faces[0][0] not in refused


def test_a_face_of_a_user_is_not_deleted(rekognition: Any, collection: str, faces: dict[int, list[str]]) -> None:
    rekognition.create_user(CollectionId=collection, UserId="ann")
    rekognition.associate_faces(CollectionId=collection, UserId="ann", FaceIds=faces[0][:1])

    answer = rekognition.delete_faces(CollectionId=collection, FaceIds=faces[0])

    assert answer["DeletedFaces"] == faces[0][1:]
    kept = {"FaceId": faces[0][0], "UserId": "ann", "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}
    assert answer["UnsuccessfulFaceDeletions"] == [kept]
    rekognition.delete_user(CollectionId=collection, UserId="ann")
    assert rekognition.delete_faces(CollectionId=collection, FaceIds=faces[0][:1])["DeletedFaces"] == faces[0][:1]


def test_users_are_found_by_face_by_user_and_by_picture(
    rekognition: Any, collection: str, faces: dict[int, list[str]], people: People
) -> None:
    for number, name in enumerate(("ann", "bob")):
        rekognition.create_user(CollectionId=collection, UserId=name)
        rekognition.associate_faces(CollectionId=collection, UserId=name, FaceIds=faces[number])

    by_face = rekognition.search_users(CollectionId=collection, FaceId=faces[0][0])
    by_user = rekognition.search_users(CollectionId=collection, UserId="ann", UserMatchThreshold=0)
    by_image = rekognition.search_users_by_image(CollectionId=collection, Image={"Bytes": people(1)[4]})

    assert by_face["SearchedFace"] == {"FaceId": faces[0][0]}
    assert [match["User"]["UserId"] for match in by_face["UserMatches"]] == ["ann"]
    assert by_user["SearchedUser"] == {"UserId": "ann"}
    assert [match["User"]["UserId"] for match in by_user["UserMatches"]] == ["bob"]
    assert [match["User"]["UserId"] for match in by_image["UserMatches"]] == ["bob"]
    assert "Landmarks" in by_image["SearchedFace"]["FaceDetail"]


def test_a_search_for_users_without_a_face_answers_an_empty_list(
    rekognition: Any, collection: str, shared_data: Path
) -> None:
    cat = (shared_data / "stills" / "cat_720p.jpg").read_bytes()

    answer = rekognition.search_users_by_image(CollectionId=collection, Image={"Bytes": cat})

    assert answer["UserMatches"] == []
    assert "SearchedFace" not in answer


def test_faces_that_are_not_the_largest_are_listed_as_not_searched(
    rekognition: Any, collection: str, shared_data: Path
) -> None:
    group = (shared_data / "face_pairs" / "selfie-many-people.jpg").read_bytes()

    answer = rekognition.search_users_by_image(CollectionId=collection, Image={"Bytes": group})

    assert answer["UnsearchedFaces"]
    assert all(one["Reasons"] == ["FACE_NOT_LARGEST"] for one in answer["UnsearchedFaces"])


def test_a_token_replays_its_first_answer_and_belongs_to_one_request(rekognition: Any, collection: str) -> None:
    for _ in range(2):
        rekognition.create_user(CollectionId=collection, UserId="ann", ClientRequestToken="a-token")
    with pytest.raises(rekognition.exceptions.IdempotentParameterMismatchException, match="a-token"):
        rekognition.create_user(CollectionId=collection, UserId="bob", ClientRequestToken="a-token")

    assert len(rekognition.list_users(CollectionId=collection)["Users"]) == 1


def test_users_come_in_pages_in_the_order_of_their_creation(rekognition: Any, collection: str) -> None:
    names = [f"user-{number}" for number in (3, 1, 2, 5, 4)]
    for name in names:
        rekognition.create_user(CollectionId=collection, UserId=name)

    pages = list(
        rekognition.get_paginator("list_users").paginate(CollectionId=collection, PaginationConfig={"PageSize": 2})
    )

    assert [user["UserId"] for page in pages for user in page["Users"]] == names
    assert len(pages) == 3


SPACE = Space("0" * 64, "litert", 1, 8)


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    with Collections(tmp_path, CollectionSettings()) as collections:
        collection = collections.create("c")
        yield collections, collection, Users(collections.store, "c", collection.number)


def add(collection: Any, vectors: Any) -> list[str]:
    new = [NewFace(vector, None, f"{vector.tobytes().hex()}", Box(0, 0, 1, 1)) for vector in vectors]
    return [face.face_id for face in collection.add(new, SPACE)]


def unit(*rows: list[float]) -> Any:
    vectors = np.zeros((len(rows), 8), np.float32)
    for vector, row in zip(vectors, rows, strict=True):
        vector[: len(row)] = row
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_users_vector_is_the_mean_of_its_faces_and_follows_them(stored: Any) -> None:
    _, collection, users = stored
    vectors = unit([1, 0.2], [1, -0.2], [0, 0, 1])
    ids = add(collection, vectors)
    users.create("ann")

    users.associate("ann", ids[:2])
    assert users.search(unit([1, 0])[0], 5)[0].likeness == pytest.approx(100.0, abs=1e-3)
    users.disassociate("ann", ids[:1])
    assert users.search(unit([1, 0])[0], 5)[0].likeness == pytest.approx(
        GENERAL.likeness(float(vectors[1][0])), abs=1e-3
    )
    collection.delete_faces(ids[1:2])

    assert users.search(unit([1, 0])[0], 5) == []
    assert users.get("ann").status == "CREATED"


def test_embeddings_that_cancel_out_still_make_a_vector(stored: Any) -> None:
    _, collection, users = stored
    ids = add(collection, unit([1.0], [-1.0]))
    users.create("ann")

    users.associate("ann", ids)

    assert np.linalg.norm(users.vector("ann")) == pytest.approx(1.0, abs=1e-6)


def test_a_user_has_at_most_100_faces_and_a_full_one_takes_no_more(stored: Any) -> None:
    _, collection, users = stored
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(MOST_FACES + 2, 8)).astype(np.float32)
    ids = add(collection, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    users.create("ann")
    users.associate("ann", ids[:99])

    change = users.associate("ann", ids[99:])

    assert change.done == (ids[99],)
    assert [one.reason for one in change.refused] == ["FULL", "FULL"]


def test_another_opening_of_the_store_sees_a_change_at_once(stored: Any, tmp_path: Path) -> None:
    _, collection, users = stored
    ids = add(collection, unit([1.0], [0, 1.0]))
    users.create("ann")
    assert users.search(unit([1.0])[0], 5) == []
    with Collections(tmp_path, CollectionSettings()) as elsewhere:
        Users(elsewhere.store, "c", collection.number).associate("ann", ids[:1])

    assert [match.user_id for match in users.search(unit([1.0])[0], 5)] == ["ann"]


def test_users_of_a_deleted_collection_are_gone_and_refuse_work(stored: Any) -> None:
    collections, _, users = stored
    users.create("ann")
    with pytest.raises(ConflictError):
        users.create("ann")

    collections.delete("c")

    with pytest.raises(NotFoundError):
        users.create("bob")
    with pytest.raises(NotFoundError):
        users.get("ann")
    assert users.count() == 0
