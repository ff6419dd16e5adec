"""``edge search``: who is in these pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.output import bar, json_option, print_json, print_table, settings

if TYPE_CHECKING:
    from edge.recognition.identification import IdentifiedFace, ImageIdentification, MatchRule


@click.command()
@click.argument("collection")
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--label", default="face", show_default=True, help="What to look for: a label of the detector.")
@click.option("--detector", "detectors", multiple=True, help="Detector model, instead of the cameras'.")
@click.option("--embedder", default="", help="Embedder model, instead of the label's.")
@click.option("--threshold", type=click.FloatRange(0, 100), help="Similarity 0..100 that makes a match.")
@click.option("--limit", type=click.IntRange(1, 32), default=5, show_default=True, help="Candidates to list a face.")
@click.option("--tiles", type=click.IntRange(0, 64), default=0, help="Parts to look at closer, for small faces.")
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
    r"""Who is in these pictures: every face of IMAGES (files or folders) against COLLECTION.

    Exit code 3: nobody was recognized.

    \b
    Example:
      edge search staff visitor.jpg
      edge search staff photos/ --threshold 99 --json
    """
    from edge.core.settings import loader as config
    from edge.recognition import extraction as finder
    from edge.recognition.identification import identify_files, rule
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
        when = rule(chosen, label, looks.embedder, threshold)
        answers = []
        with bar("searching", len(files)) as progress:
            for answer in identify_files(files, looks, target, when, limit, RejectionIndex(state)):
                answers.append(answer)
                progress.advance()
    if as_json:
        document = {"collection": collection, "threshold": when.similarity, "cosine": round(when.cosine, 4)}
        print_json({**document, "images": [_json(answer, when) for answer in answers]})
    else:
        _print(answers, when)
    if not any(answer.known for answer in answers):
        ctx.exit(3)


def _print(answers: list[ImageIdentification], when: MatchRule) -> None:
    rows: list[tuple[object, ...]] = []
    for answer in answers:
        if answer.reason:
            rows.append((answer.path, "-", f"cannot be read: {answer.reason}", "-", "-"))
        elif not answer.faces:
            rows.append((answer.path, "-", "nothing found", "-", "-"))
        rows += [_row(answer, face, when) for face in answer.faces]
    print_table(["picture", "box", "who", "similarity", "runner-up"], rows)


def _row(answer: ImageIdentification, face: IdentifiedFace, when: MatchRule) -> tuple[object, ...]:
    box, identity = face.detection.box, face.identity
    who = identity.subject or identity.state.value
    if identity.state.value == "uncertain":
        who = f"{identity.subject}?"
    if face.reason:
        who = f"not looked at: {face.reason}"
    place = f"{box.left:.2f},{box.top:.2f} {box.width:.2f}x{box.height:.2f}"
    return answer.path, place, who, _percent(identity.similarity, when), _percent(identity.runner_up, when)


def _percent(cosine: float | None, when: MatchRule) -> str:
    return "-" if cosine is None else f"{when.calibration.similarity(cosine):.1f}"


def _json(answer: ImageIdentification, when: MatchRule) -> dict[str, Any]:
    faces = [_face_json(face, when) for face in answer.faces]
    document: dict[str, Any] = {"path": str(answer.path), "faces": faces}
    return {**document, "error": {"code": answer.reason, "message": answer.message}} if answer.reason else document


def _face_json(face: IdentifiedFace, when: MatchRule) -> dict[str, Any]:
    box, identity = face.detection.box, face.identity

    def similar(cosine: float | None) -> float | None:
        return None if cosine is None else round(when.calibration.similarity(cosine), 2)

    matches = [
        {"subject": match.subject, "face_id": match.face_id, "similarity": similar(match.similarity),
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
        "similarity": similar(identity.similarity),
        "cosine": None if identity.similarity is None else round(identity.similarity, 4),
        "runner_up": similar(identity.runner_up),
        "matches": matches,
    }
