"""No setting is a promise that no code keeps: each field of each section is read outside ``edge/core/settings``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

import edge
from edge.core.settings.schema import Settings

PACKAGE = Path(edge.__file__).parent
OWN = PACKAGE / "core" / "settings"
READ_BY_ITS_OWN_PROPERTY = {"MqttSettings.port": "effective_port", "MqttSettings.fallback_hosts": "addresses"}
"""setting -> the property of its section that others read"""


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for kind in (field.annotation, *_inside(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from sections(kind)


def _inside(annotation: object) -> Iterator[object]:
    for one in get_args(annotation):
        yield one
        yield from _inside(one)


@pytest.fixture(scope="module")
def attributes() -> set[str]:
    """Names of all attributes that the package reads outside the settings."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if not path.is_relative_to(OWN):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return found


FIELDS = sorted({(section.__name__, name) for section in sections(Settings) for name in section.model_fields})


@pytest.mark.parametrize(("section", "name"), FIELDS, ids=[f"{section}.{name}" for section, name in FIELDS])
def test_a_setting_is_read(attributes: set[str], section: str, name: str) -> None:
    assert READ_BY_ITS_OWN_PROPERTY.get(f"{section}.{name}", name) in attributes
