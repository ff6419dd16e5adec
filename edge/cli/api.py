"""``edge api``: the Rekognition endpoint without cameras."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from edge.cli import output


@click.command()
@click.option("--host", help="Address to listen on; default: api.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; default: api.port; 0: any free port.")
@output.json_option
@click.pass_context
def api(ctx: click.Context, host: str | None, port: int | None, as_json: bool) -> None:
    r"""Serve the Amazon Rekognition API, without cameras.

    AWS SDKs use it with AWS_ENDPOINT_URL_REKOGNITION. Ends on SIGINT or SIGTERM.

    \b
    Example:
      edge api &
      export AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:8480
      aws rekognition create-collection --collection-id staff
    """
    from edge.api.rekognition.endpoint import ApiServer
    from edge.core import plugins as extras
    from edge.core.settings.loader import state_folder
    from edge.releases.activation import in_force

    extras.want("api", "the endpoint needs")
    settings = output.settings(ctx)
    settings = in_force(settings, state_folder(settings))
    given: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = settings.model_copy(update={"api": settings.api.model_copy(update=given)})
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = ApiServer(settings, state_folder(settings), with_cameras=False)
    try:
        server.service.vision.load()
        server.start()
        url = f"http://{settings.api.host}:{server.port}"
        if as_json:
            output.print_json({"url": url})
        else:
            click.echo(f"Rekognition at {url} (AWS_ENDPOINT_URL_REKOGNITION={url}); end with Ctrl-C")
        stop.wait()
    finally:
        server.stop()
