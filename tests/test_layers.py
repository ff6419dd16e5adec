"""Imports point only downward, as the docstring of ``edge`` draws the layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import edge

ROOT = Path(edge.__file__).parent
RANKS = (
    ("core",),
    ("sources", "inference", "mqtt"),
    ("labels",),
    ("recognition",),
    ("pipeline",),
    ("releases", "api"),
    ("hub", "daemon"),
    ("cli",),
)
"""the rooms, lowest first; a room imports only from lower ranks"""
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
DATA = {"data"}


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} (line {self.line}) imports {self.imported}"


def imports_of(source: str, module: str, *, package: bool) -> Iterator[Import]:
    """Every ``edge`` import of a module, wherever it stands: relative ones, and those inside functions, too."""
    parts = module.split(".")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level + package] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"edge.{alias.name}" for alias in node.names] if origin == "edge" else [origin]
        for name in names:
            if name == "edge" or name.startswith("edge."):
                yield Import(module, name, node.lineno)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def broken(one: Import) -> str:
    """Why an import is not allowed, empty when it is. Imports for type checking count as well."""
    here, there = room(one.importer), room(one.imported)
    if here == there or not there or there == "__version__":
        return ""
    for name in (here, there):
        if name not in RANK:
            return f"{one}: {name} is none of the twelve rooms"
    if RANK[there] > RANK[here]:
        return f"{one}: imports upward"
    if RANK[there] == RANK[here]:
        return f"{one}: rooms of one rank"
    return ""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["edge", *path.relative_to(ROOT).with_suffix("").parts]
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_every_import_points_to_the_same_room_or_a_lower_rank() -> None:
    found = [
        reason
        for module, path in modules()
        if module not in ("edge", "edge.__main__")
        for one in imports_of(path.read_text(encoding="utf-8"), module, package=path.name == "__init__.py")
        if (reason := broken(one))
    ]
    assert found == []


def test_the_package_has_twelve_rooms_and_no_other_entry() -> None:
    entries = {path.name for path in ROOT.iterdir() if path.suffix in ("", ".py") and path.name != "__pycache__"}
    assert entries - {"__init__.py", "__main__.py"} - DATA == RANK.keys()


def test_a_class_name_has_one_meaning_in_the_package() -> None:
    places: dict[str, list[str]] = {}
    for module, path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_packages_hold_a_docstring_and_no_code() -> None:
    for module, path in modules():
        if path.name == "__init__.py" and module != "edge":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert [type(node) for node in body] == [ast.Expr], module


def test_the_docstring_of_the_package_names_the_ranks_in_order() -> None:
    lines = [line for line in (edge.__doc__ or "").splitlines() if re.match(r"\d+\. ", line)]
    assert tuple(tuple(re.findall(r"``([a-z]+)``", line)) for line in lines) == RANKS


@pytest.mark.parametrize(
    ("source", "module", "allowed"),
    [
        ("from edge.core.types import Box", "edge.core.storage.files", True),
        ("from edge.core.types import Box", "edge.cli.run", True),
        ("from edge import daemon", "edge.core.types", False),
        ("import edge.pipeline.pipeline", "edge.recognition.extraction", False),
        ("import edge.pipeline.pipeline as p", "edge.core.storage.files", False),
        ("from .identity_voting import Votes", "edge.pipeline.tracking.tracker", True),
        ("from ...daemon import engine", "edge.pipeline.tracking.tracker", False),
        ("from ... import daemon", "edge.pipeline.tracking.tracker", False),
        ("from ... import core", "edge.pipeline.tracking.tracker", True),
        ("def f():\n    from edge.daemon import engine", "edge.pipeline.tracking", False),
        ("if TYPE_CHECKING:\n    from edge.daemon.engine import Engine", "edge.pipeline.tracking", False),
        ("from edge.sources import base", "edge.inference.model", False),
        ("from edge.releases import updater", "edge.api.web.routes", False),
        ("from edge.sources.base import open", "edge.pipeline.pipeline", True),
        ("from edge import __version__", "edge.core.types", True),
        ("import edgedetect", "edge.core.types", True),
        ("from edge.newcomer import x", "edge.pipeline.pipeline", False),
    ],
)
def test_the_check_itself_sees_each_way_to_import(source, module, allowed) -> None:
    found = list(imports_of(source, module, package=module in ("edge.pipeline.tracking",)))
    assert all(broken(one) == "" for one in found) is allowed
