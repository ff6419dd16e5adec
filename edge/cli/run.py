"""``edge run``."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.core.types import Event

log = logging.getLogger(__name__)


@click.command()
@click.option("--print", "printing", is_flag=True, help="Print each event as a line of JSON as well.")
@click.pass_context
def run(ctx: click.Context, printing: bool) -> None:
    r"""Watch the cameras and report events, until told to stop, or until nobody reads what --print prints.

    \b
    Example:
      edge --config config/edge.toml run
      EDGE_CAMERAS='[{"source": "synthetic"}]' edge run --print
    """
    import faulthandler

    from edge.cli.output import settings
    from edge.core.settings import loader as config
    from edge.core.system import log_setup as logs
    from edge.daemon import daemon

    # where each thread was, by file and line, when the watchdog ended it (SIGABRT) or a library crashed it
    faulthandler.enable()

    if chosen := ctx.find_root().obj:
        os.environ["EDGE_CONFIG"] = str(chosen)  # for child processes, and for the page that edits the file

    def read() -> tuple[Settings, Path]:
        current = settings(ctx)
        logs.to_stderr(current.log)
        return current, config.state_folder(current)

    if daemon.run(read, _print_events if printing else None) is daemon.Ending.RESTART:
        # the same process number, so that whoever watches over it sees no death
        os.execv(sys.executable, [sys.executable, "-m", "edge", *sys.argv[1:]])  # noqa: S606


def _print_events(events: Sequence[Event]) -> None:
    """On the inference thread, which must not end by what befalls stdout: then the daemon is told to stop."""
    from edge.cli.output import json_text
    from edge.mqtt.messages import event_document

    try:
        for event in events:
            click.echo(json_text(event_document(event)))
    except OSError as error:
        log.warning("--print: stdout takes no more: %s", error.strerror)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)
