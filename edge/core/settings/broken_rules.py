"""What is wrong with a setting, in words: pydantic's rules, and keys that a section does not have."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from edge.core.credentials import mask_credentials
from edge.core.settings.base import CAMERA_NAME, DEVICE_NAME, NAME, VERSION
from edge.core.settings.locations import Location
from edge.core.settings.schema import Settings
from edge.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SECRET = re.compile(r"password|secret|token|key|webhook", re.IGNORECASE)
PATTERNS = {
    DEVICE_NAME: "1 to 63 of a-z, 0-9 and '-', and no '-' at the beginning",
    CAMERA_NAME: "1 to 64 letters, digits, '_' and '-', without spaces",
    NAME: "1 to 255 letters, digits, '_', '.' and '-', without spaces",
    VERSION: "a name, or a name and a version as in yard/3",
}
"""pattern -> what it allows"""
_WHOLE, _NUMBER, _SWITCH = "a whole number", "a number", "true or false"
EXPECTED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), lambda _: _WHOLE),
    **dict.fromkeys(("float_parsing", "float_type"), lambda _: _NUMBER),
    **dict.fromkeys(("bool_parsing", "bool_type"), lambda _: _SWITCH),
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), lambda _: "a table"),
    "finite_number": lambda _: "a finite number",
    "string_type": lambda _: "text in quotes",
    "literal_error": lambda context: f"one of {context['expected']}",
    "greater_than": lambda context: f"above {context['gt']}",
    "greater_than_equal": lambda context: f"at least {context['ge']}",
    "less_than": lambda context: f"below {context['lt']}",
    "less_than_equal": lambda context: f"at most {context['le']}",
    "string_pattern_mismatch": lambda context: PATTERNS.get(context["pattern"], f"a match of {context['pattern']}"),
}
"""pydantic's type of an error -> what was expected"""
MOST_OWNERS = 3
"""sections that are named as the right place of a key"""


def rule(detail: ErrorDetails, location: Location) -> str:
    """Which rule the value at a location breaks, with the value unless it may be a secret."""
    if detail["type"] == "extra_forbidden":
        return _unknown(location)  # without its value, which may be a password whose key is misspelled
    value = detail["input"]
    words = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "tuple_type":
        words = f"expected a list of tables, [[{location[0]}]]" if isinstance(value, dict) else "expected a list"
    elif expected := EXPECTED.get(detail["type"]):
        words = f"expected {expected(detail.get('ctx', {}))}"
    secret = any(SECRET.search(str(part)) for part in location)
    if secret or isinstance(value, dict | list | tuple):
        return words
    return f"{words} (got {mask_credentials(repr(value))[:200]})"


def _unknown(location: Location) -> str:
    """What is wrong with a key that no section has: misplaced, or misspelled."""
    name = str(location[-1])
    if len(location) > 1 and name in Settings.model_fields:
        return f"unknown setting; [{name}] is a section of its own: move it above [[cameras]]"
    owners = [section for section, keys in _sections().items() if name in keys]
    if 0 < len(owners) <= MOST_OWNERS:
        return f"unknown setting; {name} belongs in {' or '.join(owners)}"
    return f"unknown setting{did_you_mean(name, _names_beside(location))}"


def _sections() -> dict[str, list[str]]:
    """Header of each section -> its keys."""
    found = {}
    for name, field in Settings.model_fields.items():
        listed = typing.get_origin(field.annotation) is tuple
        if keys := _keys(field.annotation):
            table = name if listed or not typing.get_args(field.annotation) else f"{name}.NAME"
            found[f"[[{table}]]" if listed else f"[{table}]"] = keys
    return found


def _names_beside(location: Location) -> list[str]:
    """The settings that the table around a key has."""
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        model = _model(field.annotation) if field else None
    return _keys(model)


def _keys(annotation: Any) -> list[str]:
    return list(getattr(_model(annotation), "model_fields", {}))


def _model(annotation: Any) -> Any:
    return next((kind for kind in (annotation, *typing.get_args(annotation)) if hasattr(kind, "model_fields")), None)
