"""``edge bench``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import output

if TYPE_CHECKING:
    from edge.cli.bench.stand import Plan


@click.command()
@click.option("--source", help="Measure this source in place of the first camera's (synthetic, video:FILE, ...).")
@click.option("--frames", default=200, show_default=True, type=click.IntRange(10, 100_000), help="Frames to process.")
@click.option(
    "--live", default=5.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds of live watching."
)
@click.option(
    "--faces", default=1000, show_default=True, type=click.IntRange(0, 1_000_000), help="Faces to match against."
)
@click.option("--threads", help="Run the cycle again with these numbers of interpreter threads: 1,2,4.")
@click.option("--cameras", help="Watch with these numbers of cameras, for --live seconds a load: 1,4,16.")
@click.option("--in-view", help="Run the cycle on so many people who stand in view: 1,4,16.")
@click.option("--detectors", help="Run the cycle with each of these detectors: NAME,NAME.")
@click.option("--sizes", help="Match and enroll in collections of these numbers of faces: 1000,10000,100000.")
@click.option("--rival", is_flag=True, help="Also run a plain script, without tracks, on the same frames.")
@click.option("--motion", is_flag=True, help="Also compare looking where something moves with looking at every frame.")
@click.option("--budget", is_flag=True, help="Also compare the embedding budget with embedding every face.")
@click.option(
    "--people",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="For --budget: a folder of pictures per subject. The sample portraits when not set.",
)
@click.option("--profile", is_flag=True, help="Also tell where a frame's own CPU goes, stage by stage.")
@click.option("--start", is_flag=True, help="Also measure the start-up, part by part.")
@click.option("--compare", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An earlier --json.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the figures: FILE.png.")
@output.json_option
@click.pass_context
def bench(ctx: click.Context, /, compare: Path | None, plot: Path | None, as_json: bool, **asked: Any) -> None:
    r"""Measure the whole cycle beside the bare invokes of its models.

    \b
    Example:
      edge bench --source synthetic
      edge bench --frames 500 --json > before.json
      edge bench --frames 500 --rival --threads 1,2,4 --sizes 1000,100000 --compare before.json
      edge bench --source synthetic --profile
      edge bench --source synthetic --cameras 1,4,16 --in-view 1,4,16 --motion --budget --plot bench.png
    """
    from edge.cli.bench.report import bench as measure
    from edge.core.settings import loader as config
    from edge.core.settings.address import SecretAddress

    before, source = _earlier(compare), asked.pop("source")
    plan = _plan(asked)
    if plot is not None and plot.suffix.lower() != ".png":
        raise click.UsageError(f"--plot: expected a name that ends in .png, got {plot.name!r}")
    settings = output.settings(ctx)
    if source:
        camera = settings.cameras[0].model_copy(update={"source": SecretAddress(source)})
        settings = settings.model_copy(update={"cameras": (camera,)})
    state: Path = config.state_folder(settings)
    with output.bar("frames", plan.frames) as bar:
        report = measure(settings, state, plan, bar.advance)
    if plot is not None:
        from edge.cli.bench.plot import picture

        plot.write_bytes(picture(report.document))
    _print(report.document, before, as_json)


def _plan(asked: dict[str, Any]) -> Plan:
    from edge.cli.bench.stand import Plan

    numbers: dict[str, Any] = {name: _numbers(asked.pop(name), option, most) for name, option, most in NUMBERS}
    detectors = tuple(name for name in (asked.pop("detectors") or "").split(",") if name)
    return Plan(live_seconds=asked.pop("live"), detectors=detectors, **numbers, **asked)


NUMBERS = (
    ("threads", "--threads", 16),
    ("cameras", "--cameras", 64),
    ("in_view", "--in-view", 64),
    ("sizes", "--sizes", 10_000_000),
)


def _print(document: dict[str, Any], before: dict[str, Any] | None, as_json: bool) -> None:
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
    """Groups of plain figures on a line each; groups of groups below their names."""
    for name, value in figures.items():
        if isinstance(value, dict) and any(isinstance(one, dict) for one in value.values()):
            click.echo(f"{indent}{name}")
            _print_figures(value, indent + "  ")
        else:
            click.echo(f"{indent}{name:24} {_text(value)}")


def _numbers(text: str | None, option: str, most: int) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.UsageError(f"{option}: expected whole numbers like 1,2,4, got {text!r}") from None
    if any(not 1 <= number <= most for number in numbers):
        raise click.UsageError(f"{option}: expected numbers from 1 to {most}, got {text!r}")
    return numbers


def _earlier(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.UsageError(f"--compare: {path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"--compare: {path} is not what edge bench --json printed")
    return found


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {figure}" for name, figure in value.items())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)
