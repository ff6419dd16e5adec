"""``edge bench``."""

from __future__ import annotations

from pathlib import Path

import click

from edge.cli import output


@click.command()
@click.option("--source", help="Measure this source in place of the first camera's (synthetic, video:FILE, ...).")
@click.option("--frames", default=200, show_default=True, type=click.IntRange(10, 100_000), help="Frames to process.")
@click.option(
    "--live", default=5.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds of live watching."
)
@click.option(
    "--faces", default=1000, show_default=True, type=click.IntRange(0, 1_000_000), help="Faces to match against."
)
@output.json_option
@click.pass_context
def bench(ctx: click.Context, source: str | None, frames: int, live: float, faces: int, as_json: bool) -> None:
    r"""Measure the whole cycle beside the bare invokes of its models.

    \b
    Example:
      edge bench --source synthetic
      edge bench --frames 500 --json > before.json
    """
    from edge import config
    from edge.bench import Plan
    from edge.bench import bench as measure

    settings = output.settings(ctx)
    if source:
        camera = settings.cameras[0].model_copy(update={"source": source})
        settings = settings.model_copy(update={"cameras": (camera,)})
    state: Path = config.state_folder(settings)
    with output.bar("frames", frames) as bar:
        report = measure(settings, state, Plan(frames, live, faces), bar.advance)
    if as_json:
        output.print_json(report.document)
        return
    for title, figures in report.document.items():
        click.echo(f"{title}")
        for name, value in figures.items():
            click.echo(f"  {name:24} {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {figure}" for name, figure in value.items())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)
