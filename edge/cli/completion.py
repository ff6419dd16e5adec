"""Completion of names in the shell: collections, subjects, models, custom labels, strangers, releases.

A shell waits for each answer: the settings' schema and the stores are not imported, and a name that cannot be read
(no state folder, no permission, encrypted) is not offered. Nothing is written, locked or printed.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from edge.core.compat import tomllib
from edge.core.resources import CHECKOUT_MODELS, DATA
from edge.core.storage import layout

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
BUSY_SECONDS = 0.1
SPECIAL = re.compile(r"([^\w@%+=:./-])")
"""characters that bash would split or interpret"""
SUBJECTS = "SELECT DISTINCT subject FROM faces"
SUBJECTS_OF = "SELECT DISTINCT subject FROM faces WHERE collection = (SELECT id FROM collections WHERE name = ?)"


class QuotingBash(BashComplete):
    """Completion for bash that escapes names with spaces and quotes; zsh and fish do so themselves."""

    def format_completion(self, item: CompletionItem) -> str:
        escaped = SPECIAL.sub(r"\\\\\1", item.value)  # click's function reads one level of backslashes away
        return f"{item.type},{escaped if item.type == 'plain' else item.value}"


def install() -> None:
    """Let click answer bash by ``QuotingBash``."""
    add_completion_class(QuotingBash)


def collections(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of collections."""
    return _starting(_column(_state(ctx) / layout.COLLECTIONS.name, "SELECT name FROM collections"), incomplete)


def subjects(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Subjects of all collections, or of the collection named before on the command line.

    click parses no arguments where an option lacks its value (the one that is being typed): they are in ``ctx.args``.
    """
    chosen = ctx.params.get("collection") or next(iter(ctx.args), "")
    file = _state(ctx) / layout.COLLECTIONS.name
    return _starting(_column(file, SUBJECTS_OF, (chosen,)) if chosen else _column(file, SUBJECTS), incomplete)


def strangers(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Pseudonyms of strangers."""
    numbers = _column(_state(ctx) / layout.REVIEW.name, "SELECT 'unknown-' || number FROM strangers")
    return _starting(numbers, incomplete)


def labels(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of custom labels."""
    return _starting(_folders(_state(ctx) / layout.LABELS.name), incomplete)


def releases(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Releases on this device."""
    return _starting(_folders(layout.StateLayout(_state(ctx)).releases), incomplete)


def models(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models with a card."""
    places = [_state(ctx) / layout.MODELS.name, DATA / "models", CHECKOUT_MODELS]
    return _starting((name for place in places for name in _folders(place, "card.toml")), incomplete)


def models_and_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models, and the shell's own completion of files."""
    return models(ctx, param, incomplete) or [CompletionItem(incomplete, type="file")]


def catalog(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models that can be downloaded."""
    return _starting(_toml(DATA / "catalog.toml"), incomplete)


def _starting(names: Iterable[Any], incomplete: str) -> list[CompletionItem]:
    offered = {name for name in names if isinstance(name, str) and name.startswith(incomplete) and name.isprintable()}
    return [CompletionItem(name) for name in sorted(offered, key=str.casefold)]


def _state(ctx: click.Context) -> Path:
    """The state folder by the rules of the settings' loader."""
    file = ctx.find_root().params.get("config") or os.environ.get("EDGE_CONFIG") or "/etc/edge/edge.toml"
    given = os.environ.get("EDGE_STATE") or _toml(Path(file)).get("state")
    if isinstance(given, str) and given:
        return _expanded(given)
    if folder := os.environ.get("STATE_DIRECTORY"):
        return Path(folder.split(":")[0])
    return _expanded(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "edge"


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a user without a home folder
        return Path(path)


def _toml(file: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        return table
    except (OSError, ValueError, RecursionError):
        return {}


def _folders(place: Path, holding: str = "") -> list[str]:
    try:
        return [one.name for one in place.iterdir() if (one / holding).exists() and one.is_dir()]
    except OSError:
        return []


def _column(file: Path, query: str, values: tuple[str, ...] = ()) -> list[Any]:
    """The first column of a query; empty where the database cannot be read."""
    try:
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, BUSY_SECONDS, uri=True)) as db:
            return [row[0] for row in db.execute(query, values)]
    except (sqlite3.Error, OSError):
        return []
