"""``edge models compare``: compares embedders on labeled pictures of people."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from edge.cli import completion
from edge.cli.output import bar, detector_option, json_option, print_json, print_table, settings
from edge.cli.paths import InputPath


@click.command()
@click.argument("embedders", nargs=-1, required=True, shell_complete=completion.models)
@click.option(
    "--people",
    type=InputPath(exists=True, file_okay=False),
    required=True,
    help="A folder with one subfolder of pictures per person.",
)
@click.option("--label", default="face", show_default=True, help="Label of the detector to identify.")
@detector_option
@json_option
@click.pass_context
def compare(
    ctx: click.Context, embedders: tuple[str, ...], people: Path, label: str, detectors: tuple[str, ...], as_json: bool
) -> None:
    r"""Identify the people of a folder with each of EMBEDDERS: every other picture is enrolled, the rest are probes.

    STRANGERS is the share of false matches if the person in the picture were not enrolled. Nothing is stored.

    \b
    Example:
      edge models compare edge-face-embedder-1 mobilefacenet-112-int8 --people photos/
    """
    from edge.core.settings import loader as config
    from edge.recognition import extraction
    from edge.recognition.model_comparison import compare as compare_on
    from edge.recognition.model_comparison import people_of

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    pictures = people_of(people, extraction.image_files(people))
    figures = []
    with bar("comparing", len(embedders) * sum(map(len, pictures.values()))) as progress:
        for name in embedders:
            finder = extraction.load(chosen, state, label, detectors, name)
            with tempfile.TemporaryDirectory() as folder:
                figures.append(compare_on(pictures, finder, chosen, Path(folder), progress.advance))
    if as_json:
        print_json([asdict(one) for one in figures])
        return
    print_table(
        ("EMBEDDER", "PEOPLE", "PICTURES", "RIGHT", "WRONG", "STRANGERS", "NEEDED", "TIME"),
        [
            (one.embedder, one.people, one.pictures, f"{one.right:.1%}", f"{one.wrong:.1%}", f"{one.strangers:.1%}",
             f"{one.likeness:.1f}", f"{one.milliseconds:.0f} ms")
            for one in figures
        ],
    )  # fmt: skip
