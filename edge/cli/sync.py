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
    from edge.core.settings.services import SyncSettings
    from edge.releases.updater import Progress

log = logging.getLogger(__name__)


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be downloaded; install nothing.")
@click.option("--watch", is_flag=True, help="Repeat every sync.interval, and after a hint of the hub.")
@output.json_option
@click.pass_context
def sync(ctx: click.Context, dry_run: bool, watch: bool, as_json: bool) -> None:
    r"""Download, verify, test and install the release for this device.

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
        _watch(ctx, state, settings.sync)
        return
    with output.bar("fetching", 1.0) as progress:
        share = 0.0

        def tell(now: Progress) -> None:
            nonlocal share
            if now.phase == "downloading":
                progress.advance(now.share - share)
                share = now.share

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


def _watch(ctx: click.Context, state: Path, settings: SyncSettings) -> None:
    """Check periodically in a child process, so that a hang or a leak ends with it."""
    from edge.releases.release_store import ReleaseStore

    chosen = ctx.find_root().obj
    command = [sys.executable, "-m", "edge", *(["--config", chosen] if chosen else []), "sync", "--json"]
    hint = ReleaseStore(state).hint
    while True:
        began = time.time()
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        text = (child.stdout if child.returncode == 0 else child.stderr).strip()
        log.log(logging.INFO if child.returncode == 0 else logging.WARNING, "%s", text)
        until = time.monotonic() + settings.interval * random.uniform(0.8, 1.2)  # noqa: S311
        while time.monotonic() < until and not (hint.exists() and hint.stat().st_mtime > began):
            time.sleep(1.0)
        if time.monotonic() < until:
            # random delay, since the whole fleet gets the hint at once
            time.sleep(random.uniform(0.0, settings.spread))  # noqa: S311
