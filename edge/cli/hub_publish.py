"""``edge hub init/add/forget/publish/rollout/rotate/refresh``: the fleet owner's desk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import output

if TYPE_CHECKING:
    from edge.hub.publishing.desk import Desk, Published
    from edge.hub.publishing.rollout import Word

FOLDER = click.Path(file_okay=False, path_type=Path)
repository_option = click.option(
    "--repository", type=FOLDER, help="Folder of the releases; hub.repository of the configuration when not given."
)
keys_option = click.option("--keys", type=FOLDER, help="Folder of the offline keys (root.pem, targets.pem).")


def _desk(ctx: click.Context, repository: Path | None, keys: Path | None = None) -> Desk:
    from edge import config
    from edge.hub.publishing.desk import Desk

    settings = output.settings(ctx)
    folder = repository or settings.hub.repository or config.state_folder(settings) / "hub"
    return Desk(folder.expanduser(), settings, keys)


@click.command()
@repository_option
@keys_option
@click.pass_context
def init(ctx: click.Context, repository: Path | None, keys: Path | None) -> None:
    r"""Make the keys and an empty signed repository.

    Put the offline keys into a drawer (a stick, two of them) and the printed root.json onto every device.

    \b
    Example:
      edge hub init --repository /srv/edge --keys /media/stick/edge-keys
    """
    desk = _desk(ctx, repository, keys)
    root = desk.repository.init()
    click.echo(f"serve {desk.repository.public} by any web server, its address is the devices' sync.url")
    click.echo(f"bring {root} to every device, its path there is sync.root")
    click.echo(f"take {desk.repository.keys.offline} offline: without it nobody can sign a release")


@click.group()
def add() -> None:
    r"""Put a model, a collection, or a probe into the next release.

    \b
    Example:
      edge hub add model edge-face-embedder-2 --replaces edge-face-embedder-1
      edge hub add collection staff photos/
      edge hub add probe group.jpg
    """


@add.command("model")
@click.argument("name")
@click.option("--replaces", default="", help="The model that devices' settings name, whose place it takes.")
@repository_option
@click.pass_context
def add_model(ctx: click.Context, name: str, replaces: str, repository: Path | None) -> None:
    r"""Ship a model of this machine with the next release.

    \b
    Example:
      edge hub add model edge-face-embedder-2 --replaces edge-face-embedder-1
    """
    shipped = _desk(ctx, repository).opened().add_model(name, replaces)
    click.echo(f"{shipped.kind} {shipped.name}: {sum(blob.size for blob in shipped.files.values())} bytes")


@add.command("collection")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--subject", help="All pictures are of this subject; else a folder a subject.")
@click.option("--label", default="face", show_default=True, help="The label that the collection names.")
@repository_option
@click.pass_context
def add_collection(
    ctx: click.Context, name: str, path: Path, subject: str | None, label: str, repository: Path | None
) -> None:
    r"""Embed pictures, a folder a subject, or take in a collection that a device exported.

    \b
    Example:
      edge hub add collection staff photos/
      edge hub add collection staff porch.faces     after 'edge collection export' there
    """
    desk = _desk(ctx, repository).opened()
    if path.is_file() and subject is None:
        taken, count = desk.take_in(path, label)
        click.echo(f"{taken}: {count} faces more")
        return
    added = skipped = 0
    with output.bar("embedding", None) as progress:
        for outcome in desk.add_collection(name, path, label, subject):
            progress.advance()
            added += outcome.status == "added"
            if outcome.status == "skipped":
                skipped += 1
                click.echo(f"skipped ({outcome.reason})  {outcome.message}", err=True)
    click.echo(f"{name}: {added} faces more, {skipped} pictures skipped")


@add.command("probe")
@click.argument("picture", type=click.Path(path_type=Path))
@click.option("--label", default="face", show_default=True, help="What it shows.")
@repository_option
@click.pass_context
def add_probe(ctx: click.Context, picture: Path, label: str, repository: Path | None) -> None:
    r"""Ship a picture in which every device must find and embed what is found in it here.

    The picture goes to every device: choose one that may.

    \b
    Example:
      edge hub add probe group.jpg
    """
    probe = _desk(ctx, repository).opened().add_probe(picture, label)
    click.echo(f"{len(probe.boxes)} x {label} in {picture}")


@click.command()
@click.argument("subject")
@repository_option
@click.pass_context
def forget(ctx: click.Context, subject: str, repository: Path | None) -> None:
    r"""Remove a subject from every collection; the next release makes every device forget it. Exit code 3: not known.

    \b
    Example:
      edge hub forget "Alice Example" && edge hub publish
    """
    gone = _desk(ctx, repository).opened().forget(subject)
    for name, faces in gone.items():
        click.echo(f"{name}: {faces} faces gone here; publish and roll out to make the devices follow")
    if not gone:
        ctx.exit(3)


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what devices would fetch; sign nothing.")
@click.option("--compact-days", type=click.FloatRange(0), help="Rewrite segments whose forgotten faces are older. [7]")
@repository_option
@keys_option
@output.json_option
@click.pass_context
def publish(
    ctx: click.Context,
    dry_run: bool,
    compact_days: float | None,
    repository: Path | None,
    keys: Path | None,
    as_json: bool,
) -> None:
    r"""Sign what was added as a release. It runs nowhere before it is rolled out.

    \b
    Example:
      edge hub publish --dry-run
      edge hub publish --keys /media/stick/edge-keys
    """
    from edge.hub.publishing.desk import COMPACT_DAYS

    desk = _desk(ctx, repository, keys).opened()
    done = desk.publish(dry_run, COMPACT_DAYS if compact_days is None else compact_days)
    if as_json:
        output.print_json(_told(done))
        return
    words = "would be" if dry_run else "is"
    click.echo(f"release {done.release.id} {words} published: devices fetch {done.fetched} bytes")
    for one in done.release.collections:
        click.echo(f"  {one.name}: {one.count} faces in {len(one.segments)} segments, {len(one.tombstones)} tombstones")


def _told(done: Published) -> dict[str, object]:
    from edge.sync.manifest import facts

    return {**facts(done.release), "fetched": done.fetched, "new_files": len(done.new_blobs), "written": done.written}


@click.command()
@click.argument("release", required=False)
@click.option("--group", default="all", show_default=True, help="Group of devices (their sync.group).")
@click.option("--percent", type=click.FloatRange(0, 100), default=100.0, show_default=True, help="Share of the group.")
@click.option("--canary", "canaries", multiple=True, help="A device that takes it first.")
@click.option(
    "--device", "devices", multiple=True, help="A device of the group; those that the hub heard of otherwise."
)
@click.option(
    "--pin", "pins", multiple=True, metavar="DEVICE=RELEASE", help="Keep a device on a release; empty: free it."
)
@click.option("--hold/--no-hold", default=None, help="Nobody changes anything, or goes on.")
@click.option("--advance", is_flag=True, help="Grow to the next step or stop, by what the devices report.")
@repository_option
@output.json_option
@click.pass_context
def rollout(
    ctx: click.Context,
    release: str | None,
    group: str,
    percent: float,
    canaries: tuple[str, ...],
    devices: tuple[str, ...],
    pins: tuple[str, ...],
    hold: bool | None,
    advance: bool,
    repository: Path | None,
    as_json: bool,
) -> None:
    r"""Say which devices run which release; without anything, show it.

    \b
    Example:
      edge hub rollout 2026-11-22.1 --percent 5
      edge hub rollout --advance              every few minutes: 5 % -> 50 % -> 100 %, or stop
      edge hub rollout --pin porch=2026-11-20.1
    """
    from dataclasses import asdict, replace

    from edge.hub.publishing import rollout as rollouts

    desk = _desk(ctx, repository).opened()
    now = desk.deployment(group)
    if release:
        desk.release(release)
        known = list(devices) or list(_words(ctx, group))
        base = now.release if now and now.release != release and now.percent >= 100 else (now.base if now else "")
        changed = rollouts.start(group, release, base, known, percent, canaries)
        changed = replace(changed, pins=now.pins if now else {}, hold=bool(hold))
    elif now is None:
        raise click.UsageError(f"nothing is deployed to {group!r}: name a release")
    else:
        changed = replace(now, hold=now.hold if hold is None else hold)
    changed = replace(changed, pins=_pinned(changed.pins, pins))
    verdict = None
    if advance:
        policy = rollouts.Policy()
        verdict = rollouts.judge(changed, _words(ctx, group), policy)
        if verdict.action == "grow":
            changed = rollouts.grown(changed, policy)
        elif verdict.action == "stop":
            changed = rollouts.stopped(changed)
    if changed != now:
        changed = desk.deploy(changed)
    if as_json:
        output.print_json({**asdict(changed), "verdict": asdict(verdict) if verdict else None})
        return
    if verdict:
        click.echo(
            f"{verdict.action}: {verdict.committed} of {verdict.chosen} chosen devices committed, "
            f"{verdict.failed} failed {'; '.join(verdict.reasons)}"
        )
    state = ", on hold" if changed.hold else ""
    click.echo(
        f"{group}: release {changed.release} for {changed.percent:g} %{state}, else {changed.base or 'as it is'}"
    )
    for name in changed.canaries:
        click.echo(f"  canary {name}")
    for name, pinned in changed.pins.items():
        click.echo(f"  {name} stays on {pinned}")


def _pinned(pins: dict[str, str], asked: tuple[str, ...]) -> dict[str, str]:
    found = dict(pins)
    for one in asked:
        device, _, release = one.partition("=")
        if release:
            found[device] = release
        else:
            found.pop(device, None)
    return found


def _words(ctx: click.Context, group: str) -> dict[str, Word]:
    """What each device of the group said last, from the hub's database; nothing where there is none."""
    import json

    from edge import config
    from edge.hub import databases
    from edge.hub.publishing.rollout import Word
    from edge.hub.store import Store

    settings = output.settings(ctx)
    database = databases.connect(settings.hub.database, config.state_folder(settings))
    Store(database).prepare()
    with database.transaction(reading=True) as transaction:
        rows = transaction.execute("SELECT device, body FROM documents WHERE kind = 'reported'")
    said = {device: json.loads(body) for device, body in rows}
    return {
        device: Word(one.get("release", ""), one.get("phase", ""), one.get("desired", ""), one.get("error", ""))
        for device, one in sorted(said.items())
        if one.get("group", "all") == group
    }


@click.command()
@click.argument("role", type=click.Choice(["root", "targets", "snapshot", "timestamp", "deploy"]))
@repository_option
@keys_option
@click.pass_context
def rotate(ctx: click.Context, role: str, repository: Path | None, keys: Path | None) -> None:
    r"""Give a role a new key: it is old, lost or stolen. Devices follow by themselves.

    Signed by the root key (deploy: by the targets key), so a lost root key is the one that cannot be replaced:
    then every device needs a new root.json by hand.

    \b
    Example:
      edge hub rotate timestamp --keys /media/stick/edge-keys
    """
    desk = _desk(ctx, repository, keys).opened()
    desk.repository.rotate(role)
    click.echo(f"{role} has a new key: {desk.repository.keys.path(role)}")


@click.command()
@repository_option
@click.pass_context
def refresh(ctx: click.Context, repository: Path | None) -> None:
    r"""Sign the online metadata again before it expires: once a day, from a timer.

    \b
    Example:
      edge hub refresh
    """
    desk = _desk(ctx, repository).opened()
    desk.repository.refresh()
    for role, (version, expires) in desk.repository.versions().items():
        click.echo(f"{role:<10} version {version:<4} until {expires:%Y-%m-%d}")
