"""botocore's own model of the service, as a validator of answers."""

from __future__ import annotations

import json
import re
from decimal import Decimal, Inexact
from typing import Any

import boto3
from boto3.dynamodb.types import DYNAMODB_CONTEXT
from botocore.config import Config
from botocore.model import ServiceModel, Shape
from botocore.session import Session

MODEL: ServiceModel = Session().get_service_model("rekognition")
MAY_BE_EMPTY = {"DeleteFaces.DeletedFaces"}
"""lists of answers that may be empty against the model's minimum, because programs read their length"""


def problems(shape: Shape | None, value: Any, where: str = "") -> list[str]:
    """What the model has against a value; empty where nothing."""
    if shape is None:
        return [] if value == {} else [f"{where}: expected nothing, got {value!r}"]
    return _CHECKS[shape.type_name](shape, value, where) + _range(shape, value, where)


def client(port: int, **options: Any) -> Any:
    """An unmodified client, whose every answer is held to the model."""
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    made = boto3.client(
        "rekognition",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-west-1",
        config=Config(retries={"max_attempts": 1}, proxies={}, **options.pop("config", {})),
        **{**keys, **options},
    )
    made.meta.events.register("after-call.rekognition", _hold_to_model)
    return made


def _hold_to_model(http_response: Any, model: Any, **_: Any) -> None:
    body = json.loads(http_response.content)
    if http_response.status_code == 200:
        assert problems(model.output_shape, body, model.name) == []
    else:
        assert set(body) == {"__type", "Code", "Logref", "Message"}
    assert re.fullmatch(r"[0-9a-f-]{36}", http_response.headers["x-amzn-RequestId"])
    assert http_response.headers["Content-Type"] == "application/x-amz-json-1.1"


def _structure(shape: Any, value: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: expected a structure, got {value!r}"]
    found = [f"{where}: has no member {name}" for name in value if name not in shape.members]
    found += [f"{where}: lacks {name}" for name in shape.required_members if name not in value]
    for name, one in value.items():
        if name in shape.members:
            found += problems(shape.members[name], one, f"{where}.{name}")
    return found


def _list(shape: Any, value: Any, where: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{where}: expected a list, got {value!r}"]
    return [text for i, one in enumerate(value) for text in problems(shape.member, one, f"{where}[{i}]")]


def _map(shape: Any, value: Any, where: str) -> list[str]:
    return [] if isinstance(value, dict) else [f"{where}: expected a map"]


def _string(shape: Any, value: Any, where: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{where}: expected a string, got {value!r}"]
    if shape.enum and value not in shape.enum:
        return [f"{where}: {value!r} is not one of {shape.enum}"]
    pattern = shape.metadata.get("pattern", "")
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value):
        return [f"{where}: {value!r} does not match {pattern}"]
    return []


def _number(shape: Any, value: Any, where: str) -> list[str]:
    whole = shape.type_name in ("integer", "long")
    good = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if good and not whole:
        try:
            DYNAMODB_CONTEXT.create_decimal(Decimal(value))
        except Inexact:
            return [f"{where}: {value!r} is no number that a table of DynamoDB holds"]
    return [] if good else [f"{where}: expected {shape.type_name}, got {value!r}"]


def _boolean(shape: Any, value: Any, where: str) -> list[str]:
    return [] if isinstance(value, bool) else [f"{where}: expected true or false, got {value!r}"]


def _timestamp(shape: Any, value: Any, where: str) -> list[str]:
    seconds = isinstance(value, int | float) and 1e9 < value < 1e10
    return [] if seconds else [f"{where}: expected seconds since the epoch, got {value!r}"]


def _range(shape: Shape, value: Any, where: str) -> list[str]:
    size = value if isinstance(value, int | float) else len(value)
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if where in MAY_BE_EMPTY and value == []:
        return []
    if (low is not None and size < low) or (high is not None and size > high):
        return [f"{where}: {size} is outside {low}..{high}"]
    return []


_CHECKS = {
    "structure": _structure, "list": _list, "map": _map, "string": _string, "integer": _number, "long": _number,
    "float": _number, "double": _number, "boolean": _boolean, "timestamp": _timestamp,
}  # fmt: skip
