"""``edge hub simulate``: load test with simulated devices."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from edge.cli import output
from edge.core.errors import DeliveryError, SettingsError

if TYPE_CHECKING:
    from edge.hub.simulator import Figures


@click.command()
@click.argument("devices", type=click.IntRange(1, 20_000))
@click.option("--rate", type=click.FloatRange(0, 1000, min_open=True), default=1.0, show_default=True,
              help="Events per second and device.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="Duration of the load.")
@click.option("--drain", type=click.FloatRange(0), default=30.0, show_default=True,
              help="Seconds to wait for the last acknowledgments.")  # fmt: skip
@click.option("--connections", type=click.IntRange(0), default=0, show_default=True,
              help="Connections that the devices share; 0: one per device.")  # fmt: skip
@click.option("--connects", type=click.FloatRange(0, min_open=True), default=50.0, show_default=True,
              help="Initial connects per second.")  # fmt: skip
@click.option("--prefix", default="sim", show_default=True, help="Prefix of the device names.")
@output.json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    devices: int,
    rate: float,
    seconds: float,
    drain: float,
    connections: int,
    connects: float,
    prefix: str,
    as_json: bool,
) -> None:
    r"""Simulate the traffic of DEVICES devices, to size a broker and an ingest. Also run 'edge hub ingest'.

    Exit code 1 if events are not acknowledged by the hub at the end.

    \b
    Example:
      edge hub simulate 1000 --rate 1 --seconds 300
      edge hub simulate 20000 --rate 0.5 --connections 100
    """
    from edge.hub.simulator import Fleet

    settings = output.settings(ctx)
    if not settings.mqtt.host:
        raise SettingsError("no broker is configured", "set mqtt.host")
    fleet = Fleet(settings.mqtt, devices, rate, prefix=prefix, connections=connections, connects=connects)
    with output.bar("simulating", seconds + (connections or devices) / connects) as progress:

        def tick(_figures: Figures) -> None:
            progress.advance()

        figures = fleet.run(seconds, drain, tick)
    if as_json:
        output.print_json(asdict(figures))
    else:
        click.echo(
            f"{figures.devices} devices, {figures.events} events in {figures.seconds:.0f} s, lost {figures.lost}, "
            f"sent {figures.sent}; delay to the hub's mark: p50 {figures.mark_p50:.3f} s, "
            f"p99 {figures.mark_p99:.3f} s, maximum {figures.mark_max:.3f} s"
        )
        if figures.drops:
            click.echo(f"{figures.drops} connections lost; reconnects spread over {figures.reconnect_spread:.0f} s")
    if figures.lost:
        raise DeliveryError(f"{figures.lost} events were not acknowledged", "check that 'edge hub ingest' runs")
