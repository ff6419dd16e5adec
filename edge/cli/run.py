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
@click.option("--print", "printing", is_flag=True, help="Also print each event as a line of JSON.")
@click.pass_context
def run(ctx: click.Context, printing: bool) -> None:
    r"""Watch the cameras and report events, until SIGTERM or SIGINT, or until the reader of --print closes stdout.

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

    # print the stacks of all threads when the watchdog ends the process (SIGABRT) or a library crashes
    faulthandler.enable()

    if chosen := ctx.find_root().obj:
        os.environ["EDGE_CONFIG"] = str(chosen)  # for child processes, and for the page that edits the file

    def read() -> tuple[Settings, Path]:
        current = settings(ctx)
        logs.to_stderr(current.log)
        return current, config.state_folder(current)

    if daemon.run(read, _print_events if printing else None) is daemon.Ending.RESTART:
        # keeps the process id, so that a supervisor sees no exit
        os.execv(sys.executable, [sys.executable, "-m", "edge", *sys.argv[1:]])  # noqa: S606


def _print_events(events: Sequence[Event]) -> None:
    """Print events, on the inference thread: an error of stdout stops the daemon by a signal, never by raising."""
    from edge.cli.output import json_text
    from edge.mqtt.messages import event_document

    try:
        for event in events:
            click.echo(json_text(event_document(event)))
    except OSError as error:
        log.warning("--print: cannot write to stdout: %s", error.strerror)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)
