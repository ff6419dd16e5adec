"""``edge sync``."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli import output

if TYPE_CHECKING:
    from edge.releases.updater import Progress

log = logging.getLogger(__name__)


@click.command()
@click.option("--dry-run", is_flag=True, help="Look, and say what would be fetched.")
@click.option("--watch", is_flag=True, help="Again every sync.interval, and whenever the hub hints.")
@output.json_option
@click.pass_context
def sync(ctx: click.Context, dry_run: bool, watch: bool, as_json: bool) -> None:
    r"""Fetch, verify, try and install the release that this device is to run.

    A running daemon switches to it between two frames and monitors it; one that fails its probation is rolled back.

    \b
    Example:
      edge sync
      edge sync --watch
    """
    from edge.core.settings import loader as config
    from edge.core.system import log_setup as logs
    from edge.releases.updater import Updater

    settings = output.settings(ctx)
    state = config.state_folder(settings)
    if watch:
        logs.to_stderr(settings.log)
        _watch(ctx, state, settings.sync.interval)
        return
    with output.bar("fetching", 1.0) as progress:
        told = 0.0

        def tell(now: Progress) -> None:
            nonlocal told
            if now.phase == "downloading":
                progress.advance(now.share - told)
                told = now.share

        done = Updater(settings, state, tell).run(dry=dry_run)
    if as_json:
        from dataclasses import asdict

        output.print_json(asdict(done))
    elif dry_run and done.planned:
        click.echo(f"release {done.release} would be fetched: {done.planned} bytes")
    else:
        words = {"installed": "is in place", "up_to_date": "is up to date", "nothing": "nothing to do"}
        said = words.get(done.outcome, "stays: the one that is wanted failed here before")
        click.echo(f"{'release ' + done.release if done.release else ''} {said}; fetched {done.received} bytes".strip())


def _watch(ctx: click.Context, state: Path, interval: float) -> None:
    """One process a look: a hang or a leak ends with it, and its memory goes back."""
    from edge.releases.release_store import ReleaseStore

    chosen = ctx.find_root().obj
    command = [sys.executable, "-m", "edge", *(["--config", chosen] if chosen else []), "sync", "--json"]
    hint = ReleaseStore(state).hint
    while True:
        began = time.time()
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = (child.stdout if child.returncode == 0 else child.stderr).strip()
        log.log(logging.INFO if child.returncode == 0 else logging.WARNING, "%s", said)
        until = time.monotonic() + interval * random.uniform(0.8, 1.2)  # noqa: S311
        while time.monotonic() < until and not (hint.exists() and hint.stat().st_mtime > began):
            time.sleep(1.0)
        if time.monotonic() < until:
            # a whole fleet gets the hint at once
            time.sleep(random.uniform(0.0, 2.0))  # noqa: S311
