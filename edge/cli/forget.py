"""``edge forget``: erases a subject from this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import completion
from edge.cli.output import json_option, print_json, settings

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings


@click.command()
@click.argument("subject", shell_complete=completion.subjects)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def forget(ctx: click.Context, subject: str, yes: bool, as_json: bool) -> None:
    r"""Erase SUBJECT from this device, whether the daemon runs or not. SUBJECT may be a stranger's pseudonym.

    Removes faces of all collections, questions with their pictures, and answers; anonymizes events in the outbox and
    the memory of a running daemon. The hub gets an erasure notice without the name; [hub] limits what it erases.

    Then every file of the state folder is searched for the name and the embeddings. Exit code 1: a file still has
    them (such as a release of the hub: use edge hub forget there). Exit code 3: nothing was found.

    \b
    Example:
      edge forget alice --yes
    """
    from edge.core.settings import loader as config

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    if not yes:
        click.confirm(f"remove {subject!r} from {state} permanently?", abort=True, err=True)
    gone = _forgotten(subject, chosen, state)
    if as_json:
        print_json({"subject": subject, **{name: gone[name] for name in ("faces", "questions", "events", "left")}})
    else:
        click.echo(
            f"{gone['faces']} faces, {gone['questions']} questions and answers removed, {gone['events']} events unnamed"
        )
        for path in gone["left"]:
            click.echo(f"residual data: {path}", err=True)
    if gone["left"]:
        ctx.exit(1)
    if not (gone["faces"] or gone["questions"] or gone["events"]):
        ctx.exit(3)


def _forgotten(subject: str, chosen: Settings, state: Path) -> dict[str, Any]:
    """Erase in the running daemon, else in this process. Raises EdgeError."""
    from edge.core.storage import lock
    from edge.daemon import control
    from edge.daemon.erasure import document
    from edge.daemon.erasure import forget as forget_subject

    if lock.holder(state) is not None:
        return control.ask(state, "forget", {"subject": subject})
    return document(forget_subject(subject, chosen, state))
