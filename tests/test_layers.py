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
INDEPENDENT = 2
"""the layer whose stages do not import each other"""


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} (line {self.line}) imports {self.imported}"


def drawn() -> dict[str, int]:
    """Stage -> layer, read from the docstring: a stage is a module of ``edge`` or one of its folders."""
    layers: dict[str, int] = {}
    number = -1
    for line in (edge.__doc__ or "").splitlines():
        if heading := re.match(r"(\d)\. ", line):
            number = int(heading[1])
        if number >= 0:
            layers |= {name.rstrip("/"): number for name in re.findall(r"``([a-z_0-9]+/?)``", line)}
    return layers


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


def stage(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def broken(one: Import, layers: dict[str, int]) -> str:
    """Why an import may not be; empty when it may. What serves a type checker alone counts as well."""
    here, there = stage(one.importer), stage(one.imported)
    if here == there or not there or there == "__version__":
        return ""
    for name in (here, there):
        if name not in layers:
            return f"{one}: {name} has no layer in the docstring of edge/__init__.py"
    if layers[there] > layers[here]:
        return f"{one}: from layer {layers[here]} up to layer {layers[there]}"
    if layers[there] == layers[here] == INDEPENDENT:
        return f"{one}: two stages of layer {INDEPENDENT}"
    return ""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["edge", *path.relative_to(ROOT).with_suffix("").parts]
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_every_import_points_to_the_same_stage_or_a_lower_layer() -> None:
    layers = drawn()
    found = [
        reason
        for module, path in modules()
        if module not in ("edge", "edge.__main__")
        for one in imports_of(path.read_text(encoding="utf-8"), module, package=path.name == "__init__.py")
        if (reason := broken(one, layers))
    ]
    assert found == []


def test_every_module_has_a_place_in_the_drawing() -> None:
    names = {stage(module) for module, _ in modules()} - {"", "__main__"}
    assert names - drawn().keys() == set()


def test_the_drawing_has_six_layers() -> None:
    assert set(drawn().values()) == set(range(6))


LAYERS = {"types": 0, "files": 1, "tracking": 2, "sources": 2, "pipeline": 3, "cli": 5}


@pytest.mark.parametrize(
    ("source", "module", "allowed"),
    [
        ("from edge.types import Box", "edge.files", True),
        ("from edge import files", "edge.types", False),
        ("import edge.pipeline", "edge.tracking.votes", False),
        ("import edge.pipeline as p", "edge.files", False),
        ("from .votes import Votes", "edge.tracking.tracker", True),
        ("from ..sources import open", "edge.tracking.tracker", False),
        ("from .. import sources", "edge.tracking.tracker", False),
        ("from .. import types", "edge.tracking.tracker", True),
        ("def f():\n    from edge.sources import open", "edge.tracking", False),
        ("if TYPE_CHECKING:\n    from edge.pipeline import Pipeline", "edge.tracking", False),
        ("from edge.sources import open", "edge.pipeline", True),
        ("from edge import __version__", "edge.types", True),
        ("import edgedetect", "edge.types", True),
        ("from edge.newcomer import x", "edge.pipeline", False),
    ],
)
def test_the_check_itself_sees_each_way_to_import(source, module, allowed) -> None:
    found = list(imports_of(source, module, package=module in ("edge.tracking",)))
    assert all(broken(one, LAYERS) == "" for one in found) is allowed
