"""``edge hub rollout/rotate/refresh``: rollout of releases, and signing keys."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import output
from edge.cli.hub_publish import keys_option, publisher_of, repository_option
from edge.core.errors import ReleaseError
from edge.releases.expiry import expiring

if TYPE_CHECKING:
    from edge.hub.publishing.rollout import RolloutVerdict, Word
    from edge.releases.manifest import Deployment


@click.command()
@click.argument("release", required=False)
@click.option("--group", default="all", show_default=True, help="Group of devices (their sync.group).")
@click.option("--percent", type=click.FloatRange(0, 100), default=100.0, show_default=True, help="Share of the group.")
@click.option("--canary", "canaries", multiple=True, help="A device that gets it first.")
@click.option("--device", "devices", multiple=True, help="A device of the group; default: all known to the hub.")
@click.option(
    "--pin", "pins", multiple=True, metavar="DEVICE=RELEASE", help="Keep a device on a release; empty: unpin it."
)
@click.option("--hold/--no-hold", default=None, help="Pause or resume the rollout.")
@click.option("--advance", is_flag=True, help="Go to the next step or stop, by the reports of the devices.")
@click.option("--hint", is_flag=True, help="Notify the devices over MQTT to check now.")
@repository_option
@output.json_option
@click.pass_context
def rollout(
    ctx: click.Context, /, advance: bool, hint: bool, devices: tuple[str, ...], repository: Path | None, as_json: bool,
    **wish: object,
) -> None:  # fmt: skip
    r"""Choose which devices run which release; without arguments, show it.

    \b
    Example:
      edge hub rollout 2026-11-22.1 --percent 5 --hint
      edge hub rollout --advance              every few minutes: 5 % -> 50 % -> 100 %, or stop
      edge hub rollout --pin porch=2026-11-20.1
    """
    from edge.hub.publishing import rollout as rollouts

    wanted = rollouts.RolloutWish(**wish)  # type: ignore[arg-type]
    publisher = publisher_of(ctx, repository).opened()
    now = publisher.deployment(wanted.group)
    words = _words(ctx, wanted.group)
    if wanted.release:
        publisher.release(wanted.release)
    elif now is None:
        raise click.UsageError(f"nothing is deployed to {wanted.group!r}: give a RELEASE")
    known = list(devices) or list(words)
    changed, verdict = rollouts.changed(now, wanted, known), None
    if advance:
        changed, verdict = rollouts.advanced(changed, words, rollouts.RolloutPolicy())
    if changed != now:
        changed = publisher.deploy(changed)
    if hint:
        _hint(ctx, known, changed)
    _tell(changed, verdict, as_json)


def _tell(changed: Deployment, verdict: RolloutVerdict | None, as_json: bool) -> None:
    if as_json:
        output.print_json({**asdict(changed), "verdict": asdict(verdict) if verdict else None})
        return
    if verdict:
        output.say(
            f"{verdict.action}: {verdict.committed} of {verdict.chosen} chosen devices committed, "
            f"{verdict.failed} failed {'; '.join(verdict.reasons)}".rstrip()
        )
    hold, otherwise = ", on hold" if changed.hold else "", changed.base or "as it is"
    output.say(f"{changed.group}: release {changed.release} for {changed.percent:g} %{hold}, else {otherwise}")
    for name in changed.canaries:
        output.say(f"  canary {name}")
    for name, pinned in changed.pins.items():
        output.say(f"  {name} stays on {pinned}")


def _words(ctx: click.Context, group: str) -> dict[str, Word]:
    """Last reported update state of each device of the group, from the hub's database."""
    from edge.core.settings import loader as config
    from edge.hub import databases
    from edge.hub.publishing.rollout import words_of
    from edge.hub.queries import reported
    from edge.hub.store import EventStore

    settings = output.settings(ctx)
    database = databases.connect(settings.hub.database.get_secret_value(), config.state_folder(settings))
    EventStore(database).prepare()
    return words_of(reported(database), group)


def _hint(ctx: click.Context, devices: list[str], deployment: Deployment) -> None:
    from edge.hub.command_client import hint

    hint(output.settings(ctx).mqtt, devices, {"release": deployment.release, "number": deployment.number})


@click.command()
@click.argument("role", type=click.Choice(["root", "targets", "snapshot", "timestamp", "deploy"]))
@repository_option
@keys_option
@output.json_option
@click.pass_context
def rotate(ctx: click.Context, role: str, repository: Path | None, keys: Path | None, as_json: bool) -> None:
    r"""Replace the signing key of a role that is old, lost or stolen. Devices follow automatically.

    The change is signed with the root key (deploy: with the targets key). A lost root key cannot be replaced:
    every device then needs a new root.json, copied manually.

    \b
    Example:
      edge hub rotate timestamp --keys /media/stick/edge-keys
    """
    publisher = publisher_of(ctx, repository, keys).opened()
    publisher.repository.rotate(role)
    path = str(publisher.repository.keys.path(role))
    if as_json:
        output.print_json({"role": role, "key": path})
    else:
        output.say(f"{role} has a new key: {path}")


@click.command()
@repository_option
@keys_option
@output.json_option
@click.pass_context
def refresh(ctx: click.Context, repository: Path | None, keys: Path | None, as_json: bool) -> None:
    r"""Renew the online metadata before it expires: once a day, from a timer.

    With the offline keys, root and targets are renewed as well if they expire soon. Exit code 1: a signature that
    could not be renewed expires within 60 days.

    \b
    Example:
      edge hub refresh
      edge hub refresh --keys /media/stick/edge-keys
    """
    repository_files = publisher_of(ctx, repository, keys).opened().repository
    repository_files.refresh()
    found = repository_files.versions()
    if as_json:
        output.print_json({role: {"version": v, "expires": until.isoformat()} for role, (v, until) in found.items()})
    else:
        for role, (version, until) in found.items():
            output.say(f"{role:<10} version {version:<4} until {until:%Y-%m-%d}")
    if soon := expiring(repository_files.expiries()):
        raise ReleaseError("; ".join(one.text() for one in soon), soon[0].remedy)
