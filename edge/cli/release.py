"""``edge release``: installed releases, and rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge.cli import completion, output
from edge.cli.lazy import SuggestingGroup

if TYPE_CHECKING:
    from edge.releases.release_store import ReleaseStore
    from edge.releases.update_state import UpdateState


@click.group(cls=SuggestingGroup)
def release() -> None:
    r"""The releases on this device.

    \b
    Example:
      edge release list
      edge release rollback
    """


def _opened(ctx: click.Context) -> tuple[ReleaseStore, UpdateState]:
    from edge.core.settings import loader as config
    from edge.releases.release_store import ReleaseStore
    from edge.releases.update_state import UpdateState

    store = ReleaseStore(config.state_folder(output.settings(ctx)))
    return store, UpdateState(store.folder)


@release.command("list")
@output.json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    r"""Installed releases. Exit code 3: none is installed.

    \b
    Example:
      edge release list --json
    """
    store, updates = _opened(ctx)
    rows = []
    for name in store.installed():
        good = updates.get("good") == name
        place = {store.current: "current", store.previous: "previous"}.get(name, "")
        state = "good" if good else updates.bad(name) or ("on probation" if place == "current" else "")
        rows.append({"release": name, "in_use": place, "state": state})
    if as_json:
        output.print_json(rows)
    elif rows:
        output.print_table(["release", "in use", "state"], [tuple(row.values()) for row in rows])
    if not rows:
        output.nothing(ctx, "no release is on this device")


@release.command("show")
@click.argument("name", required=False, shell_complete=completion.releases)
@output.json_option
@click.pass_context
def show(ctx: click.Context, name: str | None, as_json: bool) -> None:
    r"""Contents of a release; default: the current one.

    \b
    Example:
      edge release show
    """
    from edge.releases.manifest import facts

    store, _ = _opened(ctx)
    chosen = name or store.current
    if not chosen:
        output.nothing(ctx, "no release is in use on this device")
    found = facts(store.manifest(chosen))
    if as_json:
        output.print_json(found)
    else:
        output.print_table(["", ""], list(found.items()))


@release.command("rollback")
@output.json_option
@click.pass_context
def rollback(ctx: click.Context, as_json: bool) -> None:
    r"""Roll back to the previous release; the current one is not installed again. A running daemon follows.

    \b
    Example:
      edge release rollback
    """
    from edge.releases.activation import go_back

    store, updates = _opened(ctx)
    with store.locked():
        now = go_back(store, updates, "taken back by hand")
    if as_json:
        output.print_json({"release": now or None})
        return
    click.echo(f"release {now} is in place" if now else "no release is in use any more: the settings' own models are")
