"""``edge models quantize``."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import completion
from edge.cli.output import bar, json_option, print_json, settings
from edge.cli.paths import InputPath
from edge.core.errors import ModelError

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.inference.model import Model
    from edge.inference.onboarding.quantization import QuantizedModel


@click.command()
@click.argument("model", metavar="NAME|FILE", shell_complete=completion.models_and_files)
@click.option("--calibrate", required=True, type=InputPath(exists=True, file_okay=False),
              help="Folder of representative pictures.")  # fmt: skip
@click.option("--name", default="", help="Name of the new model; default: NAME-int8.")
@click.option("--detector", default="", help="Embedders: detector of the regions; default: whole pictures.")
@click.option("--most", default=200, type=click.IntRange(1, 10_000), help="Maximum number of pictures.")
@click.option("--replace", "overwrite", is_flag=True, help="Replace an installed model of that name.")
@json_option
@click.pass_context
def quantize(
    ctx: click.Context,
    /,
    model: str,
    calibrate: Path,
    name: str,
    detector: str,
    most: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    r"""Convert a float model to int8, and install it if its results agree with the original.

    Detections or embeddings of both are compared on the calibration pictures; a model with degraded quality
    is not installed.

    \b
    Example:
      edge models quantize my-faces --calibrate pictures/
      edge models quantize embedder.tflite --calibrate people/ --detector edge-face-detector-2
    """
    from edge.core.settings import loader as config
    from edge.inference.onboarding import library as model_library

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    original = _original(model, chosen)
    model_library.free(name or f"{original.card.name[:58]}-int8", state, overwrite)
    with tempfile.TemporaryDirectory(prefix="edge-quantize-") as folder:
        target = Path(folder) / f"{Path(original.card.file).stem[:100]}-int8.tflite"
        made = _made(original, chosen, calibrate, most, detector, target)
        figures = made.agreement.figures()
        if not made.agreement.passes():
            raise ModelError(
                f"model {original.card.name!r} lost its quality in quantization: {_summary(figures)}; not installed",
                "use more, and more varied, pictures with --calibrate, or keep the float model",
            )
        card = replace(
            made.model.card, name=name or made.model.card.name, accuracy={"beside the float model": {**figures}}
        )
        installed = model_library.install(target, card, state, overwrite)
    if as_json:
        print_json({"name": card.name, "installed": str(installed.path), "agreement": figures, "size": card.size})
    else:
        click.echo(f"installed: {installed.path}\nsize: {original.path.stat().st_size:,} to {card.size:,} bytes")
        click.echo(f"compared with the float model: {_summary(figures)}")


def _original(name: str, chosen: Settings) -> Model:
    """The model of that name, or the file with its known or proposed card. Raises ModelError."""
    from edge.core.settings import loader as config
    from edge.inference import model
    from edge.inference.load import trusted
    from edge.inference.onboarding import library as model_library
    from edge.inference.onboarding.card_proposal import Hints

    state = config.state_folder(chosen)
    if not name.endswith(".tflite"):
        return trusted(name, chosen.models, state)
    path = Path(name)
    found = model_library.tried(path, chosen.models, model.folders(chosen.models, state), Hints())
    if found.known is None and found.proposal.questions:
        raise ModelError(
            f"{path.name}: cannot propose a complete card ({found.proposal.questions[0].why})",
            f"run edge models add {path}, then quantize it by name",
        )
    return model.opened(found.card, path)


def _made(original: Model, chosen: Settings, folder: Path, most: int, detector: str, target: Path) -> QuantizedModel:
    from edge.core.settings import loader as config
    from edge.inference import validation as check
    from edge.inference.load import load_detector
    from edge.inference.onboarding import quantization

    finder = load_detector(detector, chosen.models, config.state_folder(chosen)) if detector else None
    paths = quantization.pictures_in(folder, most)
    with bar("quantizing", 2 * len(paths)) as progress:
        made = quantization.quantize(original, paths, chosen.models, target, finder, progress.advance)
    check.check(made.model, chosen.models)
    return made


def _summary(figures: dict[str, float]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value:.3f}".replace(".000", "") for key, value in figures.items())
