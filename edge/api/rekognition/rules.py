"""Kinds of constraint on a request member, and how each is checked.

Every rule has ``checked(value, where)``: the value as operations see it, or ApiError naming the member, the rule
and what came. ``where`` is the member's path, ``Image.S3Object.Name``. JSON null counts as absent.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from edge.api.rekognition.errors import ApiError


class Rule(Protocol):
    """What a constraint must offer."""

    def checked(self, value: object, where: str) -> Any: ...


def refused(where: str, expected: str, code: str = "InvalidParameterException") -> ApiError:
    """The answer to a member that breaks its rule. The value itself is not repeated: it may be a picture."""
    return ApiError(code, f"Request has invalid parameters. {where}: expected {expected}.")


@dataclass(frozen=True)
class StringRule:
    """A string of ``low``..``high`` characters that matches ``pattern`` as a whole, or is one of ``choices``."""

    low: int = 0
    high: int | None = None
    pattern: str = ""
    choices: tuple[str, ...] = ()

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.DOTALL)

    def checked(self, value: object, where: str) -> str:
        if not isinstance(value, str):
            raise refused(where, "a string")
        if len(value) < self.low or (self.high is not None and len(value) > self.high):
            raise refused(where, f"{_range(self.low, self.high)} characters, got {len(value)}")
        if self.choices and value not in self.choices:
            raise refused(where, "one of " + ", ".join(self.choices))
        if self.pattern and not self._compiled.fullmatch(value):
            raise refused(where, f"text matching {self.pattern}")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise refused(where, "text without lone surrogates") from error
        return value


@dataclass(frozen=True)
class BytesRule:
    """Standard base64 with padding, of ``low``..``high`` bytes. Comes back as bytes."""

    low: int
    high: int

    def checked(self, value: object, where: str) -> bytes:
        if not isinstance(value, str):
            raise refused(where, "base64 text")
        if len(value) > (self.high + 2) // 3 * 4:
            raise refused(where, f"at most {self.high} bytes", "ImageTooLargeException")
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise refused(where, "base64 text") from error
        if len(data) < self.low:
            raise refused(where, f"at least {self.low} byte")
        if len(data) > self.high:
            raise refused(where, f"at most {self.high} bytes", "ImageTooLargeException")
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
            raise refused(where, "an integer")
        if value < self.low or value > (self.high if self.high is not None else (1 << 63) - 1):
            raise refused(where, f"an integer in {_range(self.low, self.high)}")
        return value


@dataclass(frozen=True)
class FloatRule:
    """A finite number in ``low``..``high``."""

    low: float = -math.inf
    high: float = math.inf

    def checked(self, value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refused(where, "a number")
        if not self.low <= value <= self.high or abs(value) > 1e300:
            raise refused(where, f"a number in {self.low:g}..{self.high:g}")
        return float(value)


@dataclass(frozen=True)
class BooleanRule:
    """true or false."""

    def checked(self, value: object, where: str) -> bool:
        if not isinstance(value, bool):
            raise refused(where, "true or false")
        return value


@dataclass(frozen=True)
class ListRule:
    """A list of ``low``..``high`` members that all follow one rule."""

    member: Rule
    low: int = 0
    high: int | None = None

    def checked(self, value: object, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise refused(where, "a list")
        if len(value) < self.low or (self.high is not None and len(value) > self.high):
            raise refused(where, f"a list of {_range(self.low, self.high)} members, got {len(value)}")
        return [self.member.checked(one, f"{where}[{i}]") for i, one in enumerate(value)]


@dataclass(frozen=True)
class MapRule:
    """A map of at most ``high`` pairs."""

    key: Rule
    value: Rule
    high: int

    def checked(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refused(where, "a map")
        if len(value) > self.high:
            raise refused(where, f"at most {self.high} pairs, got {len(value)}")
        return {
            self.key.checked(key, f"{where} key"): self.value.checked(one, f"{where} value")
            for key, one in value.items()
        }


@dataclass(frozen=True)
class StructureRule:
    """A structure. A name that ends in ``*`` is required; ``union`` names members of which exactly one must be set.

    Members that the table does not know are left out: newer clients may send them.
    """

    members: Mapping[str, Rule]
    union: tuple[str, ...] = ()

    def checked(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refused(where or "request", "a structure")
        result = {}
        for starred, rule in self.members.items():
            name = starred.removesuffix("*")
            path = f"{where}.{name}" if where else name
            if value.get(name) is not None:
                result[name] = rule.checked(value[name], path)
            elif starred.endswith("*"):
                raise refused(path, "a value, it is required")
        if self.union and sum(name in result for name in self.union) != 1:
            raise refused(where or "request", "exactly one of " + ", ".join(self.union))
        return result


def _range(low: int, high: int | None) -> str:
    return f"{low}..{high}" if high is not None else f"at least {low}"
