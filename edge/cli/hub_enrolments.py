"""``edge hub enrolments``: pull, list, accept and drop enrollments of devices."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import output
from edge.cli.hub_command import hub_key, key_option, timeout_option
from edge.cli.hub_publish import publisher_of, repository_option
from edge.cli.lazy import SuggestingGroup
from edge.cli.main import NOTHING_FOUND
from edge.core.errors import ConflictError, SettingsError
from edge.core.subjects import composed

if TYPE_CHECKING:
    from edge.hub.publishing.enrollments import JudgedFace, PendingFace

label_option = click.option(
    "--label", default="face", show_default=True, help="The label that the collection identifies."
)
into_option = click.option(
    "--into", default="", metavar="COLLECTION", help="Collection of the fleet; default: the same name."
)
device_option = click.option("--device", default="", help="Only faces of this device.")
subject_option = click.option("--subject", default="", help="Only faces of this subject.")
numbers_argument = click.argument("numbers", nargs=-1, type=int, metavar="[NUMBER]...")
all_option = click.option("--all", "everything", is_flag=True, help="All pending faces.")


@click.group(cls=SuggestingGroup)
def enrolments() -> None:
    r"""Enrollments of devices: pull them, list them, accept them for the fleet or drop them.

    A device shares them only if its owner has set commands.enrolments_key: names, embeddings and FaceIds, encrypted
    for the hub's key; never images.

    \b
    Example:
      edge hub enrolments key porch          once; add the line to the settings of porch
      edge hub enrolments pull porch
      edge hub enrolments list
      edge hub enrolments accept --subject alice
    """


@enrolments.command("key")
@click.argument("device")
@key_option
@output.json_option
@click.pass_context
def key(ctx: click.Context, device: str, key_file: Path | None, as_json: bool) -> None:
    r"""Print the secret key with which DEVICE shares its enrollments with the hub.

    \b
    Example:
      edge hub enrolments key porch --key hub.key
    """
    from edge.mqtt.sealed_box import key_of

    made = key_of(hub_key(output.settings(ctx), key_file), device)
    if as_json:
        output.print_json({"device": device, "enrolments_key": made})
    else:
        click.echo(f'[commands]\nenrolments_key = "{made}"')


@enrolments.command("pull")
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE...")
@click.option("--collection", default="", help="Name on the device; default: its collection of faces.")
@click.option("--again", is_flag=True, help="Restart at the first face; earlier decisions stay.")
@timeout_option
@repository_option
@key_option
@output.json_option
@click.pass_context
def pull(
    ctx: click.Context, devices: tuple[str, ...], collection: str, again: bool, timeout: float,
    repository: Path | None, key_file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    r"""Pull the faces enrolled on DEVICEs since the last pull. They are pending until accepted or dropped.

    \b
    Example:
      edge hub enrolments pull porch hall
    """
    from edge.hub.enrollment_pull import pull as pulling
    from edge.hub.publishing.enrollments import PendingEnrollments

    publisher = publisher_of(ctx, repository).opened()
    if not publisher.settings.mqtt.host:
        raise SettingsError("no broker is configured", "set mqtt.host")
    private = hub_key(publisher.settings, key_file)
    pulled = []
    with closing(PendingEnrollments(publisher.private)) as waiting, output.bar("pulling", len(devices)) as progress:
        for device in devices:
            if again:
                waiting.begin_anew(device, collection)
            pulled.append(pulling(publisher.settings.mqtt, device, private, waiting, collection, timeout))
            progress.advance()
    if as_json:
        output.print_json([asdict(one) for one in pulled])
        return
    for one in pulled:
        output.say(f"{one.device}: {one.came} faces of {one.collection or 'nothing'} came, {one.new} are new")


@enrolments.command("list")
@label_option
@into_option
@device_option
@subject_option
@repository_option
@output.json_option
@click.pass_context
def list_(
    ctx: click.Context, label: str, into: str, device: str, subject: str, repository: Path | None, as_json: bool
) -> None:
    r"""Pending faces, and why the consistency check would reject them. Exit code 3: none is pending.

    \b
    Example:
      edge hub enrolments list --device porch
    """
    from edge.hub.publishing.enrollments import PendingEnrollments, judge

    publisher = publisher_of(ctx, repository).opened()
    with closing(PendingEnrollments(publisher.private)) as waiting:
        chosen = _chosen(waiting.waiting(), (), device, subject)
    rows = [_row(one) for one in judge(publisher, chosen, label, into)]
    if as_json:
        output.print_json(rows)
    elif rows:
        columns = ["number", "device", "collection", "subject", "face_id", "quality", "enrolled", "against"]
        output.print_table(columns, [tuple(row[name] for name in columns) for row in rows])
    if not rows:
        output.nothing(ctx, "no such face is pending")


@enrolments.command("accept")
@numbers_argument
@all_option
@label_option
@into_option
@device_option
@subject_option
@click.option("--force", is_flag=True, help="Also faces that fail the consistency check.")
@repository_option
@output.json_option
@click.pass_context
def accept(
    ctx: click.Context, numbers: tuple[int, ...], everything: bool, label: str, into: str, device: str, subject: str,
    force: bool, repository: Path | None, as_json: bool,
) -> None:  # fmt: skip
    r"""Add faces to the fleet's collection; the next release ships them to every device.

    A face that is more similar to another subject than to its own, or would cause false matches, stays pending.

    \b
    Example:
      edge hub enrolments accept 3 4 && edge hub publish
      edge hub enrolments accept --device porch --subject alice
    """
    from edge.hub.publishing.enrollments import PendingEnrollments
    from edge.hub.publishing.enrollments import accept as accepting

    publisher = publisher_of(ctx, repository).opened()
    _some(numbers, everything, device, subject)
    with closing(PendingEnrollments(publisher.private)) as waiting:
        chosen = _chosen(waiting.waiting(), numbers, device, subject)
        left = accepting(publisher, waiting, chosen, label, into, force)
    if as_json:
        output.print_json({"accepted": len(chosen) - len(left), "left": [_row(one) for one in left]})
    else:
        output.say(f"{len(chosen) - len(left)} faces accepted; ship them to the fleet with edge hub publish")
    if left and not as_json:
        first = left[0]
        raise ConflictError(
            f"{len(left)} faces are still pending: number {first.one.number} ({first.one.face.subject}): {first.harm}",
            "check edge hub enrolments list; drop it, or accept it anyway with --force",
        )
    if not chosen:
        ctx.exit(NOTHING_FOUND)


@enrolments.command("drop")
@numbers_argument
@all_option
@device_option
@subject_option
@repository_option
@output.json_option
@click.pass_context
def drop(
    ctx: click.Context, numbers: tuple[int, ...], everything: bool, device: str, subject: str,
    repository: Path | None, as_json: bool,
) -> None:  # fmt: skip
    r"""Drop pending faces: names and embeddings are deleted, and the faces are not pulled again.

    \b
    Example:
      edge hub enrolments drop --device porch --subject visitor
    """
    from edge.hub.publishing.enrollments import PendingEnrollments

    publisher = publisher_of(ctx, repository).opened()
    _some(numbers, everything, device, subject)
    with closing(PendingEnrollments(publisher.private)) as waiting:
        chosen = _chosen(waiting.waiting(), numbers, device, subject)
        waiting.decide([one.number for one in chosen], "dropped")
    if as_json:
        output.print_json({"dropped": len(chosen)})
    else:
        output.say(f"{len(chosen)} faces dropped")
    if not chosen:
        ctx.exit(NOTHING_FOUND)


def _some(numbers: tuple[int, ...], everything: bool, device: str, subject: str) -> None:
    if not (numbers or everything or device or subject):
        raise click.UsageError("no faces selected: give numbers, --device, --subject or --all")


def _chosen(waiting: list[PendingFace], numbers: tuple[int, ...], device: str, subject: str) -> list[PendingFace]:
    return [
        one
        for one in waiting
        if (not numbers or one.number in numbers)
        and (not device or one.device == device)
        and (not subject or one.face.subject == composed(subject))
    ]


def _row(judged: JudgedFace) -> dict[str, object]:
    one = judged.one
    return {
        "number": one.number,
        "device": one.device,
        "collection": one.collection,
        "subject": one.face.subject,
        "face_id": one.face.face_id,
        "quality": round(one.face.quality, 2),
        "enrolled": time.strftime("%Y-%m-%d %H:%M", time.gmtime(one.face.created)),
        "against": judged.harm,
    }
