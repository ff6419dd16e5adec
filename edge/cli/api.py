"""``edge api``: the Rekognition endpoint by itself, without cameras."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from edge.cli import output


@click.command()
@click.option("--host", help="Address to listen on; api.host when not given.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; api.port when not given, 0 for any free one.")
@output.json_option
@click.pass_context
def api(ctx: click.Context, host: str | None, port: int | None, as_json: bool) -> None:
    r"""Serve Amazon Rekognition's protocol, without cameras.

    Unmodified programs find it by AWS_ENDPOINT_URL_REKOGNITION. Ends at SIGINT or SIGTERM.

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
