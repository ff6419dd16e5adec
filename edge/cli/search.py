"""``edge search``: identifies faces in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.output import bar, json_option, model_options, print_json, print_table, settings
from edge.cli.paths import InputPath

if TYPE_CHECKING:
    from edge.recognition.identification import IdentifiedFace, ImageIdentification


@click.command()
@click.argument("collection", shell_complete=completion.collections)
@click.argument("images", type=InputPath(), nargs=-1, required=True)
@click.option("--label", default="face", show_default=True, help="Label of the detector to search for.")
@model_options
@click.option("--threshold", type=click.FloatRange(0, 100), help="Minimum similarity 0..100 of a match.")
@click.option("--limit", type=click.IntRange(1, 32), default=5, show_default=True, help="Candidates per face.")
@click.option("--tiles", type=click.IntRange(0, 64), default=0, help="Tiles of a picture, to detect small faces.")
@json_option
@click.pass_context
def search(
    ctx: click.Context,
    collection: str,
    images: tuple[Path, ...],
    label: str,
    detectors: tuple[str, ...],
    embedder: str,
    threshold: float | None,
    limit: int,
    tiles: int,
    as_json: bool,
) -> None:
    r"""Search COLLECTION for every face in IMAGES (files or folders).

    Exit code 3: no face was identified.

    \b
    Example:
      edge search staff visitor.jpg
      edge search staff photos/ --threshold 99 --json
    """
    from edge.core.settings import loader as config
    from edge.recognition import extraction as finder
    from edge.recognition.identification import identify_files, subject_search
    from edge.recognition.review.rejections import RejectionIndex
    from edge.recognition.store.collections import Collections
    from edge.releases.activation import in_force

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    chosen = in_force(chosen, state)
    files = [file for image in images for file in finder.image_files(image)]
    with Collections(state, chosen.collection, maintain=False) as collections:
        target = collections.get(collection)
        looks = finder.load(chosen, state, label, detectors, embedder)
        looks.tiles = tiles
        scorer = looks.embedder.scorer
        asked = subject_search(chosen, label, scorer, target, threshold, RejectionIndex(state))
        needed, subjects = asked.needed, asked.count
        answers = []
        with bar("searching", len(files)) as progress:
            for answer in identify_files(files, looks, asked, limit):
                answers.append(answer)
                progress.advance()
    if as_json:
        cosine = round(scorer.typical_cosine(needed), 4)
        document = {"collection": collection, "threshold": round(needed, 2), "cosine": cosine, "subjects": subjects}
        print_json({**document, "images": [_json(answer) for answer in answers]})
    else:
        _print(answers)
        click.echo(f"a match needs {needed:.1f} with {subjects} subjects enrolled", err=True)
    if not any(answer.known for answer in answers):
        ctx.exit(3)


def _print(answers: list[ImageIdentification]) -> None:
    rows: list[tuple[object, ...]] = []
    for answer in answers:
        if answer.reason:
            rows.append((answer.path, "-", f"cannot be read: {answer.reason}", "-", "-"))
        elif not answer.faces:
            rows.append((answer.path, "-", "nothing found", "-", "-"))
        rows += [_row(answer, face) for face in answer.faces]
    print_table(["picture", "box", "who", "similarity", "runner-up"], rows)


def _row(answer: ImageIdentification, face: IdentifiedFace) -> tuple[object, ...]:
    box, identity = face.detection.box, face.identity
    who = identity.subject or identity.state.value
    if identity.state.value == "uncertain":
        who = f"{identity.subject}?"
    if face.reason:
        who = f"not looked at: {face.reason}"
    place = f"{box.left:.2f},{box.top:.2f} {box.width:.2f}x{box.height:.2f}"
    return answer.path, place, who, _percent(identity.likeness), _percent(_runner_up(face))


def _percent(likeness: float | None) -> str:
    return "-" if likeness is None else f"{likeness:.1f}"


def _runner_up(face: IdentifiedFace) -> float | None:
    return face.matches[1].likeness if len(face.matches) > 1 else None


def _json(answer: ImageIdentification) -> dict[str, Any]:
    faces = [_face_json(face) for face in answer.faces]
    document: dict[str, Any] = {"path": str(answer.path), "faces": faces}
    return {**document, "error": {"code": answer.reason, "message": answer.message}} if answer.reason else document


def _face_json(face: IdentifiedFace) -> dict[str, Any]:
    box, identity = face.detection.box, face.identity

    def rounded(likeness: float | None) -> float | None:
        return None if likeness is None else round(likeness, 2)

    matches = [
        {"subject": match.subject, "face_id": match.face_id, "similarity": rounded(match.likeness),
         "cosine": round(match.similarity, 4)}
        for match in face.matches
    ]  # fmt: skip
    return {
        "box": {"left": box.left, "top": box.top, "width": box.width, "height": box.height},
        "score": round(face.detection.score, 4),
        "quality": round(face.quality, 3),
        "reason": face.reason,
        "state": identity.state.value,
        "subject": identity.subject,
        "face_id": identity.face_id,
        "similarity": rounded(identity.likeness),
        "cosine": None if identity.similarity is None else round(identity.similarity, 4),
        "runner_up": rounded(_runner_up(face)),
        "matches": matches,
    }
