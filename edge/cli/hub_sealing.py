"""``edge hub sealing``: encryption of published collections."""

from __future__ import annotations

import re
import time
from pathlib import Path

import click

from edge.cli import output
from edge.cli.hub_publish import publisher_of, repository_option
from edge.cli.lazy import SuggestingGroup
from edge.core.errors import InputError
from edge.core.settings.base import DEVICE_NAME


@click.group(cls=SuggestingGroup)
def sealing() -> None:
    r"""Published collections are sealed (encrypted): only devices with a key can read names and embeddings.

    \b
    Example:
      edge hub sealing key porch          once per device; add the line to the settings of porch
      edge hub sealing list
      edge hub sealing remove porch       if it was stolen; then publish and roll out
    """


@sealing.command("key")
@click.argument("device")
@repository_option
@output.json_option
@click.pass_context
def key(ctx: click.Context, device: str, repository: Path | None, as_json: bool) -> None:
    r"""Print the secret key with which DEVICE decrypts sealed releases; created if there is none.

    \b
    Example:
      edge hub sealing key porch
    """
    if not re.fullmatch(DEVICE_NAME, device):
        raise InputError(f"device: expected a device.name like front-porch, got {device[:64]!r}", "use its device.name")
    made = publisher_of(ctx, repository).opened().fleet_keys.device_key(device)
    if as_json:
        output.print_json({"device": device, "key": made})
    else:
        output.say("[sync]")
        output.say(f'key = "{made}"')


@sealing.command("list")
@repository_option
@output.json_option
@click.pass_context
def list_(ctx: click.Context, repository: Path | None, as_json: bool) -> None:
    r"""Whether the next release is sealed, with which key, and the devices that can decrypt it.

    \b
    Example:
      edge hub sealing list
    """
    from edge.releases.sealing import FleetKey

    state = publisher_of(ctx, repository).opened().fleet_keys.read()
    keys = [{"id": FleetKey(secret).id, "created": created} for secret, created in state.keys]
    if as_json:
        output.print_json({"enabled": state.enabled, "keys": keys, "devices": sorted(state.devices)})
        return
    output.say("the next release is sealed" if state.enabled else "the next release is not sealed: edge hub sealing on")
    for secret, created in state.keys:
        output.say(f"  key {FleetKey(secret).id} of {time.strftime('%Y-%m-%d', time.gmtime(created))}")
    for device in sorted(state.devices):
        output.say(f"  device {device}")


@sealing.command("remove")
@click.argument("device")
@repository_option
@output.json_option
@click.pass_context
def remove(ctx: click.Context, device: str, repository: Path | None, as_json: bool) -> None:
    r"""Revoke the key of DEVICE: later releases get a new key. DEVICE may have copies of earlier releases.

    \b
    Example:
      edge hub sealing remove porch && edge hub publish
    """
    publisher_of(ctx, repository).opened().fleet_keys.remove(device)
    if as_json:
        output.print_json({"removed": device})
    else:
        output.say(f"{device}: key revoked; the next release is sealed with a new key: edge hub publish")


@sealing.command("rotate")
@repository_option
@output.json_option
@click.pass_context
def rotate(ctx: click.Context, repository: Path | None, as_json: bool) -> None:
    r"""Seal the next release with a new key. Devices follow automatically, without downloading files again.

    \b
    Example:
      edge hub sealing rotate && edge hub publish
    """
    store = publisher_of(ctx, repository).opened().fleet_keys
    store.rotate()
    made = store.ring().keys[0].id
    if as_json:
        output.print_json({"key": made})
    else:
        output.say(f"the next release is sealed with key {made}: edge hub publish")


@sealing.command("on")
@repository_option
@output.json_option
@click.pass_context
def on(ctx: click.Context, repository: Path | None, as_json: bool) -> None:
    r"""Seal the next release; default in a repository of 'edge hub init'. Give every device its key first.

    The next 'edge hub publish' withdraws unsealed releases; devices keep the release that they have.

    \b
    Example:
      edge hub sealing on
    """
    _switch(ctx, repository, as_json, enabled=True)


@sealing.command("off")
@repository_option
@output.json_option
@click.pass_context
def off(ctx: click.Context, repository: Path | None, as_json: bool) -> None:
    r"""Publish names and embeddings in plain text, readable by anyone with access to sync.url.

    \b
    Example:
      edge hub sealing off
    """
    _switch(ctx, repository, as_json, enabled=False)


def _switch(ctx: click.Context, repository: Path | None, as_json: bool, *, enabled: bool) -> None:
    publisher_of(ctx, repository).opened().fleet_keys.switch(enabled)
    if as_json:
        output.print_json({"enabled": enabled})
    else:
        output.say(f"the next release is {'sealed' if enabled else 'readable by anyone with access to sync.url'}")
