"""Checks of OTA updates: server reachable, metadata trusted, release not failed before."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import FetchError, TrustError
from edge.releases.expiry import EXPIRY, expiring
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState


def releases(context: DoctorContext) -> Iterator[Finding]:
    """Check for updates as ``edge sync --dry-run`` does."""
    settings = context.settings
    if not settings.sync.url:
        return
    if importlib.util.find_spec("tuf") is None:
        yield Finding(
            Level.ERROR, "sync", "sync.url is set, but the Python package tuf is not installed",
            "releases cannot be verified",
            "pip install 'rekognition-edge[sync]'",
        )  # fmt: skip
        return
    from edge.releases.updater import Updater

    updater = Updater(settings, context.state)
    try:
        done = updater.run(dry=True)
    except TrustError as error:
        yield Finding.of("sync", error, "the signatures of the release server are invalid")
        return
    except FetchError as error:
        yield Finding.of("sync", error, f"the release server returns invalid answers ({updater.way})")
        return
    yield from _expiring(context.state)
    running = ReleaseStore(context.state).current or "none"
    waits = f"; {done.release} is available ({done.planned} bytes)" if done.planned else ""
    if done.outcome == "held":
        yield Finding(
            Level.WARNING, "sync", "the deployed release failed on this device before and is not tried again",
            f"running: {running}", "check up/reported, and publish another release",
        )  # fmt: skip
        return
    yield Finding(Level.OK, "sync", f"release {running}{waits}; the server is reached {updater.way}")


def _expiring(state: Path) -> Iterator[Finding]:
    """Signatures of the release repository that expire soon."""
    updates = UpdateState(ReleaseStore(state).folder)
    try:
        soon = expiring(updates.get(EXPIRY, {}))
    finally:
        updates.close()
    for one in soon:
        yield Finding(
            Level.WARNING, "sync", one.text(), "after that day this device installs no releases", one.remedy
        )  # fmt: skip
