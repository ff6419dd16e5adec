"""``edge models add``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.output import json_option, print_json, settings
from edge.cli.paths import InputPath
from edge.core.errors import InputError, StoreError
from edge.core.storage import files

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.inference.card import Card
    from edge.inference.model import Model
    from edge.inference.onboarding.card_proposal import Hints
    from edge.inference.onboarding.library import Tried

FAMILIES = (
    "ssd",
    "yolov8",
    "ultra-light-fast",
    "ultra-light-fast-landmark",
    "retinaface",
    "blazeface",
    "anchor-free-faces",
)


@click.command()
@click.argument("file", type=InputPath())
@click.option("--name", default="", help="Name of the model; default: from the file name.")
@click.option(
    "--kind", default="", type=click.Choice(["", "detector", "embedder", "classifier"]), help="Kind of model."
)
@click.option("--family", default="", type=click.Choice(["", *FAMILIES]), help="Architecture of the detector.")
@click.option("--labels", default="", help="A file with one label per line, or a,b,c.")
@click.option("--licence", default="", help="Licence of the model.")
@click.option("--mean", type=float, help="Input: (pixel 0..255 - mean) / std.")
@click.option("--std", type=click.FloatRange(min=0, min_open=True), help="Input: (pixel 0..255 - mean) / std.")
@click.option(
    "--fit",
    default="",
    type=click.Choice(["", "stretch", "letterbox", "crop"]),
    help="How images are resized to the input.",
)
@click.option("--score", type=click.FloatRange(0, 1), help="Detectors: minimum score 0..1.")
@click.option("--picture", type=InputPath(exists=True, dir_okay=False), help="Test picture.")
@click.option(
    "--annotated", type=click.Path(path_type=Path), help="Write the detections in the test picture (.jpg or .png)."
)
@click.option("--replace", "overwrite", is_flag=True, help="Replace an installed model of that name.")
@click.option("--dry-run", is_flag=True, help="Propose and test, but do not install.")
@json_option
@click.pass_context
def add(ctx: click.Context, /, file: Path, as_json: bool, **options: Any) -> None:
    r"""Install a .tflite: propose its card, test it in a child process, show detections in a picture.

    Properties that cannot be derived from the file are asked on a terminal, or must be given as options.

    \b
    Example:
      edge models add yolo.tflite --picture street.jpg --annotated seen.jpg
      edge models add faces.tflite --name my-faces --mean 127 --std 128 --dry-run
    """
    from edge.core.settings import loader as config
    from edge.inference import model
    from edge.inference import validation as check
    from edge.inference.onboarding import library as model_library

    if (options["picture"] is None) != (options["annotated"] is None):
        raise click.UsageError("--picture and --annotated go together")
    chosen = settings(ctx)
    state = config.state_folder(chosen)
    folders = model.folders(chosen.models, state)
    found = model_library.tried(file, chosen.models, folders, _hints(options))
    if found.proposal.questions and sys.stdin.isatty() and not as_json:
        found = model_library.tried(file, chosen.models, folders, _asked(found, _hints(options)))
    opened = model.opened(found.card, file)
    check.check(opened, chosen.models)
    seen = _show(opened, chosen, options["picture"], options["annotated"]) if options["picture"] else None
    installed = None if options["dry_run"] else model_library.install(file, found.card, state, options["overwrite"])
    _print(found, found.card, installed, seen, options["annotated"], as_json)


def _hints(options: dict[str, Any]) -> Hints:
    from edge.inference.onboarding.card_proposal import Hints

    names = ("name", "kind", "family", "licence", "mean", "std", "fit", "score")
    return Hints(**{name: options[name] for name in names}, labels=_labels(options["labels"]))


def _labels(given: str) -> tuple[str, ...]:
    if not given:
        return ()
    if not files.is_file(Path(given)):
        return tuple(part.strip() or "n/a" for part in given.split(","))
    try:
        lines = Path(given).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--labels {given}: cannot be read: {error}", "use a text file with one label per line"
        ) from error
    return tuple(line.strip() or "n/a" for line in lines)


def _asked(found: Tried, hints: Hints) -> Hints:
    """The hints, completed by answers on the terminal."""
    for question in found.proposal.questions:
        click.echo(f"{found.path.name}: {question.why}", err=True)
        if question.option == "--family":
            hints = replace(hints, family=click.prompt("family", type=click.Choice(question.choices), err=True))
        elif question.option == "--labels":
            hints = replace(hints, labels=_labels(click.prompt("labels (a file, or a,b,c)", err=True)))
        else:
            click.echo(f"usual are (mean std): {', '.join(question.choices)}", err=True)
            hints = replace(
                hints, mean=click.prompt("mean", type=float, err=True), std=click.prompt("std", type=float, err=True)
            )
    return hints


def _show(opened: Model, chosen: Settings, picture: Path, annotated: Path) -> list[dict[str, Any]]:
    from edge.core.imaging import image as pictures
    from edge.core.imaging.drawing import saved_as
    from edge.inference.onboarding import library as model_library

    pixels, found = model_library.shown(opened, chosen.models, pictures.read(picture))
    try:
        files.write_bytes(annotated, saved_as(annotated.suffix, pixels), mode=0o644)
    except OSError as error:
        raise StoreError(f"{annotated}: cannot be written: {error}", "choose another --annotated") from error
    return [
        {
            "label": d.label,
            "score": round(d.score, 4),
            "box": {"left": d.box.left, "top": d.box.top, "width": d.box.width, "height": d.box.height},
        }
        for d in found
    ]


def _print(
    found: Tried,
    card: Card,
    installed: Model | None,
    seen: list[dict[str, Any]] | None,
    annotated: Path | None,
    as_json: bool,
) -> None:
    from edge.inference.card import dumps, to_table

    if as_json:
        print_json(
            {
                "name": card.name,
                "installed": str(installed.path) if installed else None,
                "known": found.known is not None,
                "notes": found.proposal.notes,
                "card": to_table(card),
                "invoke_ms": found.report.invoke_ms,
                "seen": seen,
            }
        )
        return
    click.echo(dumps(to_table(card)))
    for note in ["an existing card matches this file"] if found.known else found.proposal.notes:
        click.echo(f"note: {note}")
    if seen is not None:
        click.echo(
            f"seen: {len(seen)} ({', '.join(sorted({d['label'] for d in seen})) or 'nothing'}), drawn in {annotated}"
        )
    click.echo(f"installed: {installed.path}" if installed else "not installed (--dry-run)")
