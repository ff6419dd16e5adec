"""``edge hub plan``: what a fleet needs, estimated from measured runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from edge.cli import output

if TYPE_CHECKING:
    from edge.hub.fleet_plan import FleetCost

COLUMNS = {
    "devices": "devices",
    "events_per_second": "events/s",
    "connections": "connections",
    "broker_mb": "broker MB",
    "broker_cores": "broker cores",
    "brokers": "brokers",
    "ingest_cores": "ingest cores",
    "ingests": "ingests",
    "database_cores": "database cores",
    "rows_per_day": "rows/day",
    "database_gb": "database GB",
    "received_mbit": "in Mbit/s",
    "sent_mbit": "out Mbit/s",
    "release_gb": "release GB",
    "release_mbit": "release Mbit/s",
}
"""field of a cost -> heading"""


@click.command()
@click.argument("devices", type=click.IntRange(1, 100_000_000), nargs=-1)
@click.option("--rate", type=click.FloatRange(0, 1000, min_open=True), default=0.1, show_default=True,
              help="Events per second and device.")  # fmt: skip
@click.option("--database", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True)
@click.option(
    "--keep-days", type=click.FloatRange(0, min_open=True), help="Days of events; default: hub.keep_days, or 30."
)
@click.option("--release-mb", type=click.FloatRange(0), default=5.0, show_default=True,
              help="What a device fetches of a release (MB).")  # fmt: skip
@output.json_option
@click.pass_context
def plan(
    ctx: click.Context,
    devices: tuple[int, ...],
    rate: float,
    database: str,
    keep_days: float | None,
    release_mb: float,
    as_json: bool,
) -> None:
    r"""What a fleet of DEVICES needs: connections, cores, memory, rows and bytes. Default: 10000 and 1000000.

    Estimated from measured runs, which are printed first, each with its estimate. A broker or an ingest uses up to
    60 % of a core. Devices fetch a release over sync.interval.

    \b
    Example:
      edge hub plan
      edge hub plan 500 20000 --rate 0.5 --keep-days 7 --release-mb 12
    """
    from edge.hub.fleet_plan import CostModel, FleetDemand, measured_cost, runs

    settings = output.settings(ctx)
    days = keep_days or settings.hub.keep_days or 30.0
    measured = runs(database)
    model = CostModel.fit(measured)
    rows: list[tuple[str, FleetCost]] = []
    for run in measured:
        demand = FleetDemand(run.devices, run.rate, days, release_mb, settings.sync.interval)
        rows += [("measured", measured_cost(run, demand)), ("estimate", model.cost(demand))]
    for count in devices or (10_000, 1_000_000):
        rows.append(("estimate", model.cost(FleetDemand(count, rate, days, release_mb, settings.sync.interval))))
    if as_json:
        output.print_json([{"source": source} | asdict(cost) for source, cost in rows])
        return
    # fields as rows: there are more of them than fleets
    table = [
        [heading, *(f"{getattr(cost, name):,}" for _, cost in rows)] for name, heading in COLUMNS.items()
    ]  # fmt: skip
    output.print_table(["", *(source for source, _ in rows)], table)
