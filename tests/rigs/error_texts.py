"""The texts of the package's errors, as the tables of languages have them: values stand as ``{1}``, ``{2}``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import edge
from edge.core import errors as edge_errors
from edge.core.errors import EdgeError

PACKAGE = Path(edge.__file__).parent
FOR_PROGRAMS = {
    "POST the token to /page/login, or send it as a bearer token",
    "answers: expected a list of 1 to {1}",
    "service: expected an http address",
    "the header {1}: 1 is missing",
    "boxes: expected a list of at most {1}",
    "review questions are not shared by this device",
    "set commands.review_key there",
}
"""said to programs that send what no script of ours does, and to the hub"""
MODULES = {".".join(("edge", *file.relative_to(PACKAGE).with_suffix("").parts)): file for file in PACKAGE.rglob("*.py")}
EDGE_ERRORS = {name for name, one in vars(edge_errors).items() if isinstance(one, type) and issubclass(one, EdgeError)}


def template(node: ast.expr) -> str:
    """A text as the table has it; empty for what is no text, or nothing but values."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text, number = "", 0
    for part in parts:
        number += isinstance(part, ast.FormattedValue)
        literal = part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else ""
        text += f"{{{number}}}" if isinstance(part, ast.FormattedValue) else literal
    return text if re.search(r"[a-z]{2}", re.sub(r"\{\d\}", "", text)) else ""


def imported(module: str) -> set[str]:
    """The modules of the package that one imports when it runs."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    typing = (one for one in ast.walk(tree) if isinstance(one, ast.If) and "TYPE_CHECKING" in ast.unparse(one.test))
    silent = {id(part) for one in typing for part in ast.walk(one)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in silent:
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found & MODULES.keys()


def reached(showing: tuple[str, ...], elsewhere: tuple[str, ...]) -> set[str]:
    """Every module that those of ``showing`` import when they run, except those of ``elsewhere``."""
    seen: set[str] = set()
    waiting = {module for module in MODULES if module.startswith(showing)}
    while waiting:
        module = waiting.pop()
        if module not in seen and not module.startswith(elsewhere):
            seen.add(module)
            waiting |= imported(module)
    return seen


def edge_errors_of(module: str) -> Iterator[str]:
    """What the EdgeErrors of a module say, and what they suggest."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in EDGE_ERRORS:
            texts_of = [text for one in node.args[:2] if (text := template(one))]
            if "use the page" not in texts_of:
                yield from texts_of
