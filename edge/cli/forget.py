"""``edge forget``: remove a subject everywhere on this device."""

from __future__ import annotations

import click

from edge.cli.output import json_option, print_json, settings


@click.command()
@click.argument("subject")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def forget(ctx: click.Context, subject: str, yes: bool, as_json: bool) -> None:
    r"""Remove SUBJECT from this device.

    Faces of all collections, questions with their pictures, and answers are removed; events that still wait for the
    broker go on without the name. The daemon must be stopped.

    Afterwards every file of the state folder is searched for the name and the embeddings. Exit code 1: one still
    holds them (a release of the hub, say: take it out there). Exit code 3: there was nothing. What the broker and the
    hub have stored already is theirs to delete.

    \b
    Example:
      systemctl stop edge && edge forget alice --yes && systemctl start edge
    """
    from edge import config
    from edge.forget import forget as forget_subject

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    if not yes:
        click.confirm(f"remove {subject!r} from {state} for good?", abort=True, err=True)
    gone = forget_subject(subject, chosen, state)
    left = [str(path) for path in gone.left]
    if as_json:
        print_json(
            {"subject": subject, "faces": gone.faces, "questions": gone.questions, "events": gone.events, "left": left}
        )
    else:
        click.echo(f"{gone.faces} faces, {gone.questions} questions and answers removed, {gone.events} events unnamed")
        for path in left:
            click.echo(f"still holds it: {path}", err=True)
    if left:
        ctx.exit(1)
    if not (gone.faces or gone.questions or gone.events):
        ctx.exit(3)
