"""The table of constraints is held to botocore's own model of the service."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from botocore.model import Shape
from botocore.session import Session

from edge.api.rekognition import constraints
from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.operations.table import NOT_HERE, OPERATIONS
from edge.api.rekognition.rules import (
    BooleanRule,
    BytesRule,
    FloatRule,
    IntegerRule,
    ListRule,
    MapRule,
    Rule,
    StringRule,
    StructureRule,
)

MODEL = Session().get_service_model("rekognition")
WIDER = {"FaceIds": "FaceIdList of ListFaces and DeleteFaces is the wider one"}


@pytest.mark.parametrize("name", sorted(constraints.INPUTS))
def test_every_constraint_is_the_one_of_the_services_model(name: str) -> None:
    assert differences(constraints.INPUTS[name], MODEL.operation_model(name).input_shape, name) == []


def test_every_operation_of_the_service_is_here_or_said_not_to_be() -> None:
    assert set(OPERATIONS) | set(NOT_HERE) == set(MODEL.operation_names)
    assert not set(OPERATIONS) & set(NOT_HERE)
    assert set(OPERATIONS) == set(constraints.INPUTS)


def differences(rule: Rule, shape: Shape, where: str) -> list[str]:
    """Where a rule and the model's shape do not say the same."""
    kind, facts = _FACTS[shape.type_name]
    if not isinstance(rule, kind):
        return [f"{where}: {type(rule).__name__} for {shape.type_name}"]
    found = [f"{where}: {a!r} is not {b!r}" for a, b in facts(rule, shape) if a != b]
    if isinstance(rule, StructureRule):
        ours = {name.removesuffix("*"): one for name, one in rule.members.items()}
        required = sorted(name.removesuffix("*") for name in rule.members if name.endswith("*"))
        if set(ours) != set(shape.members) or required != sorted(shape.required_members):
            return [f"{where}: members {sorted(ours)}, required {required}"]
        return found + [text for name, one in ours.items() for text in differences(one, shape.members[name], name)]
    if isinstance(rule, ListRule):
        return found + differences(rule.member, shape.member, f"{where}[]")
    if isinstance(rule, MapRule):
        return found + differences(rule.key, shape.key, "key") + differences(rule.value, shape.value, "value")
    return found


def _text(rule: StringRule, shape: Any) -> list[tuple[Any, Any]]:
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
    pairs = [(rule.low, low), (rule.high, high), (sorted(rule.choices), sorted(shape.enum))]
    return [*pairs, (bool(rule.pattern), "pattern" in shape.metadata)]


def _many(rule: ListRule, shape: Any) -> list[tuple[Any, Any]]:
    return [(rule.low, shape.metadata.get("min", 0)), (rule.high, shape.metadata.get("max"))]


def _number(rule: Any, shape: Any) -> list[tuple[Any, Any]]:
    if "min" not in shape.metadata and "max" not in shape.metadata:
        return [(rule.high, float("inf"))]
    return [(rule.low, shape.metadata.get("min")), (rule.high, shape.metadata.get("max"))]


_FACTS: dict[str, tuple[type, Any]] = {
    "structure": (StructureRule, lambda rule, shape: []),
    "string": (StringRule, _text),
    "blob": (BytesRule, lambda rule, shape: [(rule.low, shape.metadata["min"]), (rule.high, shape.metadata["max"])]),
    "integer": (IntegerRule, _number),
    "long": (IntegerRule, _number),
    "float": (FloatRule, _number),
    "boolean": (BooleanRule, lambda rule, shape: []),
    "list": (ListRule, _many),
    "map": (MapRule, lambda rule, shape: [(rule.high, shape.metadata["max"])]),
}

IMAGE = {"Bytes": base64.b64encode(b"x").decode()}

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("CreateCollection", {}),
    ("CreateCollection", {"CollectionId": None}),
    ("CreateCollection", {"CollectionId": 7}),
    ("CreateCollection", {"CollectionId": ""}),
    ("CreateCollection", {"CollectionId": "a" * 256}),
    ("CreateCollection", {"CollectionId": "a b"}),
    ("CreateCollection", {"CollectionId": "a\n"}),
    ("CreateCollection", {"CollectionId": "../a"}),
    ("CreateCollection", {"CollectionId": "a", "Tags": {"aws:x": "y"}}),
    ("CreateCollection", {"CollectionId": "a", "Tags": {"x": "y\n"}}),
    ("CreateCollection", {"CollectionId": "a", "Tags": {str(i): "" for i in range(201)}}),
    ("CreateCollection", {"CollectionId": "a", "Tags": ["x"]}),
    ("ListCollections", {"MaxResults": -1}),
    ("ListCollections", {"MaxResults": 4097}),
    ("ListCollections", {"MaxResults": True}),
    ("ListCollections", {"MaxResults": 1.5}),
    ("ListCollections", {"MaxResults": 10**400}),
    ("ListCollections", {"NextToken": "a" * 256}),
    ("DeleteFaces", {"CollectionId": "a", "FaceIds": []}),
    ("DeleteFaces", {"CollectionId": "a", "FaceIds": ["A" * 36]}),
    ("SearchFaces", {"CollectionId": "a", "FaceId": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "MaxFaces": 0}),
    ("SearchFacesByImage", {"CollectionId": "a", "Image": IMAGE, "FaceMatchThreshold": 100.01}),
    ("SearchFacesByImage", {"CollectionId": "a", "Image": IMAGE, "FaceMatchThreshold": float("nan")}),
    ("SearchFacesByImage", {"CollectionId": "a", "Image": IMAGE, "QualityFilter": "WAT"}),
    ("DetectFaces", {"Image": {}}),
    ("DetectFaces", {"Image": {"Bytes": ""}}),
    ("DetectFaces", {"Image": {"Bytes": "not base64"}}),
    ("DetectFaces", {"Image": {"Bytes": "QQ"}}),
    ("DetectFaces", {"Image": {**IMAGE, "S3Object": {"Bucket": "abc", "Name": "x"}}}),
    ("DetectFaces", {"Image": {"S3Object": {"Bucket": "a/b", "Name": "x"}}}),
    ("DetectFaces", {"Image": {"S3Object": {"Bucket": "abc", "Name": "\ud800"}}}),
    ("DetectFaces", {"Image": "x"}),
    ("SearchUsers", {"CollectionId": "a"}),
    ("SearchUsers", {"CollectionId": "a", "UserId": "u", "FaceId": "00000000-0000-0000-0000-000000000000"}),
]


