"""``edge models``: model cards and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.lazy import SuggestingGroup
from edge.cli.model_add import add
from edge.cli.model_compare import compare
from edge.cli.model_get import get
from edge.cli.model_quantize import quantize
from edge.cli.output import bar, json_option, print_json, print_table, settings
from edge.core.errors import EdgeError, ModelError, NotFoundError
from edge.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.inference.model import ModelEntry


@click.group(cls=SuggestingGroup)
def models() -> None:
    r"""Model cards and files.

    A model is a .tflite and a card.toml that describes its input and output.

    \b
    Example:
      edge models list
      edge models check edge-face-detector-2
    """


models.add_command(add)
models.add_command(compare)
models.add_command(get)
models.add_command(quantize)


@models.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    r"""All models with a card, and how to get those that are not installed.

    \b
    Example:
      edge models list --json
    """
    entries = _available(settings(ctx))
    if as_json:
        print_json([_line(entry) for entry in entries])
    else:
        print_table(("NAME", "KIND", "SIZE", "HERE", "LICENCE"), [_row(entry) for entry in entries])
        for entry in entries:
            if entry.card and not entry.path and entry.card.get:
                click.echo(f"{entry.name}: {entry.card.get}", err=True)
            elif not entry.card:
                click.echo(f"{entry.name}: {entry.problem}", err=True)
    if not entries:
        ctx.exit(3)


@models.command()
@click.argument("name", shell_complete=completion.models)
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    r"""The card of a model: purpose, accuracy, license, and path of its file.

    \b
    Example:
      edge models show edge-face-embedder-1
    """
    from edge.inference.card import to_table

    entry = next((entry for entry in _available(settings(ctx)) if entry.name == name), None)
    if entry is None:
        near = did_you_mean(name, [entry.name for entry in _available(settings(ctx))])
        raise NotFoundError(f"there is no model {name!r}{near}", "edge models list shows the models")
    if entry.card is None:
        raise ModelError(entry.problem, "correct the card")
    table = to_table(entry.card)
    if as_json:
        print_json({**table, "path": str(entry.path) if entry.path else None, "card": str(entry.folder / "card.toml")})
        return
    click.echo(f"card: {entry.folder / 'card.toml'}")
    click.echo(f"path: {entry.path or entry.problem}")
    for key, value in _flat(table):
        click.echo(f"{key}: {value}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...", shell_complete=completion.models_and_files)
@json_option
@click.pass_context
def check(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    r"""Test models in a child process: load, invoke, and decode as described by the card. Default: all installed.

    \b
    Example:
      edge models check edge-face-detector-2
      edge models check some/model.tflite
    """
    chosen = settings(ctx)
    wanted = names or tuple(entry.name for entry in _available(chosen) if entry.path)
    results = []
    with bar("checking", len(wanted)) as progress:
        for name in wanted:
            results.append(_checked(name, chosen))
            progress.advance()
    if as_json:
        print_json(results)
    else:
        print_table(("NAME", "RESULT", "INVOKE", "LOAD", "MEMORY"), [_verdict(result) for result in results])
        for result in results:
            if "error" in result:
                click.echo(f"error: {result['error']}\ntry: {result['hint']}", err=True)
    if not results:
        ctx.exit(3)
    if any("error" in result for result in results):
        ctx.exit(1)


def _available(chosen: Settings) -> list[ModelEntry]:
    from edge.core.settings import loader as config
    from edge.inference import model

    return model.available(model.folders(chosen.models, config.state_folder(chosen)))


def _line(entry: ModelEntry) -> dict[str, Any]:
    card = entry.card
    return {
        "name": entry.name,
        "kind": card.kind if card else None,
        "size": entry.path.stat().st_size if entry.path else (card.size if card else 0),
        "licence": card.licence if card else None,
        "present": entry.path is not None,
        "path": str(entry.path) if entry.path else None,
        "about": card.about if card else "",
        "get": card.get if card and not entry.path else "",
        "problem": entry.problem,
    }


def _row(entry: ModelEntry) -> tuple[str, ...]:
    line = _line(entry)
    size = f"{line['size'] / 1e6:.2f} MB" if line["size"] else "?"
    return entry.name, line["kind"] or "?", size, "yes" if line["present"] else "no", line["licence"] or "?"


def _checked(name: str, chosen: Settings) -> dict[str, Any]:
    from edge.core.settings import loader as config
    from edge.core.storage import files
    from edge.inference import model
    from edge.inference import validation as trial

    try:
        if name.endswith(".tflite"):
            path = Path(name)
            if not files.is_file(path):
                raise NotFoundError(f"{path}: there is no such file", "check the path")
            report = trial.check_file(path, chosen.models)
        else:
            found = model.find(name, model.folders(chosen.models, config.state_folder(chosen)))
            report = trial.check(found, chosen.models)
    except EdgeError as error:
        return {"name": name, "ok": False, "error": error.message, "hint": error.hint}
    return {"name": name, "ok": True, **dataclasses.asdict(report)}


def _verdict(result: dict[str, Any]) -> tuple[str, ...]:
    if "error" in result:
        return result["name"], "failed", "", "", ""
    outcome = f"good ({result['engine']})" + (", without the delegate" if result["fallback"] else "")
    times = f"{result['invoke_ms']:.1f} ms", f"{result['load_ms']:.0f} ms"
    return result["name"], outcome, *times, f"{result['peak_mb']:.0f} MB"


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            lines.append((prefix + key, ", ".join(str(item) for item in value)))
        else:
            lines.append((prefix + key, value))
    return lines
