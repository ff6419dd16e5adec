"""``edge run``."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge.settings import Settings
    from edge.types import Event


@click.command()
@click.option("--print", "printing", is_flag=True, help="Print each event as a line of JSON as well.")
@click.pass_context
def run(ctx: click.Context, printing: bool) -> None:
    r"""Watch the cameras and report events, until told to stop.

    \b
    Example:
      edge --config config/edge.toml run
      EDGE_CAMERAS='[{"source": "synthetic"}]' edge run --print
    """
    from edge import config, daemon
    from edge.cli.output import settings

    def read() -> tuple[Settings, Path]:
        current = settings(ctx)
        return current, config.state_folder(current)

    current, _ = read()
    log_to_stderr(current.log.level)
    if daemon.run(read, _print_events if printing else None) is daemon.Ending.RESTART:
        # the same process number, so that whoever watches over it sees no death
        os.execv(sys.executable, [sys.executable, "-m", "edge", *sys.argv[1:]])  # noqa: S606


def log_to_stderr(level: str) -> None:
    """Lines for journald: it knows the time, and reads the level from ``<N>`` where stderr is not a terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JournalFormatter(sys.stderr.isatty()))
    logging.basicConfig(level=level.upper(), handlers=[handler])


PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _JournalFormatter(logging.Formatter):
    """``<priority>message`` as sd-daemon(3) wants it, or a readable line on a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s" if terminal else "%(name)s: %(message)s")
        self._terminal = terminal

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return line if self._terminal else f"<{PRIORITIES.get(record.levelno, 6)}>{line}"


def _print_events(events: Sequence[Event]) -> None:
    import json

    from edge.mqtt.messages import event_document

    for event in events:
        click.echo(json.dumps(event_document(event), ensure_ascii=False))
