"""Requests made from botocore's model of the service: mostly right, wrong in one or two places."""

from __future__ import annotations

import base64
import http.client
import json
import random
from collections.abc import Sequence
from typing import Any

from botocore.model import Shape
from botocore.session import Session

from edge.api.rekognition.operations.table import NOT_HERE, OPERATIONS

MODEL = Session().get_service_model("rekognition")
ALWAYS = {"SerializationException", "ValidationException", "InvalidParameterException"}
"""errors that any request may meet"""
BY_SETTINGS = {
    "RecognizeCelebrities",
    "GetCelebrityInfo",
    "StartCelebrityRecognition",
    "DetectModerationLabels",
    "StartContentModeration",
    "DetectProtectiveEquipment",
}
"""operations that need a setting: 501 until it names a collection or labels"""
WRONG: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, 1e308, "", " ", "a" * 300, "a b/ü", "../..", "\0", "\ud800", "💥", [], {},
    [[]], [None], {"": None}, {"Bytes": "="}, "AAA", "QUJD",
)  # fmt: skip


class Fuzzer:
    """Makes requests from a seed. ``pool``: words that mean something to the server, by shape name."""

    def __init__(self, seed: int, pool: dict[str, Sequence[Any]]) -> None:
        self._random = random.Random(seed)
        self.pool = pool

    def request(self) -> tuple[str, bytes]:
        """(operation, body)"""
        dice = self._random.random()
        if dice < 0.03:
            return self._random.choice(sorted(NOT_HERE)), b"{}"
        name = self._random.choice(sorted(OPERATIONS))
        shape = MODEL.operation_model(name).input_shape
        body = json.dumps(self._value(shape, self._random.choice((0.0, 0.0, 0.03, 0.15)), 0)).encode()
        if dice < 0.06:
            body = self._torn(body)
        return name, body

    def _value(self, shape: Shape | None, badness: float, depth: int) -> Any:
        assert shape is not None
        if self._random.random() < badness:
            return self._random.choice(WRONG)
        if shape.name in self.pool:
            return self._random.choice(list(self.pool[shape.name]))
        return getattr(self, f"_{shape.type_name}")(shape, badness, depth)

    def _structure(self, shape: Any, badness: float, depth: int) -> Any:
        wanted = [
            name
            for name in shape.members
            if (name in shape.required_members) != (self._random.random() < badness / 2)
            or (name not in shape.required_members and self._random.random() < 0.4)
        ]
        if shape.name == "Image" and self._random.random() > badness:
            wanted = [self._random.choice(["Bytes", "Bytes", "Bytes", "S3Object"])]
        return {name: self._value(shape.members[name], badness, depth + 1) for name in wanted}

    def _list(self, shape: Any, badness: float, depth: int) -> Any:
        count = self._random.choice((0, 1, 1, 2, 5, 101 if badness else 3))
        return [self._value(shape.member, badness, depth + 1) for _ in range(count)]

    def _map(self, shape: Any, badness: float, depth: int) -> Any:
        return {f"key{i}": "value" for i in range(self._random.choice((0, 1, 3, 201 if badness else 2)))}

    def _string(self, shape: Any, badness: float, depth: int) -> Any:
        if shape.enum:
            return self._random.choice([*shape.enum, "WAT"] if badness else shape.enum)
        size = self._random.choice((1, 5, 40, shape.metadata.get("max", 50) + (1 if badness else 0)))
        return "".join(self._random.choice("abcXYZ019-_.") for _ in range(min(size, 5000)))

    def _integer(self, shape: Any, badness: float, depth: int) -> Any:
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 10_000)
        return self._random.choice(
            (low, high, self._random.randint(low, high), *((low - 1, high + 1) if badness else ()))
        )

    _long = _integer

    def _float(self, shape: Any, badness: float, depth: int) -> Any:
        return self._random.choice(
            (0, 100, 80.5, self._random.uniform(0, 100), *((-1e-9, 101, 1e300) if badness else ()))
        )

    def _boolean(self, shape: Any, badness: float, depth: int) -> Any:
        return self._random.choice((True, False))

    def _blob(self, shape: Any, badness: float, depth: int) -> Any:
        return blob(bytes(self._random.randrange(256) for _ in range(self._random.choice((1, 40, 2000)))))

    def _torn(self, body: bytes) -> bytes:
        place = self._random.randrange(len(body))
        return self._random.choice((body[:place], body[:place] + b"\xff" + body[place:], body + b"}", b"null"))


def post(port: int, operation: str, body: bytes) -> tuple[int, Any]:
    """(HTTP status, answer)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"X-Amz-Target": f"RekognitionService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def complaint(operation: str, status: int, answer: Any, problems: Any) -> str:
    """What is wrong with an answer; empty where nothing."""
    model = MODEL.operation_model(operation)
    if operation in NOT_HERE:
        return "" if (status, answer["__type"]) == (501, "NotImplementedException") else f"{operation}: {answer}"
    if status == 200:
        found = problems(model.output_shape, answer, operation)
        return "; ".join(found[:3])
    if operation in BY_SETTINGS and status == 501:
        return ""
    declared = {shape.name for shape in model.error_shapes} | ALWAYS
    return "" if status == 400 and answer["__type"] in declared else f"{operation}: {status} {answer}"


def blob(data: bytes) -> str:
    return base64.b64encode(data).decode()
