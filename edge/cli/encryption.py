"""``edge encryption``: names, embeddings and pictures of the state folder, stored so that a stolen card tells none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli.lazy import SuggestingGroup
from edge.cli.output import json_option, print_json, settings

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.daemon.encryption import EncryptionChange


@click.group(cls=SuggestingGroup)
def encryption() -> None:
    r"""Names, embeddings and pictures in the state folder: encrypted or not, and with which key.

    Whoever has the card or the disk without the key learns no name and no face. Whoever is root on the running board
    does, and whoever finds the key on the same card.

    \b
    Example:
      edge encryption key > /etc/edge/credentials/storage-key
      systemctl stop edge && edge encryption on && systemctl start edge
    """


@encryption.command()
@json_option
def key(as_json: bool) -> None:
    r"""Print a new key, for the credential storage-key. Without it nothing can be opened: keep a copy elsewhere.

    \b
    Example:
      (umask 077 && edge encryption key > storage-key)
    """
    from edge.core.storage.keys import new_key

    made = new_key()
    if as_json:
        print_json({"key": made})
    else:
        click.echo(made)


@encryption.command()
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    r"""Whether the state folder is encrypted, with which key, and whether that key is at hand. Exit code 1: it is not.

    \b
    Example:
      edge encryption status --json
    """
    from edge.core.settings import loader as config
    from edge.daemon.encryption import status as look

    state = config.state_folder(settings(ctx))
    found = look(state)
    if as_json:
        print_json({"state": str(state), **asdict(found)})
    elif found.trouble:
        click.echo(found.trouble)
    else:
        click.echo(f"{state}: encrypted with key {found.key}" if found.encrypted else f"{state}: not encrypted")
    ctx.exit(1 if found.trouble else 0)


@encryption.command()
@json_option
@click.pass_context
def on(ctx: click.Context, as_json: bool) -> None:
    r"""Encrypt the state folder, with the daemon stopped. Interrupted, it goes on when it is run again.

    Collections, questions with their pictures, events that wait, findings in videos and the segments of releases are
    encrypted; the index is built anew. What is written from then on is encrypted from the start.

    \b
    Example:
      systemctl stop edge && edge encryption on && systemctl start edge
    """
    from edge.daemon.encryption import turn_on

    _change(ctx, turn_on, as_json)


@encryption.command()
@json_option
@click.pass_context
def off(ctx: click.Context, as_json: bool) -> None:
    r"""Store everything in the state folder as it is again, with the daemon stopped.

    \b
    Example:
      systemctl stop edge && edge encryption off && systemctl start edge
    """
    from edge.daemon.encryption import turn_off

    _change(ctx, turn_off, as_json)


@encryption.command()
@json_option
@click.pass_context
def rotate(ctx: click.Context, as_json: bool) -> None:
    r"""Encrypt everything anew with the first key of the credential; the one in use is on a line below it.

    When it is done the old line can be deleted. Daemon stopped, as for the others.

    \b
    Example:
      (edge encryption key; cat storage-key) > both && mv both storage-key
      edge encryption rotate && sed -i 2d storage-key
    """
    from edge.daemon.encryption import rotate as go_over

    _change(ctx, go_over, as_json)


def _change(ctx: click.Context, how: Callable[[Settings, Path], EncryptionChange], as_json: bool) -> None:
    from edge.core.settings import loader as config

    chosen = settings(ctx)
    state = config.state_folder(chosen)
    done = how(chosen, state)
    if as_json:
        print_json({"state": str(state), **asdict(done)})
        return
    click.echo(f"{state}: encrypted with key {done.key}" if done.key else f"{state}: not encrypted any more")
    click.echo(f"written anew: {', '.join(done.files) or 'nothing was there yet'}")
    if done.damaged:
        click.echo(f"{done.damaged} damaged values could not be opened by anybody, and are gone", err=True)
    for name in done.left:
        click.echo(f"not encrypted, and may hold names: {name} (delete it if nobody needs it)", err=True)
