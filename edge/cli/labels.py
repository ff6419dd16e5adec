"""``edge labels``: custom labels from a few examples."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.output import bar, json_option, print_json, print_table, settings

if TYPE_CHECKING:
    from edge.labels import Evaluation, Version
    from edge.labels.manifests import Read
    from edge.settings import Settings

BASE = "mobilenet-v1-extractor-224"
path_type = click.Path(path_type=Path)


@click.group()
def labels() -> None:
    r"""Custom labels from a few examples: train, evaluate, predict, list.

    \b
    Example:
      edge labels train pets photos/
      edge labels predict pets visitor.jpg
    """


@labels.command()
@click.argument("name")
@click.argument("source", type=path_type)
@click.option("--test", type=path_type, help="Pictures to test with. A fifth of SOURCE when not given.")
@click.option("--base", default=BASE, show_default=True, help="Embedder that stays as it is.")
@click.option("--detector", "detectors", multiple=True, help="Examples with boxes: whose regions are classified.")
@click.option("--variants", type=click.IntRange(0, 20), default=3, show_default=True, help="Variants of each picture.")
@click.option("--force", is_flag=True, help="Use the new version even where the one in use does better.")
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
    r"""Learn the labels of SOURCE, and keep them as the next version of NAME.

    SOURCE is a folder with a folder of pictures for each label (those in _negative show none), a Ground Truth
    manifest (JSON lines), or CSV: picture,label or picture,label,left,top,right,bottom in fractions. The new version
    is used unless the one in use does better on the same test pictures.

    \b
    Example:
      edge labels train pets photos/
      edge labels train parts parts.manifest --detector yolov8n-416 --test parts-test.manifest
    """
    from edge import teach
    from edge.labels import Labels, split

    chosen, state = _state(ctx)
    read = _read(source, chosen)
    learn, testing = (list(read.examples), list(_read(test, chosen).examples)) if test else split(read.examples)
    teacher = teach.load(base, detectors, chosen, state)
    began = time.perf_counter()
    with bar("learning", len(learn) + len(testing)) as progress:
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
        **_summary(store.version(name, version.number)),
        "seconds": round(seconds, 2),
        "pictures_per_second": round((len(learn) + len(testing)) / max(1e-9, seconds), 1),
        "used": used,
        "problems": [*read.problems, *rows.problems],
        "evaluation": made.evaluation.document,
    }
    if as_json:
        print_json(document)
        return
    _print_problems(document["problems"])
    _print_evaluation(made.evaluation)
    click.echo(
        f"{name} version {version.number}: {version.learned} pictures learned, {version.tested} tested, "
        f"{seconds:.1f} s; {version.folder / 'confusion.png'}"
    )
    if not used and before is not None:
        click.echo(
            f"version {before.number} stays in use: it does better on the same pictures (--force to use this one)"
        )


@labels.command()
@click.argument("name")
@click.argument("source", type=path_type)
@click.option("--version", "number", type=int, help="Another version than the one in use.")
@click.option("--picture", type=path_type, help="Draw what was taken for what (PNG or JPEG).")
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context, name: str, source: Path, number: int | None, picture: Path | None, as_json: bool
) -> None:
    r"""How well NAME does on the examples of SOURCE: precision, recall and F1 for each label.

    \b
    Example:
      edge labels evaluate pets other-photos/ --picture confusion.png
    """
    from edge import custom_labels, drawing, files, teach
    from edge.labels import Labels
    from edge.labels.evaluation import picture as drawn

    chosen, state = _state(ctx)
    store = Labels(state)
    version = store.version(name, number)
    read = _read(source, chosen)
    teacher = teach.load(version.base, version.detectors, chosen, state)
    custom_labels.check_space(version, teacher.embedder.space.fingerprint)
    with bar("looking", len(read.examples)) as progress:
        rows = teacher.test_rows(read.examples, progress.advance)
    evaluation = teacher.examine(store.head(version), rows)
    if picture is not None:
        files.write_bytes(picture, drawing.saved_as(picture.suffix, drawn(evaluation)), mode=0o644)
    problems = [*read.problems, *rows.problems]
    if as_json:
        print_json({**_summary(version), "problems": problems, "evaluation": evaluation.document})
        return
    _print_problems(problems)
    _print_evaluation(evaluation)


@labels.command()
@click.argument("name")
@click.argument("images", type=path_type, nargs=-1, required=True)
@click.option("--version", "number", type=int, help="Another version than the one in use.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Probability 0..1 in place of each label's own.")
@json_option
@click.pass_context
def predict(
    ctx: click.Context, name: str, images: tuple[Path, ...], number: int | None, threshold: float | None, as_json: bool
) -> None:
    r"""Which labels of NAME are in IMAGES (files or folders). Exit code 3: none in any.

    \b
    Example:
      edge labels predict pets visitor.jpg --json
    """
    from edge import custom_labels, finder, pictures, teach
    from edge.errors import InputError
    from edge.labels import Labels

    chosen, state = _state(ctx)
    store = Labels(state)
    version = store.version(name, number)
    teacher = teach.load(version.base, version.detectors, chosen, state)
    custom_labels.check_space(version, teacher.embedder.space.fingerprint)
    head = store.head(version)
    files = [file for image in images for file in finder.image_files(image)]
    answers: list[dict[str, Any]] = []
    with bar("looking", len(files)) as progress:
        for file in files:
            try:
                found = teacher.predict(head, pictures.read(file), threshold)
                answers.append({"path": str(file), "labels": [_prediction(one) for one in found]})
            except InputError as error:
                answers.append(
                    {"path": str(file), "labels": [], "error": {"code": error.code, "message": error.message}}
                )
            progress.advance()
    if as_json:
        print_json({"name": name, "version": version.number, "images": answers})
    else:
        print_table(["picture", "label", "probability", "box"], [row for answer in answers for row in _rows(answer)])
    if not any(answer["labels"] for answer in answers):
        ctx.exit(3)


@labels.command("list")
@json_option
@click.pass_context
def list_command(ctx: click.Context, as_json: bool) -> None:
    r"""All versions of all labels; the one in use is marked.

    \b
    Example:
      edge labels list
    """
    from edge.labels import Labels

    _, state = _state(ctx)
    store = Labels(state)
    found = [_summary(version) for name in store.names() for version in store.versions(name)]
    if as_json:
        print_json({"labels": found})
        return
    rows = [
        (one["name"], one["version"], "*" if one["current"] else "", f"{one['f1']:.3f}", one["learned"], one["tested"],
         one["base"], ", ".join(one["labels"][:8]) + (" ..." if len(one["labels"]) > 8 else ""))
        for one in found
    ]  # fmt: skip
    print_table(["name", "version", "used", "F1", "learned", "tested", "base", "labels"], rows)


def _state(ctx: click.Context) -> tuple[Settings, Path]:
    from edge import config

    chosen = settings(ctx)
    return chosen, config.state_folder(chosen)


def _read(source: Path, chosen: Settings) -> Read:
    from edge.labels import manifests

    return manifests.read(source, chosen.api.buckets)


def _worse(teacher: Any, store: Any, before: Version, now: Evaluation, rows: Any) -> bool:
    """Whether the version in use does better on the same test pictures; one of another space or labels cannot tell."""
    if before.space != teacher.embedder.space.fingerprint or set(before.labels) != {one.label for one in now.labels}:
        return False
    return bool(teacher.examine(store.head(before), rows).f1 > now.f1)


def _summary(version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.number,
        "current": version.current,
        "labels": list(version.labels),
        "f1": version.f1,
        "learned": version.learned,
        "tested": version.tested,
        "base": version.base,
        "detectors": list(version.detectors),
        "created": version.created,
    }


def _print_problems(problems: list[str]) -> None:
    for problem in problems:
        click.echo(f"skipped  {problem}", err=True)


def _print_evaluation(evaluation: Evaluation) -> None:
    rows = [
        (one.label, one.examples, f"{one.threshold:.2f}", f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}")
        for one in evaluation.labels
    ]
    means = (f"{value:.3f}" for value in (evaluation.precision, evaluation.recall, evaluation.f1))
    mean = ("mean", evaluation.examples, "", *means)
    print_table(["label", "tested", "threshold", "precision", "recall", "F1"], [*rows, mean])


def _prediction(one: Any) -> dict[str, Any]:
    box = one.box and {"left": one.box.left, "top": one.box.top, "width": one.box.width, "height": one.box.height}
    return {"label": one.label, "probability": round(one.probability, 4), "box": box}


def _rows(answer: dict[str, Any]) -> list[tuple[object, ...]]:
    if not answer["labels"]:
        return [(answer["path"], f"cannot be read: {answer['error']['code']}" if "error" in answer else "-", "-", "-")]
    return [
        (
            answer["path"],
            one["label"],
            f"{one['probability']:.2f}",
            "-" if one["box"] is None else " ".join(f"{value:.2f}" for value in one["box"].values()),
        )
        for one in answer["labels"]
    ]
