"""``edge hub ingest``, ``status`` and ``events``: the hub's event store."""

from __future__ import annotations

import gc
import importlib.util
import logging
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import output
from edge.core.errors import InputError, SettingsError

if TYPE_CHECKING:
    from edge.hub.databases import HubDatabase
    from edge.hub.ingest import Ingest
    from edge.hub.queries import DeviceState, Row

GARBAGE = (20_000, 20, 20)
"""thresholds of the garbage collector: an ingest makes thousands of objects per second and hardly any cycles"""
SAY_SECONDS = 60.0
"""interval of the progress log"""


@click.command()
@click.option("--name", help="Unique name of this ingest; default: hub.name.")
@click.option("--database", help="Database; default: hub.database.")
@output.json_option
@click.pass_context
def ingest(ctx: click.Context, name: str | None, database: str | None, as_json: bool) -> None:
    r"""Store and acknowledge the events of devices, until interrupted.

    Several can run at once, each with a unique name: the broker distributes the events among them.

    \b
    Example:
      edge hub ingest
      edge hub ingest --name 2 --database postgresql://edge@db.lan/edge
    """
    from edge.core.settings import loader as config
    from edge.hub import databases
    from edge.hub.erasure import publisher, review_questions
    from edge.hub.ingest import Ingest
    from edge.hub.store import EventStore

    settings = output.settings(ctx)
    changes = {key: value for key, value in (("name", name), ("database", database)) if value is not None}
    chosen = type(settings.hub).model_validate(settings.hub.model_dump() | changes)
    if not settings.mqtt.host:
        raise SettingsError("no broker is configured", "set mqtt.host")
    logging.basicConfig(level=settings.log.level.upper(), format="%(levelname)s %(name)s: %(message)s")
    state = config.state_folder(settings)
    store = EventStore(databases.connect(chosen.database.get_secret_value(), state))
    one = Ingest(settings.mqtt, chosen, store, publisher(settings, state), review_questions(settings, state))
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    one.start()
    origin = one.source.name if one.source else f"{settings.mqtt.host}:{settings.mqtt.effective_port}"
    click.echo(f"storing events of {origin} in {store.database.name}", err=True)
    try:
        _until_interrupted(one)
    finally:
        one.stop()
    if as_json:
        output.print_json(asdict(one.counts))
    else:
        click.echo(f"stored {one.counts.stored} events of {one.counts.received}, refused {one.counts.refused}")


def _until_interrupted(one: Ingest) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(SAY_SECONDS):
        health = one.client.health()
        logging.getLogger(__name__).info(
            "%s; stored %d of %d events, refused %d",
            health.link,
            one.counts.stored,
            one.counts.received,
            one.counts.refused,
        )


@click.command()
@click.option("--database", help="Database; default: hub.database.")
@output.json_option
@click.pass_context
def status(ctx: click.Context, database: str | None, as_json: bool) -> None:
    r"""State of the fleet: online, release, backlog, cameras, last event. Exit code 3: no device is known.

    \b
    Example:
      edge hub status
      edge hub status --json
    """
    from edge.hub import queries as reading

    fleet = reading.fleet(_database(ctx, database))
    if as_json:
        output.print_json([asdict(device) for device in fleet])
    elif fleet:
        columns = ["device", "online", "release", "update", "version", "backlog", "lost", "cameras", "last event"]
        rows = [
            (
                device.device,
                {True: "yes", False: "no", None: "?"}[device.online],
                device.release or "-",
                _update(device),
                device.version or "-",
                "-" if device.backlog is None else device.backlog,
                "-" if device.lost is None else device.lost,
                ", ".join(f"{name} {state}" for name, state in device.cameras.items()) or "-",
                _ago(device.last_event),
            )
            for device in fleet
        ]
        output.print_table(columns, rows)
    _warn_of_expiry(ctx)
    if not fleet:
        output.nothing(ctx, "no device has reported yet")


