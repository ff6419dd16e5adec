"""``edge hub init/add/forget/publish``: contents of the next release."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import completion, output
from edge.cli.lazy import SuggestingGroup
from edge.cli.main import NOTHING_FOUND
from edge.cli.paths import InputPath
from edge.core.errors import InputError
from edge.core.storage import files
from edge.core.storage.files import expanded

if TYPE_CHECKING:
    from edge.hub.publishing.publisher import PublishedRelease, ReleasePublisher
    from edge.hub.subject_erasure import ErasedEverywhere

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
repository_option = click.option("--repository", type=FOLDER, help="Folder of the releases; default: hub.repository.")
keys_option = click.option("--keys", type=FOLDER, help="Folder of the offline keys (root.pem, targets.pem).")


def publisher_of(ctx: click.Context, repository: Path | None, keys: Path | None = None) -> ReleasePublisher:
    """The publisher for ``repository``, else ``hub.repository``, else ``hub`` in the state folder. Raises EdgeError."""
    from edge.core import plugins as extras
    from edge.core.settings import loader as config
    from edge.hub.publishing.publisher import ReleasePublisher

    extras.want("hub", "signing needs")
    settings = output.settings(ctx)
    folder = repository or settings.hub.repository or config.state_folder(settings) / "hub"
    return ReleasePublisher(expanded(folder), settings, keys)


@click.command()
@repository_option
@keys_option
@output.json_option
@click.pass_context
def init(ctx: click.Context, repository: Path | None, keys: Path | None, as_json: bool) -> None:
    r"""Create signing keys and an empty signed repository.

    Store the offline keys on removable media (two copies), and copy the printed root.json to every device.

    \b
    Example:
      edge hub init --repository /srv/edge --keys /media/stick/edge-keys
    """
    publisher = publisher_of(ctx, repository, keys)
    root = publisher.init()
    if as_json:
        output.print_json({"serve": str(publisher.repository.public), "root": str(root)})
        return
    click.echo(f"serve {publisher.repository.public} with any web server; its address is the devices' sync.url")
    click.echo(f"copy {root} to every device; its path there is sync.root")
    click.echo("give every device its key to sealed collections: edge hub sealing key DEVICE")
    click.echo(f"take {publisher.repository.keys.offline} offline: it is required to sign releases")


@click.group(cls=SuggestingGroup)
def add() -> None:
    r"""Add a model, a collection, custom labels, or a probe to the next release.

    \b
    Example:
      edge hub add model edge-face-embedder-2 --replaces edge-face-embedder-1
      edge hub add collection staff photos/
      edge hub add probe group.jpg
      edge hub add labels helmets
    """


@add.command("model")
@click.argument("name", shell_complete=completion.models)
@click.option("--replaces", default="", help="Model in the devices' settings that it replaces.")
@repository_option
@output.json_option
@click.pass_context
def add_model(ctx: click.Context, name: str, replaces: str, repository: Path | None, as_json: bool) -> None:
    r"""Ship a local model with the next release.

    \b
    Example:
      edge hub add model edge-face-embedder-2 --replaces edge-face-embedder-1
    """
    shipped = publisher_of(ctx, repository).opened().add_model(name, replaces)
    size = sum(blob.size for blob in shipped.files.values())
    _say({"model": shipped.name, "kind": shipped.kind, "bytes": size}, "{kind} {model}: {bytes} bytes", as_json)


@add.command("collection")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--subject", help="Subject of all pictures; default: one subfolder per person.")
@click.option("--label", default="face", show_default=True, help="The label that the collection identifies.")
@repository_option
@output.json_option
@click.pass_context
def add_collection(
    ctx: click.Context, name: str, path: Path, subject: str | None, label: str, repository: Path | None, as_json: bool
) -> None:
    r"""Enroll pictures, one subfolder per person, or import a collection that a device exported.

    \b
    Example:
      edge hub add collection staff photos/
      edge hub add collection staff porch.faces     after 'edge collection export' there
    """
    publisher = publisher_of(ctx, repository).opened()
    if path.is_file() and subject is None:
        taken, count = publisher.take_in(path, label)
        _say({"collection": taken, "added": count}, "{collection}: {added} faces added", as_json)
        return
    added = skipped = 0
    with output.bar("embedding", None) as progress:
        for outcome in publisher.add_collection(name, path, label, subject):
            progress.advance()
            added += outcome.status == "added"
            if outcome.status == "skipped":
                skipped += 1
                click.echo(f"skipped ({outcome.reason})  {outcome.message}", err=True)
    told = {"collection": name, "added": added, "skipped": skipped}
    _say(told, "{collection}: {added} faces added, {skipped} pictures skipped", as_json)


@add.command("probe")
@click.argument("picture", type=click.Path(path_type=Path))
@click.option("--label", default="face", show_default=True, help="Label of the objects in it.")
@repository_option
@output.json_option
@click.pass_context
def add_probe(ctx: click.Context, picture: Path, label: str, repository: Path | None, as_json: bool) -> None:
    r"""Ship a golden probe: every device must reproduce the detections and embeddings of this picture.

    The picture is copied to every device: choose one without privacy concerns.

    \b
    Example:
      edge hub add probe group.jpg
    """
    probe = publisher_of(ctx, repository).opened().add_probe(picture, label)
    told = {"picture": str(picture), "label": label, "found": len(probe.boxes)}
    _say(told, "{found} x {label} in {picture}", as_json)


@add.command("labels")
@click.argument("name")
@click.option(
    "--probe", type=click.Path(path_type=Path), help="A picture in which every device must detect the labels."
)
@repository_option
@output.json_option
@click.pass_context
def add_labels(ctx: click.Context, name: str, probe: Path | None, repository: Path | None, as_json: bool) -> None:
    r"""Ship a version of local custom labels (NAME, or NAME/NUMBER) with its backbone.

    Cameras with it in custom_labels use it once the release is active. The probe is copied to every device.

    \b
    Example:
      edge hub add labels helmets --probe helmets.jpg
    """
    from edge.core.settings import loader as config
    from edge.hub.publishing.shipping import ship_labels

    publisher = publisher_of(ctx, repository).opened()
    shipped = ship_labels(publisher, name, config.state_folder(publisher.settings), probe)
    size = sum(blob.size for blob in shipped.files.values())
    told = {"labels": shipped.name, "version": shipped.number, "bytes": size, "found": list(shipped.probe.answers)}
    _say(told, "{labels} version {version}: {bytes} bytes", as_json)


@add.command("taxonomy")
@click.argument("file", type=InputPath(exists=True, dir_okay=False))
@repository_option
@output.json_option
@click.pass_context
def add_taxonomy(ctx: click.Context, file: Path, repository: Path | None, as_json: bool) -> None:
    r"""Ship names, parents and categories of labels (api.taxonomy) with the next release.

    \b
    Example:
      edge hub add taxonomy taxonomy.json
    """
    blob = publisher_of(ctx, repository).opened().add_taxonomy(file)
    _say({"taxonomy": str(file), "bytes": blob.size}, "{taxonomy}: {bytes} bytes", as_json)


@click.command()
@click.argument("subject")
@repository_option
@output.json_option
@click.pass_context
def forget(ctx: click.Context, subject: str, repository: Path | None, as_json: bool) -> None:
    r"""Erase a subject from collections, pending enrollments, stored events and review questions of the hub.

    The next release erases it on every device. Exit code 3: unknown.

    \b
    Example:
      edge hub forget "Alice Example" && edge hub publish
    """
    from edge.core.settings.loader import state_folder
    from edge.hub.subject_erasure import erasable_parts, erase_everywhere

    publisher = publisher_of(ctx, repository)
    state = state_folder(publisher.settings)
    with erasable_parts(publisher.settings, state, publisher.folder) as (desk, erasure, questions):
        if desk is None and erasure is None:
            publisher.opened()  # says what is missing
        gone = erase_everywhere(subject, desk, erasure, questions)
    if as_json:
        output.print_json(asdict(gone))
    else:
        _say_erased(gone)
    if not gone.anything:
        ctx.exit(NOTHING_FOUND)


def _say_erased(gone: ErasedEverywhere) -> None:
    for name, faces in gone.collections.items():
        output.say(f"{name}: {faces} faces erased; publish and roll out to erase them on the devices")
    counts = {
        "pending enrollments": gone.enrollments, "stored events": gone.events, "review questions": gone.questions,
    }  # fmt: skip
    for what, count in counts.items():
        if count:
            output.say(f"{what}: {count} changed")


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what devices would download; sign nothing.")
@click.option("--compact-days", type=click.FloatRange(0), help="Rewrite segments with faces erased longer ago. [7]")
@click.option("--minimum", default="", metavar="VERSION", help="Minimum version of edge on the devices.")
@click.option("--to-sign", type=FILE, help="Write a file to sign elsewhere ('edge hub sign'); the keys stay there.")
@click.option("--signed", type=InputPath(exists=True, dir_okay=False), help="Publish with this signed file.")
@repository_option
@keys_option
@output.json_option
@click.pass_context
def publish(
    ctx: click.Context,
    dry_run: bool,
    compact_days: float | None,
    minimum: str,
    to_sign: Path | None,
    signed: Path | None,
    repository: Path | None,
    keys: Path | None,
    as_json: bool,
) -> None:
    r"""Sign the draft as a release. Devices run it only after a rollout.

    \b
    Example:
      edge hub publish --dry-run
      edge hub publish --keys /media/stick/edge-keys
      edge hub publish --to-sign release.json        then 'edge hub sign release.json' where the keys are
      edge hub publish --signed release.signed.json
    """
    from edge.hub.publishing.publisher import COMPACT_DAYS

    publisher = publisher_of(ctx, repository, keys).opened()
    days = COMPACT_DAYS if compact_days is None else compact_days
    if signed is not None:
        release = publisher.take_signature(signed.read_bytes())
        _say({"release": release.id}, "release {release} is published", as_json)
        return
    if to_sign is not None:
        request = publisher.request_signature(days, minimum)
        _write(to_sign, request.to_sign)
        asked: dict[str, object] = {"release": request.release, "to_sign": str(to_sign)}
        _say(asked, "release {release} waits for its signature: edge hub sign {to_sign} --keys FOLDER", as_json)
        return
    done = publisher.publish(dry_run, days, minimum)
    if as_json:
        output.print_json(_told(done))
        return
    _tell_sealing(publisher, done)
    words = "would be" if dry_run else "is"
    click.echo(f"release {done.release.id} {words} published: devices fetch {done.fetched} bytes")
    for one in done.release.collections:
        click.echo(f"  {one.name}: {one.count} faces in {len(one.segments)} segments, {len(one.tombstones)} tombstones")


@click.command()
@click.argument("file", type=InputPath(exists=True, dir_okay=False))
@click.option("--keys", type=FOLDER, required=True, help="Folder of the offline keys (targets.pem).")
@click.option("--out", type=FILE, help="File to write; default: FILE with .signed.json.")
@output.json_option
def sign(file: Path, keys: Path, out: Path | None, as_json: bool) -> None:
    r"""Sign FILE of 'edge hub publish --to-sign' or of the hub's page, on the machine that has the offline keys.

    \b
    Example:
      edge hub sign release.json --keys /media/stick/edge-keys
    """
    from edge.core import plugins as extras
    from edge.hub.publishing import offline_signing

    extras.want("hub", "signing needs")
    signed = offline_signing.sign(file.read_bytes(), keys)
    target = out or file.with_suffix(".signed.json")
    _write(target, signed.data)
    told = {"signed": str(target), "version": signed.version, "releases": list(signed.releases)}
    _say(told, "wrote {signed}: version {version}, with the releases {releases}", as_json)


def _write(path: Path, data: bytes) -> None:
    try:
        files.write_bytes(path, data, mode=0o644)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "choose a writable file") from error


def _tell_sealing(publisher: ReleasePublisher, done: PublishedRelease) -> None:
    """Warn on stderr if names are published in plain text, or no device has a key."""
    from edge.hub.publishing.seal_release import is_readable

    if is_readable(done.release):
        click.echo("names and embeddings are public at sync.url: edge hub sealing on", err=True)
    elif done.release.sealing and not publisher.fleet_keys.read().devices:
        click.echo("no device has a key for this release yet: edge hub sealing key DEVICE", err=True)


def _told(done: PublishedRelease) -> dict[str, object]:
    from edge.releases.manifest import facts

    sealed = done.release.sealing is not None
    counts = {"fetched": done.fetched, "new_files": len(done.new_blobs)}
    return {**facts(done.release), **counts, "sealed": sealed, "written": done.written}


def _say(told: dict[str, object], words: str, as_json: bool) -> None:
    if as_json:
        output.print_json(told)
    else:
        click.echo(words.format(**told))
