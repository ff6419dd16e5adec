"""``edge hub review``: pull, list and answer the review questions of devices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import output
from edge.cli.hub_command import hub_key, key_option, timeout_option
from edge.cli.lazy import SuggestingGroup
from edge.core.errors import EdgeError, SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge.core.settings.messaging import MqttSettings
    from edge.hub.review.questions import FleetQuestion
    from edge.hub.review.store import FleetQuestions
    from edge.recognition.review.sharing import AnswerKind


@click.group(cls=SuggestingGroup)
def review() -> None:
    r"""Review questions of devices: pull them, list them by face, and answer them for all devices at once.

    A device shares them only if its owner has set commands.review_key: pictures, embeddings and names, encrypted for
    the hub's key. The page of the fleet does the same by itself.

    \b
    Example:
      edge hub review key porch              once; add the line to the settings of porch
      edge hub review pull porch hall
      edge hub review list
      edge hub review answer 12 --is alice
    """


@review.command("key")
@click.argument("device")
@key_option
@output.json_option
@click.pass_context
def key(ctx: click.Context, device: str, key_file: Path | None, as_json: bool) -> None:
    r"""Print the secret key with which DEVICE shares its review questions with the hub.

    \b
    Example:
      edge hub review key porch --key hub.key
    """
    from edge.mqtt.sealed_box import key_of

    made = key_of(hub_key(output.settings(ctx), key_file), device, "review")
    if as_json:
        output.print_json({"device": device, "review_key": made})
    else:
        output.say(f'[commands]\nreview_key = "{made}"')


@review.command("pull")
@click.argument("devices", nargs=-1, required=True)
@key_option
@timeout_option
@output.json_option
@click.pass_context
def pull(ctx: click.Context, devices: tuple[str, ...], key_file: Path | None, timeout: float, as_json: bool) -> None:
    r"""Fetch the pending questions of DEVICES, and deliver the answers to them.

    Exit code 1: a device did not answer, or shares none.

    \b
    Example:
      edge hub review pull porch hall
    """
    with _opened(ctx) as store:
        rows, failed = _exchanged(ctx, devices, key_file, timeout, store)
    if as_json:
        output.print_json(rows)
    else:
        for row in rows:
            told = "{device}: {pending} pictures pending, {new} new; {applied} answers applied, {refused} not"
            output.say(told.format(**row))
    if failed:
        raise failed[-1]


@review.command("list")
@click.option("--pictures", type=click.Path(path_type=Path), help="Write the stored pictures to this folder.")
@output.json_option
@click.pass_context
def list_(ctx: click.Context, pictures: Path | None, as_json: bool) -> None:
    r"""Fetched questions, one for each face, oldest first. Exit code 3: there are none.

    \b
    Example:
      edge hub review list --pictures questions/
    """
    from edge.core.storage import files
    from edge.hub.review.questions import grouped

    with _opened(ctx) as store:
        found = grouped(store.looks(), store.answers())
        for look in (look for one in found.values() for look in one.looks):
            if pictures is not None and (crop := store.crop(look.number)):
                files.write_bytes(pictures / f"{look.face}-{look.device}-{look.look.id}.jpg", crop)
    rows = [_row(one) for one in found.values()]
    if as_json:
        output.print_json(rows)
    elif rows:
        output.print_table(list(rows[0]), [tuple(row.values()) for row in rows])
    if not rows:
        output.nothing(ctx, "no question is stored; edge hub review pull DEVICE fetches them")


@review.command("answer")
@click.argument("numbers", nargs=-1, type=int, required=True)
@click.option("--is", "subject", metavar="SUBJECT", help="It is this subject; an unknown one is enrolled.")
@click.option("--not", "other", metavar="SUBJECT", help="It is not this subject.")
@click.option("--discard", is_flag=True, help="Discard the questions.")
@click.option("--force", is_flag=True, help="Add a face even if it makes subjects confusable.")
@key_option
@timeout_option
@output.json_option
@click.pass_context
def answer(
    ctx: click.Context, numbers: tuple[int, ...], subject: str | None, other: str | None, discard: bool, force: bool,
    key_file: Path | None, timeout: float, as_json: bool,
) -> None:  # fmt: skip
    r"""Give the same answer to the questions NUMBERS, on every device that asks.

    Answers for devices that cannot be reached are kept and delivered with the next pull. Exit code 1: some answers
    were not applied, or not delivered.

    \b
    Example:
      edge hub review answer 12 13 --is alice
      edge hub review answer 14 --not bob
    """
    from edge.core.subjects import checked

    if (subject is not None) + (other is not None) + discard != 1:
        raise click.UsageError("give one of --is, --not, --discard")
    kind: AnswerKind = "name" if subject is not None else "reject" if other is not None else "discard"
    name = "" if discard else checked(subject or other or "")
    with _opened(ctx) as store:
        given = [one for number in numbers for one in store.answer(number, kind, name, force)]
        devices = sorted({device for device, _ in given})
        rows, failed = _exchanged(ctx, devices, key_file, timeout, store)
        left = [one for one in store.answers() if (one.device, one.question) in set(given)]
    if as_json:
        output.print_json({"answered": len(given) - len(left), "devices": rows, "left": [asdict(one) for one in left]})
    else:
        output.say(f"{len(given) - len(left)} of {len(given)} questions answered on {len(devices)} devices")
        for one in left:
            output.say(f"{one.device}: {one.error or 'not delivered yet'}", err=True)
    if left or failed:
        ctx.exit(1)


@contextmanager
def _opened(ctx: click.Context) -> Iterator[FleetQuestions]:
    from edge.core.settings.loader import state_folder
    from edge.hub.review.store import FleetQuestions

    settings = output.settings(ctx)
    store = FleetQuestions(state_folder(settings), settings.hub)
    try:
        yield store
    finally:
        store.close()


def _exchanged(
    ctx: click.Context, devices: Sequence[str], key_file: Path | None, timeout: float, store: FleetQuestions
) -> tuple[list[dict[str, object]], list[EdgeError]]:
    """Exchange with each device; the results, and the errors of those that failed, which are printed."""
    from edge.hub.command_client import CommandClient
    from edge.hub.review.sync import exchange

    private, mqtt = _broker(ctx, key_file)
    rows: list[dict[str, object]] = []
    failed: list[EdgeError] = []
    with CommandClient(mqtt) as client:
        for device in devices:
            try:
                rows.append(asdict(exchange(client, device, private, store, timeout)))
            except EdgeError as error:
                failed.append(error)
                if len(devices) > 1:
                    output.say(f"{device}: {error}", err=True)
    return rows, failed


def _broker(ctx: click.Context, key_file: Path | None) -> tuple[Ed25519PrivateKey, MqttSettings]:
    settings = output.settings(ctx)
    if not settings.mqtt.host:
        raise SettingsError("no broker is configured", "set mqtt.host")
    return hub_key(settings, key_file), settings.mqtt


def _row(one: FleetQuestion) -> dict[str, object]:
    return {
        "number": one.face,
        "is it": one.subject or "",
        "nearest": ", ".join(f"{name} {likeness:.0f}" for name, likeness in one.nearest[:3]),
        "devices": ", ".join(sorted({look.device for look in one.looks})),
        "pictures": len(one.looks),
        "refused": "; ".join(each.error for each in one.refused),
    }