@pytest.mark.parametrize(("operation", "request_"), REFUSED)
def test_what_breaks_a_constraint_is_told_in_amazons_words(operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        constraints.checked(operation, request_)

    assert caught.value.name in ("ValidationException", "SerializationException", "InvalidParameterException")
    if caught.value.name == "ValidationException":
        told = r"\d+ validation errors? detected: Value .* at '[a-z].*' failed to satisfy constraint: M"
        assert re.match(told, caught.value.message, re.DOTALL)
    assert caught.value.status == 400


JAVA = "java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]"
FACE = "00000000-0000-0000-0000-000000000000"
SAID: list[tuple[str, dict[str, Any], str]] = [
    (
        "DetectFaces",
        {"Image": {"Bytes": ""}},
        f"1 validation error detected: Value '{JAVA.format(0)}' at 'image.bytes' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
    ),
    (
        "DetectFaces",
        {"Image": {"Bytes": base64.b64encode(b"x" * 5_242_881).decode()}},
        f"1 validation error detected: Value '{JAVA.format(5242881)}' at 'image.bytes' failed to satisfy constraint: "
        "Member must have length less than or equal to 5242880",
    ),
    (
        "IndexFaces",
        {"Image": IMAGE, "ExternalImageId": "Anna M\u00fcller", "MaxFaces": 0},
        "3 validation errors detected: Value null at 'collectionId' failed to satisfy constraint: Member must not be "
        "null; Value 'Anna M\u00fcller' at 'externalImageId' failed to satisfy constraint: Member must satisfy regular "
        r"expression pattern: [a-zA-Z0-9_.\-:]+; Value '0' at 'maxFaces' failed to satisfy constraint: Member must "
        "have value greater than or equal to 1",
    ),
    (
        "DeleteFaces",
        {"CollectionId": "a", "FaceIds": [FACE, "x"]},
        f"1 validation error detected: Value '[{FACE}, x]' at 'faceIds' failed to satisfy constraint: Member must "
        "satisfy constraint: [Member must satisfy regular expression pattern: "
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}]",
    ),
    (
        "DetectFaces",
        {"Image": IMAGE, "Attributes": ["NONE"]},
        "1 validation error detected: Value '[NONE]' at 'attributes' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must satisfy enum value set: [DEFAULT, ALL, AGE_RANGE, BEARD, EMOTIONS, EYE_DIRECTION, "
        "EYEGLASSES, EYES_OPEN, GENDER, MOUTH_OPEN, MUSTACHE, FACE_OCCLUDED, SMILE, SUNGLASSES]]",
    ),
]


@pytest.mark.parametrize(("operation", "request_", "message"), SAID)
def test_the_words_are_amazons(operation: str, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        constraints.checked(operation, request_)
    assert (caught.value.name, caught.value.message) == ("ValidationException", message)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("CreateCollection", {"CollectionId": 7}),
        ("ListCollections", {"MaxResults": True}),
        ("ListCollections", {"MaxResults": 1.5}),
        ("ListCollections", {"MaxResults": 10**400}),
        ("CreateCollection", {"CollectionId": "a", "Tags": ["x"]}),
        ("DetectFaces", {"Image": {"Bytes": "not base64"}}),
        ("DetectFaces", {"Image": "x"}),
        ("SearchFacesByImage", {"CollectionId": "a", "Image": IMAGE, "FaceMatchThreshold": float("nan")}),
    ],
)
def test_what_is_of_another_type_cannot_be_read(operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        constraints.checked(operation, request_)
    assert caught.value.name == "SerializationException"


def test_a_choice_between_members_is_an_invalid_parameter() -> None:
    for given in ({}, {"UserId": "u", "FaceId": FACE}):
        with pytest.raises(ApiError) as caught:
            constraints.checked("SearchUsers", {"CollectionId": "a", **given})
        assert caught.value.name == "InvalidParameterException"


def test_members_that_newer_clients_send_are_left_out() -> None:
    assert constraints.checked("DescribeCollection", {"CollectionId": "a", "Newer": 1}) == {"CollectionId": "a"}


def test_null_counts_as_absent() -> None:
    assert constraints.checked("ListCollections", {"MaxResults": None, "NextToken": None}) == {}
