"""``edge bench``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import output
from edge.cli.paths import InputPath

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings


@click.command()
@click.option("--source", help="Source to measure; default: the first camera's (synthetic, video:FILE, ...).")
@click.option("--frames", default=200, show_default=True, type=click.IntRange(10, 100_000), help="Frames to process.")
@click.option(
    "--live", default=5.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds of live watching."
)
@click.option(
    "--faces", default=1000, show_default=True, type=click.IntRange(0, 1_000_000), help="Faces to match against."
)
@click.option("--threads", help="Repeat with these numbers of interpreter threads: 1,2,4.")
@click.option("--start", is_flag=True, help="Also measure the start-up by component.")
@click.option("--compare", type=InputPath(exists=True, dir_okay=False), help="Compare with an earlier --json.")
@output.json_option
@click.pass_context
def bench(
    ctx: click.Context, /, compare: Path | None, source: str, threads: str, live: float, as_json: bool, **asked: Any
) -> None:
    r"""Measure the pipeline, compared with bare inference of its models.

    \b
    Example:
      edge bench --source synthetic
      edge bench --frames 500 --json > before.json
      edge bench --frames 500 --threads 1,2,4 --compare before.json
    """
    from edge.cli.bench.report import bench as measure
    from edge.cli.bench.stand import Plan
    from edge.core.settings import loader as config

    before = earlier(compare)
    plan = Plan(live_seconds=live, threads=numbers(threads, "--threads", 16), **asked)
    settings = with_source(output.settings(ctx), source)
    with output.bar("frames", plan.frames) as bar:
        report = measure(settings, config.state_folder(settings), plan, bar.advance)
    print_report(report.document, before, as_json)


def with_source(settings: Settings, source: str | None) -> Settings:
    """The settings, with ``source`` instead of the first camera's where it is given."""
    from edge.core.settings.address import SecretAddress

    if not source:
        return settings
    camera = settings.cameras[0].model_copy(update={"source": SecretAddress(source)})
    return settings.model_copy(update={"cameras": (camera,)})


def print_report(document: dict[str, Any], before: dict[str, Any] | None, as_json: bool) -> None:
    """Print a report, compared with an earlier one where there is one."""
    from edge.cli.bench.compare import changes

    changed = changes(before, document) if before is not None else []
    if as_json:
        output.print_json(document | ({"changes": changed} if before is not None else {}))
        return
    for title, figures in document.items():
        click.echo(title)
        _print_figures(figures, "  ")
    if changed:
        output.print_table(("figure", "then", "now", "ratio"), changed)


def _print_figures(figures: dict[str, Any], indent: str) -> None:
    """Print groups of figures on one line each, nested groups indented below their names."""
    for name, value in figures.items():
        if isinstance(value, dict) and any(isinstance(one, dict) for one in value.values()):
            click.echo(f"{indent}{name}")
            _print_figures(value, indent + "  ")
        else:
            click.echo(f"{indent}{name:24} {_text(value)}")


def numbers(text: str | None, option: str, most: int) -> tuple[int, ...]:
    """Numbers from 1 to ``most``, separated by commas. Raises click.UsageError."""
    try:
        found = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.UsageError(f"{option}: expected whole numbers like 1,2,4, got {text!r}") from None
    if any(not 1 <= number <= most for number in found):
        raise click.UsageError(f"{option}: expected numbers from 1 to {most}, got {text!r}")
    return found


def earlier(path: Path | None) -> dict[str, Any] | None:
    """The JSON report of an earlier run; None without ``path``. Raises click.UsageError."""
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.UsageError(f"--compare: {path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"--compare: {path} is not a report of edge bench --json")
    return found


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {figure}" for name, figure in value.items())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)
