"""Attributes of faces: DetectFaces and IndexFaces with ALL, with single names, and with some turned off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.api.rekognition.endpoint import ApiServer
from edge.api.rekognition.face_details import MEMBERS, asked_attributes
from edge.core.settings.services import FACE_ATTRIBUTES, ApiSettings

People = Callable[[int], list[bytes]]
ALWAYS = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
TRUTHS = ("Beard", "Eyeglasses", "EyesOpen", "FaceOccluded", "MouthOpen", "Mustache", "Smile", "Sunglasses")


def detail(rekognition: Any, picture: bytes, *attributes: str) -> dict[str, Any]:
    asked = {"Attributes": list(attributes)} if attributes else {}
    face: dict[str, Any] = rekognition.detect_faces(Image={"Bytes": picture}, **asked)["FaceDetails"][0]
    return face


def test_all_tells_every_attribute_with_a_confidence(rekognition: Any, people: People) -> None:
    face = detail(rekognition, people(0)[0], "ALL")

    assert set(face) == ALWAYS | {member for member, _ in MEMBERS.values()}
    for name in TRUTHS:
        assert isinstance(face[name]["Value"], bool)
        assert 50 <= face[name]["Confidence"] <= 100
    assert face["Gender"]["Value"] in ("Male", "Female")
    assert 0 <= face["AgeRange"]["Low"] < face["AgeRange"]["High"] <= 110
    assert sum(one["Confidence"] for one in face["Emotions"]) == pytest.approx(100, abs=0.1)
    confidences = [one["Confidence"] for one in face["Emotions"]]
    assert confidences == sorted(confidences, reverse=True)
    assert set(face["EyeDirection"]) == {"Yaw", "Pitch", "Confidence"}


def test_all_has_thirty_landmarks_where_a_face_has_them(rekognition: Any, people: People) -> None:
    face = detail(rekognition, people(0)[0], "ALL")

    marks = {one["Type"]: one for one in face["Landmarks"]}
    assert len(marks) == len(face["Landmarks"]) == 30
    five = {one["Type"]: one for one in detail(rekognition, people(0)[0])["Landmarks"]}
    assert {name: marks[name] for name in five} == five
    assert marks["leftEyeLeft"]["X"] < marks["leftPupil"]["X"] < marks["leftEyeRight"]["X"]
    assert marks["leftEyeBrowUp"]["Y"] < marks["leftEyeUp"]["Y"] < marks["nose"]["Y"]
    assert marks["mouthUp"]["Y"] < marks["mouthDown"]["Y"] < marks["chinBottom"]["Y"]
    assert marks["upperJawlineLeft"]["X"] < marks["eyeLeft"]["X"] < marks["eyeRight"]["X"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((), set()),
        (("DEFAULT",), set()),
        (("DEFAULT", "SUNGLASSES"), {"Sunglasses"}),
        (("AGE_RANGE", "EYE_DIRECTION"), {"AgeRange", "EyeDirection"}),
        (("DEFAULT", "ALL"), {member for member, _ in MEMBERS.values()}),
    ],
)
def test_named_attributes_are_added_to_what_is_always_told(
    rekognition: Any, people: People, asked: tuple[str, ...], expected: set[str]
) -> None:
    face = detail(rekognition, people(0)[0], *asked)

    assert set(face) == ALWAYS | expected
    assert len(face["Landmarks"]) == (30 if "ALL" in asked else 5)


def test_an_indexed_face_has_the_attributes_that_were_asked_for(
    rekognition: Any, people: People, collection: str
) -> None:
    answer = rekognition.index_faces(
        CollectionId=collection, Image={"Bytes": people(0)[0]}, DetectionAttributes=["SMILE"], MaxFaces=1
    )

    assert set(answer["FaceRecords"][0]["FaceDetail"]) == {*ALWAYS, "Smile"}


def test_what_the_settings_turn_off_is_told_to_nobody() -> None:
    some = ApiSettings(attributes=("SMILE", "EYES_OPEN"))

    assert asked_attributes(("ALL",), some) == {"SMILE", "EYES_OPEN"}
    assert asked_attributes(("SMILE", "GENDER"), some) == {"SMILE"}
    assert asked_attributes(("ALL",), ApiSettings(attributes=())) == frozenset()
    assert asked_attributes(("ALL",), ApiSettings()) == frozenset(FACE_ATTRIBUTES) == MEMBERS.keys()


def test_the_model_is_not_loaded_until_an_attribute_is_asked_for(tmp_path: Path, shared: Path, people: People) -> None:
    from conftest import settings_for
    from service_model import client

    server = ApiServer(settings_for(shared / "models"), tmp_path)
    server.start()
    try:
        rekognition = client(server.port)
        detail(rekognition, people(0)[0])
        before = len(server.service.models)
        detail(rekognition, people(0)[0], "GENDER")
        assert len(server.service.models) == before + 1
    finally:
        server.stop()