@click.command()
@click.option("--database", help="Database; default: hub.database.")
@output.json_option
@click.pass_context
def partition(ctx: click.Context, database: str | None, as_json: bool) -> None:
    r"""Partition the events of an older hub by day, so that hub.keep_days drops whole days. Only for PostgreSQL.

    New databases are partitioned from the start. The table is locked and read once: ingests wait for that long.

    \b
    Example:
      edge hub partition --database postgresql://edge@db.lan/edge
    """
    from edge.hub.store import EventStore

    opened = _database(ctx, database)
    EventStore(opened).partition()
    if as_json:
        output.print_json({"database": opened.name, "partitioned": True})
    else:
        output.say(f"the events in {opened.name} are partitioned by day")


@click.command()
@click.option("--device", default="", help="Only events of this device.")
@click.option("--camera", default="", help="Only events of this camera.")
@click.option("--subject", default="", help="Only events of this subject.")
@click.option("--label", default="", help="Only events of this label.")
@click.option(
    "--type", "kind", type=click.Choice(["new", "update", "end"]), default=None, help="Only events of this type."
)
@click.option("--since", default="", help="Start: 2h, 3d (ago), 2026-11-22 or 2026-11-22T13:00.")
@click.option("--until", default="", help="End (exclusive).")
@click.option("--limit", type=click.IntRange(1), help="Only the newest; default: 100 printed, all exported.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Export to this file.")
@click.option("--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Export to this file.")
@click.option("--database", help="Database; default: hub.database.")
@output.json_option
@click.pass_context
def events(
    ctx: click.Context,
    device: str,
    camera: str,
    subject: str,
    label: str,
    kind: str | None,
    since: str,
    until: str,
    limit: int | None,
    csv_file: Path | None,
    parquet: Path | None,
    database: str | None,
    as_json: bool,
) -> None:
    r"""Stored events, oldest first. Exit code 3: none found.

    \b
    Example:
      edge hub events --subject alice --since 2d
      edge hub events --device porch --since 2026-11-01 --parquet november.parquet
    """
    from edge.hub import queries as reading

    moments = [reading.moment(text) if text else None for text in (since, until)]
    wanted = reading.EventQuery(device, camera, subject, label, kind or "", *moments)
    opened = _database(ctx, database)
    if target := csv_file or parquet:
        write = reading.write_csv if csv_file else reading.write_parquet
        try:
            count = write(target, reading.events(opened, wanted, limit))
        except OSError as error:
            raise InputError(f"{target}: {error.strerror}", "choose a writable file") from error
        click.echo(f"wrote {count} events to {target}", err=True)
    else:
        count = _print(list(reading.events(opened, wanted, limit or 100, latest=True))[::-1], as_json)
    if not count:
        output.nothing(ctx, "no such event is stored")


def _print(rows: list[Row], as_json: bool) -> int:
    if as_json:
        output.print_json([asdict(row) for row in rows])
    elif rows:
        columns = ["time", "device", "camera", "type", "label", "who", "similarity", "track"]
        output.print_table(
            columns,
            [
                (
                    time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.time)),
                    row.device,
                    row.camera,
                    row.type,
                    row.label,
                    row.subject or row.state,
                    "-" if row.similarity is None else f"{row.similarity:.2f}",
                    row.track,
                )
                for row in rows
            ],
        )
    return len(rows)


def _warn_of_expiry(ctx: click.Context) -> None:
    """Warn on stderr of signatures of the release repository that expire soon."""
    from edge.cli.hub_publish import publisher_of
    from edge.releases.expiry import expiring

    if importlib.util.find_spec("tuf") is None:
        return
    repository = publisher_of(ctx, None).repository
    for one in expiring(repository.expiries()) if repository.exists else []:
        output.say(f"warning: {one.text()}", err=True)
        output.say(f"try: {one.remedy}", err=True)


def _update(device: DeviceState) -> str:
    """Phase and error of an update, for the table."""
    if device.phase in ("", "idle", "committed"):
        return "-"
    reason = f": {device.problem}" if device.problem else ""
    return f"{device.phase} {device.desired}{reason}"[:120]


def _ago(moment: float | None) -> str:
    if moment is None:
        return "-"
    seconds = max(0, int(time.time() - moment))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _database(ctx: click.Context, chosen: str | None) -> HubDatabase:
    from edge.core.settings import loader as config
    from edge.hub import databases
    from edge.hub.store import EventStore

    settings = output.settings(ctx)
    address = settings.hub.database.get_secret_value() if chosen is None else chosen
    database = databases.connect(address, config.state_folder(settings))
    EventStore(database).prepare()
    return database
