"""``edge collection``: list, create, show, delete, audit, export, import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.lazy import SuggestingGroup
from edge.cli.output import bar, json_option, print_json, print_table, settings
from edge.cli.paths import InputPath

if TYPE_CHECKING:
    from edge.recognition.store.audit import Audit, Pair
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.collections import Collections
    from edge.recognition.subject_search import SubjectSearch


@click.group(cls=SuggestingGroup)
def collection() -> None:
    r"""Collections of faces: list, create, show, delete, audit, export, import.

    \b
    Example:
      edge collection list
      edge collection audit staff
    """


@collection.command("list")
@json_option
@click.pass_context
def list_command(ctx: click.Context, as_json: bool) -> None:
    r"""All collections.

    \b
    Example:
      edge collection list --json
    """
    with _collections(ctx) as collections:
        rows = [_summary(collections.get(name)) for name in collections.names()]
    if as_json:
        print_json({"collections": rows})
        return
    columns = ["name", "faces", "subjects", "space"]
    print_table(columns, [[row[column] if row[column] is not None else "-" for column in columns] for row in rows])


@collection.command()
@click.argument("name")
@json_option
@click.pass_context
def create(ctx: click.Context, name: str, as_json: bool) -> None:
    r"""Create an empty collection NAME.

    \b
    Example:
      edge collection create staff
    """
    with _collections(ctx) as collections:
        made = _summary(collections.create(name))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{name}: created")


@collection.command()
@click.argument("name", shell_complete=completion.collections)
@click.option("--faces", "list_faces", is_flag=True, help="List faces instead of subjects.")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, list_faces: bool, as_json: bool) -> None:
    r"""Contents and search index of collection NAME.

    \b
    Example:
      edge collection show staff --faces
    """
    with _collections(ctx) as collections:
        target = collections.get(name)
        summary, subjects, state = _summary(target), target.subjects(), target.state
        faces = [asdict(face) for face in target.faces(limit=-1)] if list_faces else []
    if as_json:
        listed = {"list": faces} if list_faces else {}
        print_json({**summary, "names": subjects, "index": asdict(state), **listed})
        return
    click.echo(f"{name}: {summary['faces']} faces of {len(subjects)} subjects, space {summary['space'] or '-'}")
    recall = "" if state.recall is None else f", recall {state.recall:.3f} with {state.trees} trees"
    click.echo(f"search: {state.kind}{recall}{', ' + state.trouble if state.trouble else ''}\n")
    if list_faces:
        rows = [(face["face_id"], face["subject"] or "-", f"{face['quality']:.3f}", face["origin"]) for face in faces]
        print_table(["face_id", "subject", "quality", "origin"], rows)
    else:
        print_table(["subject", "faces"], [(one, subjects[one]) for one in sorted(subjects, key=str.casefold)])


@collection.command()
@click.argument("name", shell_complete=completion.collections)
@click.option("--subject", help="Only the faces of this subject.", shell_complete=completion.subjects)
@click.option("--face", "face_ids", multiple=True, help="Only this FaceId; may be given more than once.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@click.pass_context
def delete(
    ctx: click.Context, name: str, subject: str | None, face_ids: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    r"""Delete collection NAME with all its faces, or some of its faces, permanently. Exit code 3: no such faces.

    \b
    Example:
      edge collection delete staff --subject alice
      edge collection delete staff --yes
    """
    if subject is not None and face_ids:
        raise click.UsageError("choose one of --subject and --face")
    with _collections(ctx) as collections:
        target = collections.get(name)
        if subject is not None:
            deleted = target.delete_subject(subject)
        elif face_ids:
            deleted = target.delete_faces(face_ids)
        else:
            if not yes:
                click.confirm(f"delete {name} with its {target.count} faces?", abort=True, err=True)
            deleted = [face.face_id for face in target.faces(limit=-1)]
            collections.delete(name)
    if as_json:
        print_json({"collection": name, "deleted": deleted})
    else:
        click.echo(f"{name}: {len(deleted)} faces deleted")
    if not deleted and (subject is not None or face_ids):
        ctx.exit(3)


@collection.command()
@click.argument("name", shell_complete=completion.collections)
@click.option(
    "--similar",
    type=click.FloatRange(1, 100, min_open=True),
    help="Similarity (0..100) from which subjects are confusable; default: the match threshold.",
)
@click.option("--duplicate", type=float, help="Cosine from which two faces are duplicates.")
@json_option
@click.pass_context
def audit(ctx: click.Context, name: str, similar: float | None, duplicate: float | None, as_json: bool) -> None:
    r"""Check the quality of collection NAME.

    Reports confusable subjects; harmful faces, which are more similar to another subject than to their own (usually a
    wrong picture); redundant faces (nearly the same picture); and the recall of the search index.

    \b
    Example:
      edge collection audit staff
    """
    from edge.inference.scoring import UNNORMALIZED
    from edge.recognition.collection_risk import estimate
    from edge.recognition.store.audit import DUPLICATE, SIMILAR
    from edge.recognition.store.audit import audit as run_audit

    with _collections(ctx) as collections:
        target = collections.get(name)
        search = _search(ctx, target)
        needed, scorer = (search.needed, search.scorer) if search else (SIMILAR, UNNORMALIZED)
        alike = needed if similar is None else similar
        found = run_audit(target, scorer, alike, DUPLICATE if duplicate is None else duplicate)
        risk = estimate(search) if search else None
    if as_json:
        print_json({"collection": name, **asdict(found), "risk": asdict(risk) if risk else None})
    else:
        _print_audit(name, found)
        if risk:
            click.echo(f"\n{risk.words()}")


@collection.command("export")
@click.argument("name", shell_complete=completion.collections)
@click.argument("path", type=InputPath())
@json_option
@click.pass_context
def export_command(ctx: click.Context, name: str, path: Path, as_json: bool) -> None:
    r"""Export collection NAME to PATH, a folder or a file. Pictures are not included.

    \b
    Example:
      edge collection export staff staff.edge
    """
    from edge.recognition.store.export import export

    with _collections(ctx) as collections:
        manifest = export(collections.get(name), path)
    if as_json:
        print_json({"path": str(path), **asdict(manifest)})
    else:
        click.echo(f"{path}: {manifest.count} faces of collection {name}")


@collection.command("import")
@click.argument("path", type=InputPath())
@click.option(
    "--name", help="Collection to import into; default: the exported name.", shell_complete=completion.collections
)
@json_option
@click.pass_context
def import_command(ctx: click.Context, path: Path, name: str | None, as_json: bool) -> None:
    r"""Import an exported collection from PATH. Existing faces are unchanged.

    \b
    Example:
      edge collection import staff.edge --name visitors
    """
    from edge.recognition.store.export import import_into, read_manifest

    manifest = read_manifest(path)
    chosen = name or manifest.collection
    with _collections(ctx) as collections, bar("importing", manifest.count) as progress:
        made = chosen not in collections
        target = collections.get_or_create(chosen)
        try:
            done = import_into(target, path, progress.advance)
        except BaseException:
            if made and not target.count:
                collections.delete(chosen)
            raise
        target.upkeep()
    if as_json:
        print_json({"collection": chosen, **asdict(done)})
    else:
        click.echo(f"{chosen}: {done.added} of {done.read} faces added, the others unchanged")


@contextmanager
def _collections(ctx: click.Context) -> Iterator[Collections]:
    from edge.core.settings import loader as config
    from edge.recognition.store.collections import Collections

    chosen = settings(ctx)
    with Collections(config.state_folder(chosen), chosen.collection, maintain=False) as collections:
        yield collections


def _search(ctx: click.Context, target: Collection) -> SubjectSearch | None:
    """The subject search of the label of this collection; None where its embedder differs from that of the faces."""
    from edge.core.errors import EdgeError
    from edge.core.settings import loader as config
    from edge.inference import model
    from edge.inference.scoring import scorer_of
    from edge.recognition.identification import subject_search

    chosen = settings(ctx)
    folders = model.folders(chosen.models, config.state_folder(chosen))
    for label, section in chosen.labels.items():
        if section.collection == target.name and section.embedder:
            try:
                scorer = scorer_of(model.find(section.embedder, folders))
            except EdgeError:
                return None
            return subject_search(chosen, label, scorer, target) if scorer.fitting(target.space) is scorer else None
    return None


def _summary(target: Collection) -> dict[str, Any]:
    return {
        "name": target.name,
        "faces": target.count,
        "subjects": len(target.subjects()),
        "space": target.space,
        "created": target.created(),
    }


def _print_audit(name: str, found: Audit) -> None:
    looked = "" if found.compared == found.faces else f", {found.compared} of them compared with all"
    click.echo(f"{name}: {found.faces} faces of {found.subjects} subjects{looked}")
    if found.recall is not None:
        click.echo(f"search finds {found.recall:.1%} of what exact search finds first")
    if found.highest is not None:
        click.echo(f"highest likeness between two subjects: {found.highest:.0f} of 100")
    _print_pairs("confusable subjects", found.confusable)
    if found.outliers:
        click.echo(f"\nharmful: more like somebody else (edge collection delete {name} --face FACE)")
        columns = ["face_id", "subject", "own", "most alike", "likeness"]
        rows = [(o.face_id, o.subject, f"{o.own:.1f}", o.nearest, f"{o.likeness:.1f}") for o in found.outliers]
        print_table(columns, rows)
    _print_pairs("redundant: nearly the same picture", found.duplicates)


def _print_pairs(title: str, pairs: tuple[Pair, ...]) -> None:
    if not pairs:
        return
    click.echo(f"\n{title}")
    rows = [(p.subject or "-", p.other_subject or "-", f"{p.likeness:.1f}", p.face_id, p.other_face_id) for p in pairs]
    print_table(["subject", "other", "likeness", "face", "other face"], rows)
