"""``edge labels evaluate/predict/refit``: use versions, and retrain them with reviewed answers."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.labels_train import path_type, print_evaluation, print_problems, read, state_of, summary
from edge.cli.output import bar, json_option, print_json, print_table

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.labels.classifier import Prediction
    from edge.labels.refit import Refitted
    from edge.recognition.review.label_questions import PictureQuestions
    from edge.recognition.review.queue import ReviewQueue


@click.command()
@click.argument("name", shell_complete=completion.labels)
@click.argument("source", type=path_type)
@click.option("--version", "number", type=int, help="Another version than the one in use.")
@click.option("--picture", type=path_type, help="Write the confusion matrix (PNG or JPEG).")
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context, name: str, source: Path, number: int | None, picture: Path | None, as_json: bool
) -> None:
    r"""Evaluate NAME on the examples of SOURCE: precision, recall and F1 per label.

    \b
    Example:
      edge labels evaluate pets other-photos/ --picture confusion.png
    """
    from edge.core.imaging import drawing
    from edge.core.storage import files
    from edge.inference.pool import ModelPool
    from edge.labels import classifier as custom_labels
    from edge.labels import trainer as teach
    from edge.labels.evaluation import picture as drawn
    from edge.labels.store import Labels

    chosen, state = state_of(ctx)
    store = Labels(state)
    version = store.version(name, number)
    found = read(source, chosen)
    teacher = teach.load(version.base, version.detectors, ModelPool(chosen.models, state))
    custom_labels.check_space(version, teacher.embedder.space.fingerprint)
    with bar("looking", len(found.examples)) as progress:
        rows = teacher.test_rows(found.examples, progress.advance)
    evaluation = teacher.examine(store.head(version), rows, version.regions)
    if picture is not None:
        files.write_bytes(picture, drawing.saved_as(picture.suffix, drawn(evaluation)), mode=0o644)
    problems = [*found.problems, *rows.problems]
    if as_json:
        print_json({**summary(version), "problems": problems, "evaluation": evaluation.document})
        return
    print_problems(problems)
    print_evaluation(evaluation)


@click.command()
@click.argument("name", shell_complete=completion.labels)
@click.argument("images", type=path_type, nargs=-1, required=True)
@click.option("--version", "number", type=int, help="Another version than the one in use.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="Probability 0..1; default: the threshold of each label."
)
@click.option("--review", "ask", is_flag=True, help="Queue doubtful pictures and pictures without labels for review.")
@json_option
@click.pass_context
def predict(
    ctx: click.Context,
    name: str,
    images: tuple[Path, ...],
    number: int | None,
    threshold: float | None,
    ask: bool,
    as_json: bool,
) -> None:
    r"""Classify IMAGES (files or folders) with NAME. Exit code 3: no label found.

    With --review, results near a label's threshold and pictures without labels become questions of 'edge review'
    and the page; 'edge labels refit' trains on the answers.

    \b
    Example:
      edge labels predict pets visitor.jpg --json
      edge labels predict pets new-pictures/ --review
    """
    from edge.core.errors import InputError
    from edge.core.imaging import image as pictures
    from edge.inference.pool import ModelPool
    from edge.labels import classifier as custom_labels
    from edge.labels import trainer as teach
    from edge.labels.store import Labels
    from edge.recognition import extraction as finder
    from edge.recognition.review.label_questions import LabelQuestions

    chosen, state = state_of(ctx)
    store = Labels(state)
    version = store.version(name, number)
    teacher = teach.load(version.base, version.detectors, ModelPool(chosen.models, state))
    custom_labels.check_space(version, teacher.embedder.space.fingerprint)
    head = store.head(version)
    files = [file for image in images for file in finder.image_files(image)]
    answers: list[dict[str, Any]] = []
    questions = LabelQuestions(version, head, teacher.embedder, teacher.detectors)
    queued = 0
    with _queue(chosen, state) if ask else nullcontext() as queue, bar("looking", len(files)) as progress:
        for file in files:
            try:
                picture = pictures.read(file)
                found = teacher.predict(version, head, picture, threshold)
                if queue is not None:
                    queued += _put(queue, questions.of(picture, file.name, time.time()))
                answers.append({"path": str(file), "labels": [_prediction(one) for one in found]})
            except InputError as error:
                answers.append(
                    {"path": str(file), "labels": [], "error": {"code": error.code, "message": error.message}}
                )
            progress.advance()
    queued = min(queued, chosen.review.most)
    if as_json:
        print_json({"name": name, "version": version.number, "images": answers, **({"queued": queued} if ask else {})})
    else:
        print_table(["picture", "label", "probability", "box"], [row for answer in answers for row in _rows(answer)])
        if ask:
            click.echo(f"{queued} questions queued: edge review")
    if not any(answer["labels"] for answer in answers):
        ctx.exit(3)


def _queue(chosen: Settings, state: Path) -> ReviewQueue:
    """The review queue; stores the pictures regardless of ``review.crops``."""
    from edge.recognition.review.queue import ReviewQueue

    return ReviewQueue(state, chosen.review.model_copy(update={"crops": True}))


def _put(queue: ReviewQueue, asked: PictureQuestions) -> int:
    """Queue the questions about a picture. Returns how many."""
    if asked.picture is None:
        queue.put(asked.questions)
    else:
        queue.put_picture(asked.picture, asked.questions)
    return len(asked.questions)


@click.command()
@click.argument("name", shell_complete=completion.labels)
@click.option("--force", is_flag=True, help="Use the new version even if the current one is better.")
@json_option
@click.pass_context
def refit(ctx: click.Context, name: str, force: bool, as_json: bool) -> None:
    r"""Retrain NAME with the answers of the review queue ('edge review').

    The new version is trained on the examples of the current one and the answers, and tested on the same pictures.
    It is used unless it is worse there. Exit code 3: no new answers.

    \b
    Example:
      edge labels refit pets
    """
    from edge.inference.pool import ModelPool
    from edge.labels import refit as learning
    from edge.labels import trainer as teach
    from edge.labels.store import Labels
    from edge.recognition.review.queue import ReviewQueue

    chosen, state = state_of(ctx)
    store = Labels(state)
    version = store.version(name)
    with ReviewQueue(state, chosen.review) as queue:
        if queue.pictures.pending(name):
            trainer = teach.load(version.base, version.detectors, ModelPool(chosen.models, state))
            queue.pictures.embed(version, trainer)
        confirmed = queue.examples.of(name, version.space)
    if learning.answers_of(confirmed) <= version.confirmed and not force:
        click.echo(f"nothing was confirmed about {name} since version {version.number}", err=True)
        ctx.exit(3)
    done = learning.refit(store, name, confirmed, force)
    if as_json:
        print_json(_document(done))
        return
    print_evaluation(done.after)
    for label in done.left_out:
        click.echo(f"left out: {label} has {learning.FEWEST - 1} answer, minimum {learning.FEWEST}", err=True)
    words = "in use" if done.used else f"not used, version {version.number} is better (--force uses the new one)"
    click.echo(
        f"{name} version {done.version.number}: {done.answers} answers learned, F1 {done.before.f1:.3f} -> "
        f"{done.after.f1:.3f} on the same {done.after.examples} rows; {words}"
    )


def _document(done: Refitted) -> dict[str, Any]:
    return {
        **summary(done.version),
        "answers": done.answers,
        "f1_before": done.before.f1,
        "used": done.used,
        "left_out": list(done.left_out),
        "evaluation": done.after.document,
    }


def _prediction(one: Prediction) -> dict[str, Any]:
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
