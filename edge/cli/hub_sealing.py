"""``edge hub sealing``: who can read what is published."""

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
    r"""Collections are published sealed: only devices with a key can read names and embeddings.

    \b
    Example:
      edge hub sealing key porch          once per device; the line goes into porch's settings
      edge hub sealing list
      edge hub sealing remove porch       it was stolen: then publish, and roll out
    """


@sealing.command("key")
@click.argument("device")
@repository_option
@output.json_option
@click.pass_context
def key(ctx: click.Context, device: str, repository: Path | None, as_json: bool) -> None:
    r"""Print the key with which DEVICE opens sealed releases; make it where there is none. It is a secret.

    \b
    Example:
      edge hub sealing key porch
    """
    if not re.fullmatch(DEVICE_NAME, device):
        raise InputError(
            f"device: expected a device.name like front-porch, got {device[:64]!r}", "name it as it is set"
        )
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
    r"""Whether the next release is sealed, with which key, and the devices that may open it.

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
    r"""Leave DEVICE out of the next releases, which get a new key. What it could read before it may have kept.

    \b
    Example:
      edge hub sealing remove porch && edge hub publish
    """
    publisher_of(ctx, repository).opened().fleet_keys.remove(device)
    if as_json:
        output.print_json({"removed": device})
    else:
        output.say(f"{device} gets no key any more; the next release is sealed with a new one: edge hub publish")


@sealing.command("rotate")
@repository_option
@output.json_option
@click.pass_context
def rotate(ctx: click.Context, repository: Path | None, as_json: bool) -> None:
    r"""Seal the next release with a new key. Devices follow by themselves, and fetch no file again for it.

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
    r"""Seal the next release; it is on in a repository that 'edge hub init' makes. Give every device its key first.

    Releases that were published readable go with the next 'edge hub publish'; devices keep the one that they have.

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
    r"""Publish names and embeddings readable for whoever reaches the folder that is served.

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
        output.say(f"the next release is {'sealed' if enabled else 'readable for whoever reaches sync.url'}")
