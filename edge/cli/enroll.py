"""``edge enroll``: index images into a collection."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.output import bar, json_option, model_options, print_json, settings
from edge.cli.paths import InputPath

if TYPE_CHECKING:
    from edge.recognition.collection_risk import CollectionRisk
    from edge.recognition.enrollment import Outcome


@click.command()
@click.argument("collection", shell_complete=completion.collections)
@click.argument("path", type=InputPath())
@click.option(
    "--subject", help="Subject of the pictures; default: one subfolder per subject.", shell_complete=completion.subjects
)
@click.option("--label", default="face", show_default=True, help="Label of the detector to enroll.")
@model_options
@click.option("--tiles", type=click.IntRange(0, 64), default=0, help="Tiles of a picture, to detect small faces.")
@json_option
@click.pass_context
def enroll(
    ctx: click.Context,
    collection: str,
    path: Path,
    subject: str | None,
    label: str,
    detectors: tuple[str, ...],
    embedder: str,
    tiles: int,
    as_json: bool,
) -> None:
    r"""Index images into COLLECTION, which is created if it does not exist.

    PATH is a picture or a folder of pictures of --subject NAME, or a folder with one subfolder per subject. The
    largest face of each picture is enrolled. Pictures that were enrolled before are unchanged; unusable ones are
    skipped with a reason. A running daemon uses the new faces at once. Exit code 3: nothing could be enrolled.

    \b
    Example:
      edge enroll staff photos/
      edge enroll staff alice.jpg --subject alice
    """
    from edge.core.settings import loader as config
    from edge.recognition import extraction as finder
    from edge.recognition.collection_risk import estimate
    from edge.recognition.enrollment import enroll_images, planned
    from edge.recognition.identification import subject_search
    from edge.recognition.store.collections import Collections
    from edge.releases.activation import in_force

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    chosen = in_force(chosen, state)
    plan = planned(path, subject)
    with Collections(state, chosen.collection, maintain=False) as collections:
        looks = finder.load(chosen, state, label, detectors, embedder)
        looks.tiles = tiles
        target = collections.get_or_create(collection)
        outcomes = []
        with bar("enrolling", len(plan)) as progress:
            for outcome in enroll_images(plan, looks, target):
                outcomes.append(outcome)
                progress.advance()
                if not as_json and (outcome.status == "skipped" or not sys.stdout.isatty()):
                    click.echo(_line(outcome))
        target.upkeep()
        faces, people = target.count, len(target.subjects())
        risk = estimate(subject_search(chosen, label, looks.embedder.scorer, target))
    _print_end(collection, outcomes, faces, people, risk, as_json)
    if all(outcome.status == "skipped" for outcome in outcomes):
        ctx.exit(3)


def _print_end(
    collection: str, outcomes: list[Outcome], faces: int, people: int, risk: CollectionRisk, as_json: bool
) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    if as_json:
        numbers = {status: counts[status] for status in ("added", "already_there", "skipped")}
        images = [_json(outcome) for outcome in outcomes]
        document = {"collection": collection, **numbers, "faces": faces, "subjects": people, "images": images}
        print_json({**document, "risk": asdict(risk)})
        return
    click.echo(
        f"{collection}: {counts['added']} added, {counts['already_there']} unchanged, {counts['skipped']} skipped; "
        f"{faces} faces of {people} subjects"
    )
    click.echo(f"{collection}: {risk.words()}")


def _line(outcome: Outcome) -> str:
    if outcome.status == "skipped":
        return f"skipped ({outcome.reason})  {outcome.message}"
    other = outcome.face is not None and outcome.face.subject != outcome.subject
    known_as = f", as {outcome.face.subject}" if other and outcome.face else ""
    return f"{outcome.status.replace('_', ' ')}{known_as}  {outcome.subject}  {outcome.path}"


def _json(outcome: Outcome) -> dict[str, Any]:
    face = outcome.face
    return {
        "path": str(outcome.path),
        "subject": outcome.subject,
        "status": outcome.status,
        "reason": outcome.reason,
        "message": outcome.message,
        "face_id": face.face_id if face else None,
        "enrolled_as": face.subject if face else None,
        "quality": round(face.quality, 3) if face else None,
        "others": outcome.others,
    }
