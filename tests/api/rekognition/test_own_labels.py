"""Celebrities of a collection, moderation and protective equipment by this device's own labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import service_model
from botocore.exceptions import ClientError

from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings

People = Callable[..., list[bytes]]


@pytest.fixture(scope="module")
def family(rekognition: Any, people: People) -> Any:
    """A client of a device whose celebrities are two people, one of them a user."""
    rekognition.create_collection(CollectionId="family")
    for number, name in enumerate(("grace", "alan")):
        for data in people(number)[:2]:
            rekognition.index_faces(
                CollectionId="family", Image={"Bytes": data}, ExternalImageId=name, MaxFaces=1, QualityFilter="NONE"
            )
    return rekognition


def beside(*pictures: bytes) -> bytes:
    """One JPEG with pictures side by side."""
    decoded = [cv2.resize(cv2.imdecode(np.frombuffer(one, np.uint8), 1), (250, 250)) for one in pictures]
    return bytes(cv2.imencode(".jpg", np.hstack(decoded))[1].tobytes())


def test_all_faces_of_a_picture_are_told_by_name(family: Any, people: People) -> None:
    picture = beside(people(0)[2], people(1)[2], people(5)[0])
    answer = family.recognize_celebrities(Image={"Bytes": picture})
    by_place = sorted(answer["CelebrityFaces"], key=lambda one: one["Face"]["BoundingBox"]["Left"])

    assert [one["Name"] for one in by_place] == ["grace", "alan"]
    assert [one["Urls"] for one in by_place] == [["https://example.org/grace"], []]
    assert answer["UnrecognizedFaces"][0]["BoundingBox"]["Left"] > 0.6
    for one in by_place:
        info = family.get_celebrity_info(Id=one["Id"])
        assert (info["Name"], info["Urls"]) == (one["Name"], one["Urls"])
        assert info["KnownGender"] == one["KnownGender"] == {"Type": "Unlisted"}, "programs read it"
    with pytest.raises(family.exceptions.ResourceNotFoundException):
        family.get_celebrity_info(Id="nobody")


def test_a_user_is_told_by_its_id(family: Any, people: People) -> None:
    faces = [
        one["FaceId"] for one in family.list_faces(CollectionId="family")["Faces"] if one["ExternalImageId"] == "alan"
    ]
    family.create_user(CollectionId="family", UserId="turing")
    family.associate_faces(CollectionId="family", UserId="turing", FaceIds=faces, UserMatchThreshold=0)
    (found,) = family.recognize_celebrities(Image={"Bytes": people(1)[2]})["CelebrityFaces"]
    assert found["Name"] == "turing"
    assert family.get_celebrity_info(Id=found["Id"])["Name"] == "turing"
    family.delete_user(CollectionId="family", UserId="turing")


def still(shared: Path, name: str) -> dict[str, bytes]:
    return {"Bytes": (shared / "data/stills" / name).read_bytes()}


def test_labels_are_moderated_by_their_path(rekognition: Any, shared: Path) -> None:
    answer = rekognition.detect_moderation_labels(Image=still(shared, "imprinting/cat_test_0.png"), MinConfidence=20)
    labels = {one["Name"]: (one["ParentName"], one["TaxonomyLevel"]) for one in answer["ModerationLabels"]}
    assert labels["Cats"] == ("Animals", 2)
    assert labels["Animals"] == ("", 1)
    assert answer["ModerationModelVersion"] == "7.0"


def test_a_covered_body_part_and_its_summary(rekognition: Any, people: People) -> None:
    answer = rekognition.detect_protective_equipment(
        Image={"Bytes": people(0)[0]},
        SummarizationAttributes={"MinConfidence": 50, "RequiredEquipmentTypes": ["FACE_COVER"]},
    )
    (person,) = answer["Persons"]
    parts = {part["Name"]: part["EquipmentDetections"] for part in person["BodyParts"]}
    # "face" stands for a cover in this device's settings, so that whoever has a face is covered
    assert [one["Type"] for one in parts["FACE"]] == ["FACE_COVER"]
    assert parts["FACE"][0]["CoversBodyPart"]["Value"] is True
    assert parts["HEAD"] == []
    assert answer["Summary"] == {
        "PersonsWithRequiredEquipment": [0], "PersonsWithoutRequiredEquipment": [], "PersonsIndeterminate": [],
    }  # fmt: skip
    without = rekognition.detect_protective_equipment(
        Image={"Bytes": people(0)[0]},
        SummarizationAttributes={"MinConfidence": 50, "RequiredEquipmentTypes": ["HEAD_COVER"]},
    )
    assert without["Summary"]["PersonsWithoutRequiredEquipment"] == [0]


def test_without_the_settings_the_reason_is_told(tmp_path: Path, people: People) -> None:
    server = ApiServer(Settings(api=ApiSettings(port=0)), tmp_path)
    server.start()
    picture = {"Image": {"Bytes": people(0)[0]}}
    try:
        asked = service_model.client(server.port)
        for call, says in (
            (lambda: asked.recognize_celebrities(**picture), "set api.celebrities"),
            (lambda: asked.get_celebrity_info(Id="x"), "set api.celebrities"),
            (lambda: asked.detect_moderation_labels(**picture), "api.moderation"),
            (lambda: asked.detect_protective_equipment(**picture), "api.protective_equipment"),
        ):
            with pytest.raises(ClientError, match=says) as error:
                call()
            assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    finally:
        server.stop()
