"""``edge encryption``: encryption at rest of names, embeddings and pictures in the state folder."""

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
    r"""Encryption at rest of names, embeddings and pictures in the state folder.

    Protects the data of a stolen card or disk without the key. Does not protect against root on the running board,
    nor if the key is stored on the same card.

    \b
    Example:
      edge encryption key > /etc/edge/credentials/storage-key
      systemctl stop edge && edge encryption on && systemctl start edge
    """


@encryption.command()
@json_option
def key(as_json: bool) -> None:
    r"""Print a new key for the credential storage-key. A lost key cannot be recovered: keep an offline backup.

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
    r"""Whether the state folder is encrypted, and with which key. Exit code 1: the key is not available.

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
    r"""Encrypt the state folder, with the daemon stopped. An interrupted run resumes when it is run again.

    Encrypts collections, questions with their pictures, events in the outbox, results of videos and the segments of
    releases; the index is rebuilt. New data is encrypted from then on.

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
    r"""Decrypt the state folder, with the daemon stopped.

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
    r"""Re-encrypt the state folder with the first key of the credential; the current key is on a line below it.

    The old line can be deleted afterwards. The daemon must be stopped.

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
    click.echo(f"{state}: encrypted with key {done.key}" if done.key else f"{state}: not encrypted")
    click.echo(f"rewritten: {', '.join(done.files) or 'no files yet'}")
    if done.damaged:
        click.echo(f"{done.damaged} damaged values could not be decrypted, and were deleted", err=True)
    for name in done.left:
        click.echo(f"not encrypted, and may contain names: {name} (delete it if not needed)", err=True)
