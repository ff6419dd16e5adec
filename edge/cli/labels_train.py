"""``edge labels train/list``, and helpers of all ``edge labels`` commands."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.output import bar, json_option, print_json, print_table, settings
from edge.cli.paths import InputPath

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.labels.dataset import TrainingRows
    from edge.labels.evaluation import Evaluation
    from edge.labels.manifests import Read
    from edge.labels.store import Labels
    from edge.labels.trainer import LabelTrainer
    from edge.labels.version import Version

BASE = "mobilenet-v1-extractor-224"
path_type = InputPath()


@click.command()
@click.argument("name", shell_complete=completion.labels)
@click.argument("source", type=path_type)
@click.option("--test", type=path_type, help="Test pictures; default: a fifth of SOURCE.")
@click.option("--base", default=BASE, show_default=True, help="Embedder (backbone), not trained.")
@click.option("--detector", "detectors", multiple=True, help="For examples with boxes: detector of the regions.")
@click.option(
    "--variants", type=click.IntRange(0, 20), default=3, show_default=True, help="Augmented variants per picture."
)
@click.option("--force", is_flag=True, help="Use the new version even if the current one is better.")
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    name: str,
    source: Path,
    test: Path | None,
    base: str,
    detectors: tuple[str, ...],
    variants: int,
    force: bool,
    as_json: bool,
) -> None:
    r"""Train the labels of SOURCE, and save them as a new version of NAME.

    SOURCE is a folder with one subfolder of pictures per label (_negative: without any), a Ground Truth
    manifest (JSON lines), or CSV: picture,label or picture,label,left,top,right,bottom in fractions. The new version
    is used unless the current one is better on the same test pictures.

    \b
    Example:
      edge labels train pets photos/
      edge labels train parts parts.manifest --detector yolov8n-416 --test parts-test.manifest
    """
    from edge.inference.pool import ModelPool
    from edge.labels import trainer as teach
    from edge.labels.evaluation import split
    from edge.labels.store import Labels

    chosen, state = state_of(ctx)
    found = read(source, chosen)
    learn, testing = (list(found.examples), list(read(test, chosen).examples)) if test else split(found.examples)
    teacher = teach.load(base, detectors, ModelPool(chosen.models, state))
    began = time.perf_counter()
    with bar("training", len(learn) + len(testing)) as progress:
        made, rows = teacher.train(learn, testing, variants, progress.advance)
    seconds = time.perf_counter() - began
    store = Labels(state)
    before = store.version(name) if name in store.names() else None
    version = store.save(name, made)
    worse = before is not None and _worse(teacher, store, before, made.evaluation, rows)
    used = force or not worse
    if used:
        store.use(version)
    document = {
        **summary(store.version(name, version.number)),
        "seconds": round(seconds, 2),
        "pictures_per_second": round((len(learn) + len(testing)) / max(1e-9, seconds), 1),
        "used": used,
        "problems": [*found.problems, *rows.problems],
        "evaluation": made.evaluation.document,
    }
    if as_json:
        print_json(document)
        return
    print_problems(document["problems"])
    print_evaluation(made.evaluation)
    click.echo(
        f"{name} version {version.number}: {version.learned} pictures learned, {version.tested} tested, "
        f"{seconds:.1f} s; {version.folder / 'confusion.png'}"
    )
    if not used and before is not None:
        click.echo(
            f"version {before.number} stays in use: it is better on the same pictures (--force uses the new one)"
        )


@click.command("list")
@json_option
@click.pass_context
def list_command(ctx: click.Context, as_json: bool) -> None:
    r"""All versions of all labels; the one in use is marked.

    \b
    Example:
      edge labels list
    """
    from edge.labels.store import Labels

    _, state = state_of(ctx)
    store = Labels(state)
    found = [summary(version) for name in store.names() for version in store.versions(name)]
    if as_json:
        print_json({"labels": found})
        return
    rows = [
        (one["name"], one["version"], "*" if one["current"] else "", f"{one['f1']:.3f}", one["learned"], one["tested"],
         one["base"], ", ".join(one["labels"][:8]) + (" ..." if len(one["labels"]) > 8 else ""))
        for one in found
    ]  # fmt: skip
    print_table(["name", "version", "used", "F1", "learned", "tested", "base", "labels"], rows)


def state_of(ctx: click.Context) -> tuple[Settings, Path]:
    """The settings and the state folder of the command line. Raises SettingsError."""
    from edge.core.settings import loader as config

    chosen = settings(ctx)
    return chosen, config.state_folder(chosen)


def read(source: Path, chosen: Settings) -> Read:
    """Read the examples of a folder, a manifest or CSV. Raises InputError."""
    from edge.labels import manifests

    return manifests.read(source, chosen.api.buckets)


def _worse(teacher: LabelTrainer, store: Labels, before: Version, now: Evaluation, rows: TrainingRows) -> bool:
    """Whether the current version has a higher F1 on the same test pictures; False where it is not comparable."""
    if before.space != teacher.embedder.space.fingerprint or set(before.labels) != {one.label for one in now.labels}:
        return False
    return teacher.examine(store.head(before), rows, before.regions).f1 > now.f1


def summary(version: Version) -> dict[str, Any]:
    """A version as a JSON document."""
    return {
        "name": version.name,
        "version": version.number,
        "current": version.current,
        "labels": list(version.labels),
        "f1": version.f1,
        "learned": version.learned,
        "tested": version.tested,
        "confirmed": version.confirmed,
        "base": version.base,
        "detectors": list(version.detectors),
        "created": version.created,
    }


def print_problems(problems: list[str]) -> None:
    """Print the skipped examples to stderr."""
    for problem in problems:
        click.echo(f"skipped  {problem}", err=True)


def print_evaluation(evaluation: Evaluation) -> None:
    """Print one row per label, and the mean."""
    heads = ["label", "tested", "threshold", "precision", "recall", "F1", "reach"]
    width = len(heads) if evaluation.reach < 1 else len(heads) - 1
    rows: list[tuple[object, ...]] = [
        (one.label, one.examples, f"{one.threshold:.2f}", f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}",
         f"{one.reach:.3f}")
        for one in evaluation.labels
    ]  # fmt: skip
    means = (f"{value:.3f}" for value in (evaluation.precision, evaluation.recall, evaluation.f1, evaluation.reach))
    rows.append(("mean", evaluation.examples, "", *means))
    print_table(heads[:width], [row[:width] for row in rows])
    if evaluation.reach < 1:
        click.echo("reach: share of the boxes that the detector finds; an upper limit of recall")
