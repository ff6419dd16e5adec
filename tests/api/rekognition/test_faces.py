"""Collections and faces, through an unmodified boto3 and real models. Every answer is held to botocore's model."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

People = Callable[[int], list[bytes]]
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def index(rekognition: Any, collection: str, picture: bytes, name: str = "someone", **more: Any) -> dict[str, Any]:
    return rekognition.index_faces(
        CollectionId=collection, Image={"Bytes": picture}, ExternalImageId=name, MaxFaces=1, **more
    )


def test_a_collection_is_made_described_listed_and_deleted(rekognition: Any) -> None:
    made = rekognition.create_collection(CollectionId="life", Tags={"site": "north"})
    described = rekognition.describe_collection(CollectionId="life")

    assert made["StatusCode"] == 200
    assert (
        made["CollectionArn"]
        == described["CollectionARN"]
        == "arn:aws:rekognition:eu-west-1:000000000000:collection/life"
    )
    assert made["FaceModelVersion"] == described["FaceModelVersion"]
    assert (described["FaceCount"], described["UserCount"]) == (0, 0)
    assert rekognition.list_tags_for_resource(ResourceArn=made["CollectionArn"])["Tags"] == {"site": "north"}
    with pytest.raises(rekognition.exceptions.ResourceAlreadyExistsException, match="The collection id: life already"):
        rekognition.create_collection(CollectionId="life")
    assert rekognition.delete_collection(CollectionId="life")["StatusCode"] == 200
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException, match="The collection id: life does not"):
        rekognition.delete_collection(CollectionId="life")


def test_collections_come_in_pages_that_the_paginator_follows(rekognition: Any) -> None:
    names = [f"page-{number}" for number in range(7)]
    for name in names:
        rekognition.create_collection(CollectionId=name)

    pages = list(rekognition.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 3}))

    listed = [name for page in pages for name in page["CollectionIds"]]
    assert [name for name in listed if name in names] == names
    assert all(len(page["CollectionIds"]) == len(page["FaceModelVersions"]) <= 3 for page in pages)
    assert "NextToken" not in pages[-1]
    for name in names:
        rekognition.delete_collection(CollectionId=name)


def test_tags_are_added_and_taken_away(rekognition: Any, collection: str) -> None:
    arn = rekognition.describe_collection(CollectionId=collection)["CollectionARN"]

    rekognition.tag_resource(ResourceArn=arn, Tags={"a": "1", "b": "2"})
    rekognition.tag_resource(ResourceArn=arn, Tags={"b": "3"})
    rekognition.untag_resource(ResourceArn=arn, TagKeys=["a", "never"])

    assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"b": "3"}
    with pytest.raises(rekognition.exceptions.ServiceQuotaExceededException):
        rekognition.tag_resource(ResourceArn=arn, Tags={str(number): "" for number in range(200)})
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.list_tags_for_resource(ResourceArn=arn + "-not")


def test_tags_of_a_deleted_collection_do_not_come_back(rekognition: Any, collection: str) -> None:
    arn = rekognition.describe_collection(CollectionId=collection)["CollectionARN"]
    rekognition.tag_resource(ResourceArn=arn, Tags={"a": "1"})

    rekognition.delete_collection(CollectionId=collection)
    rekognition.create_collection(CollectionId=collection)

    assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {}


def test_who_was_indexed_is_found_in_another_picture(rekognition: Any, collection: str, people: People) -> None:
    for number in range(5):
        for picture in people(number)[:3]:
            index(rekognition, collection, picture, f"person-{number}")

    for number in range(5):
        found = rekognition.search_faces_by_image(CollectionId=collection, Image={"Bytes": people(number)[4]})
        assert found["SearchedFaceConfidence"] > 50
        similarities = [match["Similarity"] for match in found["FaceMatches"]]
        assert similarities == sorted(similarities, reverse=True)
        assert similarities[0] >= 80
        assert found["FaceMatches"][0]["Face"]["ExternalImageId"] == f"person-{number}"


def test_a_face_finds_the_others_of_its_person_but_not_itself(
    rekognition: Any, collection: str, people: People
) -> None:
    own = [index(rekognition, collection, picture, "one")["FaceRecords"][0]["Face"] for picture in people(0)[:3]]
    index(rekognition, collection, people(1)[0], "other")

    found = rekognition.search_faces(CollectionId=collection, FaceId=own[0]["FaceId"], FaceMatchThreshold=0)

    ids = [match["Face"]["FaceId"] for match in found["FaceMatches"]]
    assert found["SearchedFaceId"] == own[0]["FaceId"]
    assert own[0]["FaceId"] not in ids
    assert set(ids[:2]) == {face["FaceId"] for face in own[1:]}
    assert len(ids) == 3
    one = rekognition.search_faces(CollectionId=collection, FaceId=own[0]["FaceId"], MaxFaces=1)
    assert [match["Face"]["FaceId"] for match in one["FaceMatches"]] == ids[:1]


def test_the_same_picture_is_stored_once_and_another_name_makes_another_face(
    rekognition: Any, collection: str, people: People
) -> None:
    first = index(rekognition, collection, people(0)[0], "one")["FaceRecords"][0]["Face"]
    again = index(rekognition, collection, people(0)[0], "one")["FaceRecords"][0]["Face"]
    other = index(rekognition, collection, people(0)[0], "two")["FaceRecords"][0]["Face"]

    assert again == first
    assert other["FaceId"] != first["FaceId"]
    assert other["ImageId"] == first["ImageId"]
    assert rekognition.describe_collection(CollectionId=collection)["FaceCount"] == 2


def test_deleted_faces_are_not_found_and_unknown_ones_say_so(rekognition: Any, collection: str, people: People) -> None:
    face_id = index(rekognition, collection, people(0)[0])["FaceRecords"][0]["Face"]["FaceId"]

    answer = rekognition.delete_faces(CollectionId=collection, FaceIds=[face_id, UNKNOWN, face_id])

    assert answer["DeletedFaces"] == [face_id]
    assert answer["UnsuccessfulFaceDeletions"] == [{"FaceId": UNKNOWN, "Reasons": ["FACE_NOT_FOUND"]}]
    found = rekognition.search_faces_by_image(CollectionId=collection, Image={"Bytes": people(0)[0]})
    assert found["FaceMatches"] == []
    assert rekognition.delete_faces(CollectionId=collection, FaceIds=[face_id])["DeletedFaces"] == []
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="faceId was not found"):
        rekognition.search_faces(CollectionId=collection, FaceId=face_id)


def test_faces_come_in_pages_in_their_order_and_survive_deletes_between(
    rekognition: Any, collection: str, people: People
) -> None:
    pictures = list(itertools.chain.from_iterable(people(number)[:2] for number in range(4)))
    ids = [index(rekognition, collection, picture)["FaceRecords"][0]["Face"]["FaceId"] for picture in pictures]

    first = rekognition.list_faces(CollectionId=collection, MaxResults=3)
    rekognition.delete_faces(CollectionId=collection, FaceIds=[ids[1], ids[2], ids[4]])
    second = rekognition.list_faces(CollectionId=collection, MaxResults=3, NextToken=first["NextToken"])
    third = rekognition.list_faces(CollectionId=collection, MaxResults=3, NextToken=second["NextToken"])

    assert [face["FaceId"] for face in first["Faces"]] == ids[:3]
    assert [face["FaceId"] for face in second["Faces"]] == [ids[3], ids[5], ids[6]]
    assert [face["FaceId"] for face in third["Faces"]] == ids[7:]
    assert "NextToken" not in third
    some = rekognition.list_faces(CollectionId=collection, FaceIds=[ids[0], ids[1], UNKNOWN])
    assert [face["FaceId"] for face in some["Faces"]] == ids[:1]
    with pytest.raises(rekognition.exceptions.InvalidPaginationTokenException):
        rekognition.list_faces(CollectionId=collection, FaceIds=ids[:1], NextToken=first["NextToken"])
    with pytest.raises(rekognition.exceptions.InvalidPaginationTokenException):
        rekognition.list_faces(CollectionId=collection, NextToken="bm90IG91cnM=")


def test_a_group_is_indexed_by_size_and_what_is_left_out_says_why(
    rekognition: Any, collection: str, shared_data: Path
) -> None:
    group = (shared_data / "face_pairs" / "selfie-many-people.jpg").read_bytes()

    answer = rekognition.index_faces(CollectionId=collection, Image={"Bytes": group}, MaxFaces=2, QualityFilter="NONE")

    areas = [box["Width"] * box["Height"] for box in (one["Face"]["BoundingBox"] for one in answer["FaceRecords"])]
    assert len(areas) == 2
    assert areas == sorted(areas, reverse=True)
    assert answer["UnindexedFaces"]
    assert all(one["Reasons"] == ["EXCEEDS_MAX_FACES"] for one in answer["UnindexedFaces"])
    assert rekognition.describe_collection(CollectionId=collection)["FaceCount"] == 2


def test_a_stricter_filter_never_indexes_more(rekognition: Any, collection: str, shared_data: Path) -> None:
    group = (shared_data / "face_pairs" / "selfie-many-people.jpg").read_bytes()

    counts = {}
    for level in ("NONE", "LOW", "AUTO", "MEDIUM", "HIGH"):
        answer = rekognition.index_faces(CollectionId=collection, Image={"Bytes": group}, QualityFilter=level)
        counts[level] = len(answer["FaceRecords"])
        assert counts[level] + len(answer["UnindexedFaces"]) == counts["NONE"]

    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert counts["HIGH"] < counts["NONE"]


def test_a_picture_without_faces_indexes_nothing_and_cannot_be_searched_with(
    rekognition: Any, collection: str, shared_data: Path
) -> None:
    cat = {"Bytes": (shared_data / "stills" / "cat_720p.jpg").read_bytes()}

    answer = rekognition.index_faces(CollectionId=collection, Image=cat)

    assert answer["FaceRecords"] == answer["UnindexedFaces"] == []
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="There are no faces in the image"):
        rekognition.search_faces_by_image(CollectionId=collection, Image=cat)


def test_every_operation_on_a_missing_collection_says_so(rekognition: Any, people: People) -> None:
    image = {"Bytes": people(0)[0]}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("describe_collection", {}),
        ("index_faces", {"Image": image}),
        ("list_faces", {}),
        ("delete_faces", {"FaceIds": [UNKNOWN]}),
        ("search_faces", {"FaceId": UNKNOWN}),
        ("search_faces_by_image", {"Image": image}),
        ("create_user", {"UserId": "u"}),
        ("delete_user", {"UserId": "u"}),
        ("list_users", {}),
        ("associate_faces", {"UserId": "u", "FaceIds": [UNKNOWN]}),
        ("disassociate_faces", {"UserId": "u", "FaceIds": [UNKNOWN]}),
        ("search_users", {"UserId": "u"}),
        ("search_users_by_image", {"Image": image}),
    ]
    for name, members in calls:
        with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
            getattr(rekognition, name)(CollectionId="never-made", **members)
