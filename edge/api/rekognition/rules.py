"""Constraint types of request members, and their validation.

Every rule has ``checked(value, where)``, which returns the value as operations use it. A broken constraint raises
ViolationError with Amazon's message; a wrong type raises ApiError SerializationException. ``where`` is the path of the
member in Amazon's notation, ``image.s3Object.name``. JSON null counts as absent.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from edge.api.rekognition.errors import ApiError

LONGEST_SHOWN = 256
"""characters of a value quoted in a message"""
MOST_SHOWN = 10
"""violations listed in a message"""


class Rule(Protocol):
    """Interface of a constraint."""

    def checked(self, value: object, where: str) -> Any: ...


class ViolationError(Exception):
    """Constraints that a request breaks, with Amazon's message for each."""

    def __init__(self, texts: Sequence[str], constraints: Sequence[str] = ()) -> None:
        super().__init__("; ".join(texts))
        self.texts = tuple(texts)
        self.constraints = tuple(constraints)
        """the plain constraints, for a single value"""


def validation_error(error: ViolationError) -> ApiError:
    """The error response to a request that breaks constraints."""
    count = len(error.texts)
    detected = f"{count} validation error{'s' * (count > 1)} detected: "
    return ApiError("ValidationException", detected + "; ".join(error.texts[:MOST_SHOWN]))


def hold(value: str, where: str, *broken: str) -> None:
    """Raises ViolationError where ``broken`` has any text; ``value`` is quoted as given."""
    constraints = [one for one in broken if one]
    if constraints:
        texts = [f"Value {value} at '{where}' failed to satisfy constraint: {one}" for one in constraints]
        raise ViolationError(texts, constraints)


def mistyped(where: str, expected: str) -> ApiError:
    """The error response to a member of a wrong type."""
    return ApiError("SerializationException", f"{where or 'The request'}: expected {expected}.")


def shown(text: str) -> str:
    return f"'{text[:LONGEST_SHOWN]}'"


def length_broken(size: int, low: int, high: int | None) -> str:
    if size < low:
        return f"Member must have length greater than or equal to {low}"
    return f"Member must have length less than or equal to {high}" if high is not None and size > high else ""


def value_broken(value: float, low: float, high: float | None) -> str:
    if value < low:
        return f"Member must have value greater than or equal to {low:g}"
    return f"Member must have value less than or equal to {high:g}" if high is not None and value > high else ""


@dataclass(frozen=True)
class StringRule:
    """A string of ``low``..``high`` characters that fully matches ``pattern``, or is one of ``choices``."""

    low: int = 0
    high: int | None = None
    pattern: str = ""
    choices: tuple[str, ...] = ()

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.DOTALL)

    def checked(self, value: object, where: str) -> str:
        if not isinstance(value, str):
            raise mistyped(where, "a string")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise mistyped(where, "text without lone surrogates") from error
        hold(
            shown(value),
            where,
            length_broken(len(value), self.low, self.high),
            f"Member must satisfy regular expression pattern: {self.pattern}"
            if self.pattern and not self._compiled.fullmatch(value)
            else "",
            f"Member must satisfy enum value set: [{', '.join(self.choices)}]"
            if self.choices and value not in self.choices
            else "",
        )
        return value


@dataclass(frozen=True)
class BytesRule:
    """Standard base64 with padding, of ``low``..``high`` decoded bytes. Returned as bytes."""

    low: int
    high: int

    def checked(self, value: object, where: str) -> bytes:
        if not isinstance(value, str):
            raise mistyped(where, "base64 text")
        size = len(value) // 4 * 3 - value[-2:].count("=")
        if size <= self.high:
            try:
                data = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError) as error:
                raise mistyped(where, "base64 text") from error
            size = len(data)
        buffer = f"'java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]'"
        hold(buffer, where, length_broken(size, self.low, self.high))
        return data


@dataclass(frozen=True)
class IntegerRule:
    """An integer in ``low``..``high``."""

    low: int
    high: int | None = None

    def checked(self, value: object, where: str) -> int:
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise mistyped(where, "an integer")
        if abs(value) >> 63:
            raise mistyped(where, "an integer of 64 bits")
        hold(f"'{value}'", where, value_broken(value, self.low, self.high))
        return value


@dataclass(frozen=True)
class FloatRule:
    """A finite number in ``low``..``high``."""

    low: float = -math.inf
    high: float = math.inf

    def checked(self, value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise mistyped(where, "a number")
        if not abs(value) <= 1e300:  # nor NaN
            raise mistyped(where, "a finite number")
        hold(f"'{value}'", where, value_broken(value, self.low, self.high))
        return float(value)


@dataclass(frozen=True)
class BooleanRule:
    """true or false."""

    def checked(self, value: object, where: str) -> bool:
        if not isinstance(value, bool):
            raise mistyped(where, "true or false")
        return value


@dataclass(frozen=True)
class ListRule:
    """A list of ``low``..``high`` members that all satisfy one rule."""

    member: Rule
    low: int = 0
    high: int | None = None

    def checked(self, value: object, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise mistyped(where, "a list")
        hold(f"'[{len(value)} members]'", where, length_broken(len(value), self.low, self.high))
        found = []
        for number, one in enumerate(value, 1):
            try:
                found.append(self.member.checked(one, f"{where}.{number}.member"))
            except ViolationError as error:
                if not error.constraints:
                    raise
                hold(_listed(value), where, f"Member must satisfy constraint: [{', '.join(error.constraints)}]")
        return found


@dataclass(frozen=True)
class MapRule:
    """A map of at most ``high`` pairs."""

    key: Rule
    value: Rule
    high: int

    def checked(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise mistyped(where, "a map")
        hold(f"'{{{len(value)} pairs}}'", where, length_broken(len(value), 0, self.high))
        return {
            self._part("keys", self.key, key, where): self._part("values", self.value, one, where)
            for key, one in value.items()
        }

    def _part(self, part: str, rule: Rule, value: object, where: str) -> Any:
        try:
            return rule.checked(value, where)
        except ViolationError as error:
            hold(shown(str(value)), where, f"Map {part} must satisfy constraint: [{', '.join(error.constraints)}]")


@dataclass(frozen=True)
class StructureRule:
    """A structure. A name that ends in ``*`` is required; ``union`` names members of which exactly one must be set.

    Members that are not in the table are dropped: newer clients may send them.
    """

    members: Mapping[str, Rule]
    union: tuple[str, ...] = ()

    def checked(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise mistyped(where, "a structure")
        result: dict[str, Any] = {}
        broken: list[str] = []
        for starred, rule in self.members.items():
            name = starred.removesuffix("*")
            path = ".".join(filter(None, (where, name[0].lower() + name[1:])))
            try:
                if value.get(name) is not None:
                    result[name] = rule.checked(value[name], path)
                elif starred.endswith("*"):
                    hold("null", path, "Member must not be null")
            except ViolationError as error:
                broken += error.texts
        if broken:
            raise ViolationError(broken)
        if self.union and sum(name in result for name in self.union) != 1:
            wanted = f"expected exactly one of {', '.join(self.union)}"
            raise ApiError("InvalidParameterException", f"Request has invalid parameters. {where}: {wanted}.")
        return result


def _listed(value: Sequence[object]) -> str:
    return shown("[" + ", ".join(str(one)[:64] for one in value[:5]) + "]")
