"""``edge forget``: remove a subject everywhere on this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.output import json_option, print_json, settings

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings


@click.command()
@click.argument("subject")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def forget(ctx: click.Context, subject: str, yes: bool, as_json: bool) -> None:
    r"""Remove SUBJECT from this device, be the daemon running or not. SUBJECT may be a stranger's pseudonym.

    Faces of all collections, questions with their pictures, and answers are removed; events that still wait for the
    broker go on without the name. A running daemon lets go of what it holds in memory. The hub is told, without the
    name: [hub] says what it forgets then.

    Afterwards every file of the state folder is searched for the name and the embeddings. Exit code 1: one still
    holds them (a release of the hub, say: edge hub forget takes it out there). Exit code 3: there was nothing.

    \b
    Example:
      edge forget alice --yes
    """
    from edge.core.settings import loader as config

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    if not yes:
        click.confirm(f"remove {subject!r} from {state} for good?", abort=True, err=True)
    gone = _forgotten(subject, chosen, state)
    if as_json:
        print_json({"subject": subject, **{name: gone[name] for name in ("faces", "questions", "events", "left")}})
    else:
        click.echo(
            f"{gone['faces']} faces, {gone['questions']} questions and answers removed, {gone['events']} events unnamed"
        )
        for path in gone["left"]:
            click.echo(f"still holds it: {path}", err=True)
    if gone["left"]:
        ctx.exit(1)
    if not (gone["faces"] or gone["questions"] or gone["events"]):
        ctx.exit(3)


def _forgotten(subject: str, chosen: Settings, state: Path) -> dict[str, Any]:
    """By the daemon where one runs, else here."""
    from edge.core.storage import lock
    from edge.daemon import control
    from edge.daemon.erasure import document
    from edge.daemon.erasure import forget as forget_subject

    if lock.holder(state) is not None:
        return control.ask(state, "forget", {"subject": subject})
    return document(forget_subject(subject, chosen, state))
