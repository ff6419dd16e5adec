"""``edge hub serve``: the page of the fleet."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

import click

from edge.cli import output


@click.command()
@click.option("--host", help="Address to listen on; default: hub.page_host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; default: hub.page_port; 0: any free port.")
@click.option(
    "--advance",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds between two checks of rollouts, which grow or stop by themselves; 0: only on the page.",
)
@output.json_option
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, advance: float, as_json: bool) -> None:
    r"""Serve the page of the fleet: devices, events, people, releases; and /metrics for Prometheus.

    Without page.token only this machine may look. Ends on SIGINT or SIGTERM.

    \b
    Example:
      edge hub serve &
      curl http://127.0.0.1:8481/metrics
    """
    from edge.core import plugins as extras
    from edge.core.settings.loader import state_folder
    from edge.hub.page.server import HubServer

    for extra in ("hub", "api"):
        extras.want(extra, "the page of the fleet needs")
    settings = output.settings(ctx)
    given: dict[str, Any] = {
        name: value for name, value in (("page_host", host), ("page_port", port)) if value is not None
    }
    settings = settings.model_copy(update={"hub": settings.hub.model_copy(update=given)})
    logging.basicConfig(level=settings.log.level.upper(), format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = HubServer(settings, state_folder(settings), advance)
    try:
        server.start()
        url = f"http://{settings.hub.page_host}:{server.port}"
        if as_json:
            output.print_json({"url": url})
        else:
            click.echo(f"the fleet at {url}; end with Ctrl-C")
        stop.wait()
    finally:
        server.stop()
