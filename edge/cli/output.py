"""Output of commands: JSON, tables, and progress bars on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from edge.cli import completion
from edge.cli.main import NOTHING_FOUND
from edge.core.terminal import plain, plain_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from edge.core.settings.schema import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
detector_option = click.option(
    "--detector", "detectors", multiple=True, help="Detector model, instead of the cameras'.",
    shell_complete=completion.models,
)  # fmt: skip
embedder_option = click.option(
    "--embedder", default="", help="Embedder model, instead of the label's.", shell_complete=completion.models
)


def model_options(command: Command) -> Command:
    """The options ``--detector`` and ``--embedder`` of commands that detect and identify in pictures."""
    return detector_option(embedder_option(command))


def settings(ctx: click.Context) -> Settings:
    """The settings in force for this command line, with the recorded embedders of collections. Raises SettingsError."""
    from edge.core.errors import SettingsError
    from edge.core.settings import loader as config
    from edge.recognition.recorded_embedder import with_recorded_embedders

    chosen = ctx.find_root().obj
    found = config.read(Path(chosen) if chosen else None)
    with suppress(SettingsError):  # of an invalid state folder: reported by the commands that need it
        return with_recorded_embedders(found, config.state_folder(found))
    return found


def print_json(value: Any) -> None:
    """Print one JSON document: indented on a terminal, a single line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json_text(value, indent))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON for stdout; escapes control and bidirectional characters, and those that its encoding lacks."""
    unicode = (sys.stdout.encoding or "ascii").lower().replace("-", "") in ("utf8", "utf16")
    return plain_json(json.dumps(value, indent=indent, ensure_ascii=not unicode, allow_nan=False))


def say(text: str, err: bool = False) -> None:
    """Print a line that may contain untrusted text; control characters are escaped."""
    click.echo(plain(text), err=err)


def nothing(ctx: click.Context, words: str) -> NoReturn:
    """Print ``words`` to stderr, and exit with code 3 (nothing found)."""
    click.echo(words, err=True)
    ctx.exit(NOTHING_FOUND)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with aligned columns, without truncation; control characters are escaped."""
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    for row in [list(columns), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@dataclass
class ProgressBar:
    """A progress bar; silent where stderr is not a terminal."""

    progress: Progress | None
    task: TaskID | None

    def advance(self, steps: float = 1) -> None:
        if self.progress is not None and self.task is not None:
            self.progress.advance(self.task, steps)


@contextmanager
def bar(text: str, total: float | None) -> Iterator[ProgressBar]:
    """A progress bar with the remaining time on a terminal; silent otherwise. ``total``: steps; None: unknown."""
    if not sys.stderr.isatty():
        yield ProgressBar(None, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield ProgressBar(progress, progress.add_task(text, total=total))
