"""``config/edge.toml``: every setting with its description, its rule and its default, written from the settings.

A key stands at its default. One that has no default worth writing, or that needs a decision, stands behind ``#``
with an example (``Field(examples=[...])``). So the file as it is equals the defaults, and each ``#`` that is
taken away leaves a file that is still valid.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from edge.core.settings.base import Section
from edge.core.settings.schema import Settings

WIDTH = 100
"""columns of a comment"""
WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
"""pydantic's names of bounds, in words"""
HEAD = """\
# Every setting of edge, at its default: this file as it is changes nothing.
# Keep the lines you change and drop the rest. A key behind '#' shows an example.
# Each can also be set by the environment: EDGE_MQTT__HOST=broker.lan is host of [mqtt].
# `edge config show` tells what is in force and where it came from; `edge config check FILE` tries a file.
# Written by scripts/write_config from edge/core/settings/; change it there.
"""


def text() -> str:
    """The whole file."""
    scalars = [name for name, field in Settings.model_fields.items() if not _sections_of(field)]
    parts = [HEAD, "\n".join(_keys(Settings, {}, scalars))]
    for name, field in Settings.model_fields.items():
        if name not in scalars:
            parts.append("\n".join(_tables(name, field)))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def commented(values: Mapping[str, Any]) -> str:
    """A file that sets these values (section -> key -> value), each below its description.

    Sections that are lists, as ``cameras``, have a list of tables.
    """
    return "\n".join(line for name, content in values.items() for line in _section(name, content))


def value(thing: Any) -> str:
    """A value in TOML, on one line."""
    match thing:
        case SecretStr():
            return value(thing.get_secret_value())
        case bool():
            return "true" if thing else "false"
        case int() if abs(thing) >= 100_000:
            return f"{thing:_}"
        case int() | float():
            return repr(thing)
        case Mapping():
            inside = ", ".join(f"{_name(str(key))} = {value(item)}" for key, item in thing.items())
            return f"{{ {inside} }}" if inside else "{}"
        case list() | tuple():
            return f"[{', '.join(value(item) for item in thing)}]"
        case _:
            return json.dumps(str(thing), ensure_ascii=False)


def written(values: Mapping[str, Any]) -> str:
    """A configuration file that sets these values, a line each; sections are inline tables."""
    return "".join(f"{_name(key)} = {value(item)}\n" for key, item in values.items())


def _section(name: str, content: Any) -> Iterator[str]:
    section = _sections_of(Settings.model_fields[name])[0]
    yield from _comment(_purpose(section))
    tables = [(f"[{name}]", content)] if isinstance(content, Mapping) else [(f"[[{name}]]", one) for one in content]
    for header, one in tables:
        yield header
        for key, item in one.items():
            field = section.model_fields[key]
            yield from _comment(" ".join(part for part in (field.description, _rule(field)) if part))
            yield f"{key} = {value(item)}"
        yield ""


def _tables(name: str, field: FieldInfo) -> Iterator[str]:
    """A section, or the array or table of sections that a name holds, with an example of one more."""
    section = _sections_of(field)[0]
    yield from _comment(_purpose(section))
    for header, one in _headers(name, field.get_default(call_default_factory=True)):
        yield header
        yield from _keys(section, one, section.model_fields)
    for example in field.examples or ():
        yield "# One more, for example:"
        for header, one in _headers(name, example):
            yield from (f"# {line}" for line in (header, *(f"{key} = {value(item)}" for key, item in one.items())))


def _headers(name: str, content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each table header of a name with what stands below it."""
    if isinstance(content, BaseModel):
        yield f"[{name}]", content.model_dump()
    elif isinstance(content, Mapping):
        for key, one in content.items():
            yield f"[{name}.{_name(key)}]", one.model_dump() if isinstance(one, BaseModel) else one
    else:
        for one in content:
            yield f"[[{name}]]", one.model_dump() if isinstance(one, BaseModel) else one


def _keys(section: type[Section], values: Mapping[str, Any], names: Sequence[str] | Mapping[str, Any]) -> Iterator[str]:
    for name in names:
        field = section.model_fields[name]
        default = values.get(name, field.default)
        yield from _comment(" ".join(part for part in (field.description, _rule(field), _unset(field)) if part))
        if field.examples:
            yield f"# {name} = {value(field.examples[0])}"
        else:
            yield f"{name} = {value(default)}"
        yield ""


def _unset(field: FieldInfo) -> str:
    """What holds while the key stands behind '#', where that is not 'nothing'."""
    worth = bool(field.examples) and isinstance(field.default, bool | int | float | str)
    return f"Default: {value(field.default)}." if worth else ""


def _rule(field: FieldInfo) -> str:
    """The choices or the range of a setting, in words."""
    if get_origin(field.annotation) is Literal:
        return f"One of {', '.join(value(choice) for choice in get_args(field.annotation))}."
    limits = {
        name: limit for rule in field.metadata for name in WORDS if (limit := getattr(rule, name, None)) is not None
    }
    if limits.keys() == {"ge", "le"}:
        return f"{_number(limits['ge'])} to {_number(limits['le'])}."
    return (
        (" and ".join(f"{WORDS[name]} {_number(limit)}" for name, limit in limits.items()) + ".")
        .capitalize()
        .lstrip(".")
    )


def _number(limit: float) -> str:
    return value(int(limit) if limit == int(limit) else limit)


def _sections_of(field: FieldInfo) -> list[type[Section]]:
    """The section that a field is, or holds many of; empty for a plain setting."""
    found = [field.annotation, *get_args(field.annotation)]
    return [part for part in found if isinstance(part, type) and issubclass(part, Section)]


def _purpose(section: type[Section]) -> str:
    """The docstring '[mqtt]: the broker.' without its name, as a sentence."""
    first = (section.__doc__ or "").strip().splitlines()[0]
    purpose = first.partition("]: ")[2] or first
    return purpose[:1].upper() + purpose[1:]


def _comment(words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _name(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)
